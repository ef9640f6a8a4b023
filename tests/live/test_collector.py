"""Collecting with a main stream: moments of a real camera, and what is refused."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from kit.cameras import Camera
from kit.collecting import collect, collect_at_once, events, folder_of, learning_camera, start
from kit.scene_cameras import black, frozen, planes, source_and_main, stream
from live.supervisor_process import eventually
from training.recordings import smaller

from vidsr.learn_dir import MOMENT_FACTS, LearnDir
from vidsr.live.config import CameraConfig
from vidsr.stream_url import StreamUrl
from vidsr.training.pairing import align

Cameras = tuple[Camera, Camera]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cameras]:
    """The source and the main stream of a scene, for the tests that leave them as they are."""
    with source_and_main(tmp_path_factory.mktemp("pair")) as cameras:
        yield cameras


def paths(learn_dir: LearnDir) -> list[str]:
    return sorted(str(path.relative_to(learn_dir.path)) for path in learn_dir.path.rglob("*") if path.is_file())


def test_a_moment_of_both_streams_is_kept(pair: Cameras, tmp_path: Path) -> None:
    source, main = pair
    config = learning_camera(tmp_path, source.url, main.url)
    began_s = time.time()
    assert collect(config) == ""
    learn_dir = folder_of(config)
    (moment,) = learn_dir.moments()
    assert began_s <= moment.time_s <= time.time()
    assert moment.has_main
    assert moment.motion > 3
    assert moment.detail > 0
    files = [moment.folder / name for name in ("source.mkv", "main.mkv", "survey.npz")]
    assert moment.size == sum(file.stat().st_size for file in files)
    names = ["main.mkv", MOMENT_FACTS, "source.mkv", "survey.npz"]
    expected = [".collect.lock", "collect.json", *(f"moments/{moment.folder.name}/{name}" for name in names)]
    assert paths(learn_dir) == expected
    assert align(files[1], files[0], 2, on_warning=pytest.fail).similarity > 0.9
    assert learn_dir.collect_state().collected == 1
    assert events(config) == []


def test_a_main_stream_that_is_gone_for_a_day_is_one_event_and_one_when_it_is_back(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main):
        config = learning_camera(tmp_path, source.url, main.url)
        main.kill()
        said = [collect(config) for _ in range(3)]
        lost = (
            f"no moments are collected: the main stream is lost: rtsp://127.0.0.1:{main.port}: refuses the connection"
        )
        assert said == [f"{lost}\n", "", ""]
        assert events(config) == [lost]
        assert folder_of(config).moments() == []
        assert folder_of(config).collect_state().refused == {"main stream lost": 3}
        main.start()
        assert collect(config) == ""
    assert events(config) == [lost, "moments are collected again"]
    assert len(folder_of(config).moments()) == 1


POISONS = {
    "black": "the main stream is black, blown out or flat",
    "frozen": "the main stream is frozen: the source moves, and it does not",
    "another scene": "the source and the main stream: their motion does not match",
    "too small": "is not 2 times the 128x96 of the source",
}


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[CameraConfig, list[str]]]:
    """Cameras of one scene whose main streams show something else, and what is said of each when it collects.

    Each has a server of its own: GStreamer's ends where clients of one picture come and go at once.
    """
    folder, frames, configs = tmp_path_factory.mktemp("poisoned"), planes(), list[CameraConfig]()
    small = smaller(frames, 2.0)
    mains = dict(zip(POISONS, (black(frames), frozen(frames), planes(7), small), strict=True))
    with ExitStack() as cameras:
        for name, shown in mains.items():
            source = cameras.enter_context(stream(folder, f"{name}, source", small))
            main = cameras.enter_context(stream(folder, name, shown))
            configs.append(learning_camera(folder, source.url, main.url, name=name))
        said = zip(*(collect_at_once(*configs) for _ in range(3)), strict=True)
    return {config.name: (config, list(each)) for config, each in zip(configs, said, strict=True)}


@pytest.mark.parametrize(("name", "words"), POISONS.items())
def test_a_poisoned_teacher_is_refused_and_said_once(
    poisoned: dict[str, tuple[CameraConfig, list[str]]], name: str, words: str
) -> None:
    config, (first, second, third) = poisoned[name]
    assert (first, third) == ("", "")  # once may be an accident
    assert words in second
    (event,) = events(config)
    assert words in event
    assert "/tmp" not in event
    assert folder_of(config).moments() == []
    assert folder_of(config).half_moments() == []


def test_where_nothing_moves_or_is_seen_nothing_is_collected(tmp_path: Path) -> None:
    shown, configs = {"nothing moves": frozen(planes()), "nothing to see": black(planes())}, list[CameraConfig]()
    with ExitStack() as cameras:
        for name, pictures in shown.items():
            source = cameras.enter_context(stream(tmp_path, f"{name}, source", smaller(pictures, 2.0)))
            main = cameras.enter_context(stream(tmp_path, f"{name}, main", pictures))
            configs.append(learning_camera(tmp_path, source.url, main.url, name=name))
        for _ in range(2):
            collect_at_once(*configs)
    for config, count in zip(configs, (0, 1), strict=True):
        assert folder_of(config).collect_state().refused == {config.name: 2}
        assert len(events(config)) == count
        assert folder_of(config).moments() == []


def test_what_a_mask_covers_is_no_motion(pair: Cameras, tmp_path: Path) -> None:
    source, main = pair
    config = learning_camera(tmp_path, source.url, main.url, masks=("0,0,128,40", "0,40,128,56"))
    collect(config)
    assert folder_of(config).collect_state().refused == {"nothing to see": 1}


def test_a_mask_that_was_drawn_on_a_larger_picture_is_said_and_nothing_is_collected(
    pair: Cameras, tmp_path: Path
) -> None:
    source, main = pair
    config = learning_camera(tmp_path, source.url, main.url, masks=("0,0,8,8", "0,0,256,20"))
    sentence = "no moments are collected: the mask 0,0,256,20 reaches beyond the 128x96 of the source"
    assert [collect(config) for _ in range(2)] == [f"{sentence}\n", ""]
    assert events(config) == [sentence]
    assert (folder_of(config).moments(), folder_of(config).half_moments()) == ([], [])


def test_what_a_killed_collector_leaves_is_removed_by_the_next(pair: Cameras, tmp_path: Path) -> None:
    source, main = pair
    config = learning_camera(tmp_path, source.url, main.url, moment_s=30.0)
    process = start(config)
    until = time.monotonic() + 120
    while not list(tmp_path.rglob("main.mkv*")) and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.wait()
    (half,) = folder_of(config).half_moments()
    assert folder_of(config).moments() == []
    process = start(config)
    while half.exists() or not list(tmp_path.rglob("main.mkv*")):
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert folder_of(config).half_moments() == []
    assert folder_of(config).moments() == []


def test_two_collectors_of_a_camera_do_not_meet_and_two_cameras_collect_at_once(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main), source_and_main(tmp_path, seed=3) as (other, large):
        first = learning_camera(tmp_path, source.url, main.url, name="a")
        second = learning_camera(tmp_path, other.url, large.url, name="b")
        processes = [start(config) for config in (first, second)]
        eventually(folder_of(first).half_moments, within_s=60)
        assert collect(first) == ""  # finds the other one at work
        assert [process.wait(100) for process in processes] == [0, 0]
    moments = [folder_of(config).moments() for config in (first, second)]
    assert list(map(len, moments)) == [1, 1], (events(first), events(second))
    own, others = (each[0].folder for each in moments)
    assert align(own / "main.mkv", own / "source.mkv", 2).similarity > 0.9
    with pytest.raises(Exception, match=r"do not match|does not match"):  # no frame of one in the folder of the other
        align(own / "main.mkv", others / "source.mkv", 2)


def test_a_clock_that_steps_costs_nothing(pair: Cameras, tmp_path: Path) -> None:
    source, main = pair
    config = learning_camera(tmp_path, source.url, main.url)
    collect(config)
    learn_dir = folder_of(config)
    now_s = time.time()
    learn_dir.set_collect_state(replace(learn_dir.collect_state(), tried_s=now_s + 1e6))
    half = learn_dir.moment_folder(now_s + 1e6)
    half.mkdir()
    collect(config)
    assert len(learn_dir.moments()) == 2
    assert abs(learn_dir.collect_state().tried_s - now_s) < 60
    assert not half.exists()


def test_a_camera_that_is_off_is_one_event_about_the_source(tmp_path: Path) -> None:
    with source_and_main(tmp_path) as (source, main):
        config = learning_camera(tmp_path, source.url, main.url)
        source.kill()
        main.kill()
        for _ in range(2):
            collect(config)
    (event,) = events(config)
    assert event.startswith("no moments are collected: the source is lost: rtsp://127.0.0.1")


def test_nobody_learns_a_password(tmp_path: Path) -> None:
    config = learning_camera(tmp_path, "rtsp://admin:canary77@127.0.0.1:1/a")
    config = replace(config, main=StreamUrl("rtsp://admin:canary78@127.0.0.1:1/b"))
    said = collect(config) + " ".join(events(config))
    assert "source is lost" in said
    assert "canary" not in said
