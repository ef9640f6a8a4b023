"""Being told to stop: the first signal ends the file in order, the second one at once, and no process stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from commands import DAMAGED, Command
from fork_server import ForkedPython
from made import make_long, tiny_weights
from oracles import read_with_av

from vidsr.errors import Stopped
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings

END_S = 60.0
"""Limit from a signal to the end, on a busy machine."""
START_END_S = 30.0
"""The same while workers start: a quarter of the time for which they are waited for."""


@pytest.fixture(scope="module")
def long_clip(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 20,000 frames, which take far longer than a test."""
    return make_long(tmp_path_factory.mktemp("long") / "long.mp4", clip, 800)


@contextmanager
def run(
    source: Path, target: Path, *more: str | Path, model: str, workers: int, into: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A run in a process group of its own, as a shell starts it, once its first frames are written."""
    options = ["--workers", str(workers), "--model", model, "--preset", "ultrafast"]
    command = [sys.executable, "-m", "vidsr", "upscale", *options, *map(str, more), str(source), str(into or target)]
    part, deadline = target.with_name(target.name + ".vidsr.part"), time.monotonic() + 120
    start = subprocess.Popen if workers else ForkedPython  # as Ray's start takes far longer than that of Python
    with start(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            while not (part.exists() and part.stat().st_size > 20_000):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def packet_times(path: Path) -> list[float]:
    """When the pictures of a file are shown, without decoding it."""
    with av.open(path) as container:
        return sorted(float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.size)


@pytest.mark.parametrize(
    ("number", "to", "workers"),
    [
        (signal.SIGINT, os.killpg, 0),
        (signal.SIGTERM, os.kill, 0),
        (signal.SIGTERM, os.killpg, 2),
        pytest.param(signal.SIGTERM, os.kill, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, os.killpg, 2, marks=pytest.mark.slow),
    ],
)
def test_a_signal_finishes_what_was_done(
    long_clip: Path,
    tiny_model: str,
    tmp_path: Path,
    number: signal.Signals,
    to: Callable[[int, int], None],
    workers: int,
) -> None:
    target = tmp_path / "out.mp4"
    with run(long_clip, target, model=tiny_model, workers=workers) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        to(process.pid, number)
        _, printed = process.communicate(timeout=END_S)
        assert process.returncode == 128 + number
        assert "vidsr: stopping; the file is being completed" in printed
        assert f"vidsr: {target}: stopped before the end; the frames up to there are complete\n" in printed
        assert os.listdir(tmp_path) == ["out.mp4"]
        done = read_with_av(target).pts
        assert 20 < len(done) < 19_000
        np.testing.assert_allclose(done, packet_times(long_clip)[: len(done)], atol=1e-6)
        assert (len(family) > 1) == bool(workers)  # beside the one that works
        assert psutil.wait_procs(family, timeout=END_S)[1] == []


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)], ids=["this process", "Ray"])
def test_a_second_signal_gives_the_file_up(long_clip: Path, tiny_model: str, tmp_path: Path, workers: int) -> None:
    with run(long_clip, tmp_path / "out.mp4", model=tiny_model, workers=workers) as process:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=END_S)
        assert process.returncode == 128 + signal.SIGTERM
        assert "Traceback" not in printed
        assert os.listdir(tmp_path) == []
        assert psutil.wait_procs(family, timeout=END_S)[1] == []


def ray_processes(folder: Path) -> list[psutil.Process]:
    """Ray's processes whose files are in a folder."""
    return [process for process in psutil.process_iter() if str(folder) in " ".join(command_line(process))]


def command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def stopped_start(command: list[str], folder: Path, held: str) -> tuple[int, str]:
    """The exit code of a command that is stopped while a process of its Ray hangs, and what it printed."""
    environment, deadline = os.environ | {"TMPDIR": str(folder)}, time.monotonic() + 60
    arguments = [sys.executable, "-m", "vidsr", *command]
    with subprocess.Popen(
        arguments, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            while not (found := [each for each in ray_processes(folder) if held in " ".join(command_line(each))]):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            for each in found:
                each.suspend()
            os.killpg(process.pid, signal.SIGINT)
            _, printed = process.communicate(timeout=START_END_S)
        finally:
            process.kill()
    assert ray_processes(folder) == []
    assert os.listdir(folder) == []
    return process.returncode, printed


@pytest.mark.parametrize("held", ["gcs_server", pytest.param("default_worker.py", marks=pytest.mark.slow)])
def test_a_signal_ends_a_start_of_ray_that_takes_for_ever(
    clip: Path, tiny_model: str, tmp_path: Path, open_folder: Path, held: str
) -> None:
    target = tmp_path / "out.mp4"
    command = ["upscale", "--workers", "1", "--model", tiny_model, str(clip), str(target)]
    code, printed = stopped_start(command, open_folder, held)
    assert code == 128 + signal.SIGINT
    assert f"vidsr: {target}: stopped; its workers were still starting, and the same command goes on\n" in printed
    assert os.listdir(tmp_path) == []


def test_a_camera_is_stopped_while_its_ray_starts(
    clip: Path, tiny_model: str, tmp_path: Path, open_folder: Path
) -> None:
    command = ["stream", "--realtime", "--workers", "1", "--model", tiny_model, str(clip), str(tmp_path / "out")]
    assert stopped_start(command, open_folder, "gcs_server") == (0, "")


def test_a_pool_that_is_not_wanted_any_more_does_not_wait_for_ray() -> None:
    with pytest.raises(Stopped), open_pool(tiny_weights(), PoolSettings(workers=1), should_stop=lambda: True):
        pass


JOIN = """
import os, signal, threading, time
from vidsr.errors import WorkerError
from vidsr.pool.ray_runtime import ray_session

def end_by_rays_handler():
    while signal.getsignal(signal.SIGTERM) is handler:
        time.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)

received = []
handler = lambda number, frame: received.append(number)
signal.signal(signal.SIGTERM, handler)
threading.Thread(target=end_by_rays_handler, daemon=True).start()
try:
    with ray_session("nonsense"):
        pass
except WorkerError as error:
    print(error)
os.kill(os.getpid(), signal.SIGTERM)
print(set(received))
"""


def test_the_handler_of_sigterm_stays_also_where_a_cluster_cannot_be_joined() -> None:
    environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
    ended = subprocess.run([sys.executable, "-c", JOIN], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    sentence = "no Ray cluster to join at nonsense: Invalid address format: nonsense"
    assert ended.stdout.splitlines() == [sentence, str({signal.SIGTERM.value})]


@pytest.mark.parametrize("changed", ["nothing", "settings", "target"])
def test_what_a_folder_was_stopped_in_is_made_anew(
    upscale: Command, long_clip: Path, clip: Path, tiny_model: str, tmp_path: Path, changed: str
) -> None:
    old, new, failed = tmp_path / "old", tmp_path / "new", tmp_path / "failed.jsonl"
    for folder in (old, new):
        folder.mkdir()
    shutil.copy(long_clip, old / "a.mp4")
    shutil.copy(clip, old / "b.mp4")
    with run(old, new / "a.mp4", "--failed", failed, model=tiny_model, workers=0, into=new) as process:
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=END_S)
    code, sentence = 128 + signal.SIGINT, f"{old / 'a.mp4'}: was stopped before its end"
    assert process.returncode == code
    assert "vidsr: 1 of 2 files failed, are damaged or were stopped:\n" in printed
    assert f"vidsr:   exit code {code}: {sentence}\n" in printed
    listed = {"target": str(new / "a.mp4"), "source": str(old / "a.mp4"), "code": code, "sentence": sentence}
    assert [json.loads(line) for line in failed.read_text().splitlines()] == [listed]
    shutil.copy(clip, old / "a.mp4")  # as to upscale all of it takes far longer than a test
    if changed == "target":
        os.utime(new / "a.mp4")
    options = ["--crf", "30"] if changed == "settings" else ["--preset", "ultrafast"]
    for _ in range(2):
        ended = upscale("--resume", *options, old, new)
        assert ended.code == (DAMAGED if changed == "target" else 0), ended.err
    assert (len(read_with_av(new / "a.mp4").pts) == 24) == (changed != "target")
