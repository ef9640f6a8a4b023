"""The process that learns: stopped, killed, started twice, on a full disk, and with nothing to learn from."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import MODEL, TARGET, full_disk
from moments import camera, events, forgetful_network, start_process, write_moment, write_moments
from recordings import scene

from vidsr.file_lock import try_lock
from vidsr.learn_dir import LearnDir
from vidsr.learning.work_dir import WorkDir
from vidsr.live.config import CameraConfig

Launch = Callable[[CameraConfig], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return forgetful_network(tmp_path_factory.mktemp("start") / "start.npz")


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Starts the process of a camera; none outlives its test."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_one(config: CameraConfig) -> subprocess.Popen[bytes]:
        processes.append(start_process(config))
        return processes[-1]

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    _, printed = process.communicate(timeout=560)
    return process.returncode, printed.decode()


def wait_for(process: subprocess.Popen[bytes], path: Path) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def wait_for_lock(process: subprocess.Popen[bytes], folder: Path) -> None:
    """The first process may have written all that the second one does before it has the folder."""
    while process.poll() is None:
        handle = os.open(folder, os.O_RDONLY)
        is_free = try_lock(handle)
        os.close(handle)
        if not is_free:
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_moments_are_an_event_and_no_error(launch: Launch, start: Path, tmp_path: Path, count: int) -> None:
    learn_dir = LearnDir(tmp_path / "learn")
    for number in range(count):
        write_moment(learn_dir, 3600.0 * number, scene(150)[:20])
    learn_dir.request()
    assert ended(launch(camera(learn_dir.path, start))) == (0, "")
    have = "1 moment" if count == 1 else f"{count} moments"
    assert events(learn_dir) == [f"nothing to learn from yet: {have} of the scene, and 5 or more are needed"]
    assert not learn_dir.is_requested
    assert not learn_dir.work.exists()


def test_moments_of_one_hour_are_an_event_too(launch: Launch, start: Path, tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    for number in range(6):
        write_moment(learn_dir, 60.0 * number, scene(150)[20 * number : 20 * number + 20])
    assert ended(launch(camera(tmp_path, start))) == (0, "")
    assert "nothing to learn from yet: 6 moments of the scene" in events(learn_dir)[0]
    assert not learn_dir.work.exists()


def test_masks_that_leave_nothing_are_an_event_too(launch: Launch, start: Path, tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    write_moments(learn_dir, scene(150))
    assert ended(launch(camera(tmp_path, start, masks=("0,0,256,100",)))) == (0, "")
    words = "256x88 pixels without masks and captions; 144 per side are needed"
    assert events(learn_dir)[-1] == f"nothing to learn from yet: {words}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_stopped_or_killed_it_resumes_although_the_moments_are_gone(
    launch: Launch, start: Path, tmp_path: Path
) -> None:
    learn_dir, config = LearnDir(tmp_path), camera(tmp_path, start)
    moments = write_moments(learn_dir, scene(150))
    process = launch(config)
    wait_for(process, learn_dir.work / "dataset" / "dataset.json")
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 128 + signal.SIGTERM
    plan = WorkDir(learn_dir).plan()
    assert plan
    learn_dir.remove(moments[0].folder)
    write_moment(learn_dir, moments[0].time_s - 1.8e9 + 60, scene(150)[:30])
    process = launch(config)
    wait_for(process, learn_dir.work / "training" / "checkpoint-0.pt")
    wait_for_lock(process, learn_dir.work)
    process.send_signal(signal.SIGSTOP)
    assert ended(launch(config))[0] == MODEL
    assert "another process learns there" in events(learn_dir)[-1]
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    (learn_dir.network_folder("half")).mkdir(parents=True)
    assert ended(launch(config))[0] == 0
    (network,) = learn_dir.networks()
    assert network.name == plan.name
    assert sorted(path.name for path in learn_dir.path.iterdir()) == sorted(
        {"attempt.json", "moments", "networks", "events.jsonl"}
        | ({"current.json"} if network.proof.accepted else set())
    )
    assert [path.name for path in (tmp_path / "networks").iterdir()] == [network.name]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_disk_leaves_nothing_behind_and_is_said(launch: Launch, start: Path, tmp_path: Path) -> None:
    learn_dir = LearnDir(tmp_path)
    write_moments(learn_dir, scene(150))
    with full_disk(60_000):
        code, printed = ended(launch(camera(tmp_path, start)))
    assert (code, printed.count("\n")) == (TARGET, 1)
    assert printed.startswith("no network was learned: ")
    assert "Traceback" not in printed
    assert events(learn_dir) == [printed.strip()]
    assert not learn_dir.work.exists()
    assert learn_dir.networks() == []
