"""What `vidsr upscale --explain` says of a job: how it would be done here, and what bounds it."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import SOURCE, USAGE, Command
from made import make_clip

from vidsr import explain as explain_module
from vidsr.estimate import Estimate
from vidsr.explain import Explanation, explain
from vidsr.segments import plan
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

TRIAL = Estimate(
    source=Path("film.mp4"),
    size=(3840, 2160),
    weights="fsrcnn-narrow-x2",
    precision="int8",
    encoder="libx264",
    trial_frames=20,
    fps=2.0,
    frames=3600,
    seconds=1800.0,
    bytes=10_000_000,
    core_s=0.5,
    serial_s=0.03,
)


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve segments."""
    monkeypatch.setattr(plan, "MIN_SECONDS", 0.6)
    return make_clip(tmp_path / "film.mp4", pts=[512 * number for number in range(240)], options={"g": "20"})


def explained(monkeypatch: pytest.MonkeyPatch, film: Path, trial: Estimate, cores: int, room: int) -> Explanation:
    """A job with a trial of these figures, on a machine of so many cores and room for so many segments."""
    monkeypatch.setattr(explain_module, "estimate", lambda *places, **settings: trial)
    monkeypatch.setattr(explain_module, "usable_cores", lambda machine, threads: cores)
    monkeypatch.setattr(explain_module, "segments_in_memory", lambda size: room)
    settings = UpscaleSettings(segments=True)
    return explain(film, film.with_name("out.mp4"), settings=settings, encode=EncodeSettings(), pool=PoolSettings())


@pytest.mark.parametrize(
    ("cores", "room", "frames", "segments"),
    [
        (4, 64, (8, "the cores"), (8, "the cores")),
        (64, 64, (33.3, "the one thread that merges and feeds the encoder"), (24, "the number of segments")),
        (64, 5, (33.3, "the one thread that merges and feeds the encoder"), (10, "the memory")),
    ],
)
def test_the_scarcest_thing_bounds_each_way(
    monkeypatch: pytest.MonkeyPatch,
    film: Path,
    cores: int,
    room: int,
    frames: tuple[float, str],
    segments: tuple[float, str],
) -> None:
    found = explained(monkeypatch, film, TRIAL, cores, room)
    assert [(pytest.approx(way.fps, rel=0.01), way.bound) for way in found.ways] == [frames, segments]
    assert [way.used for way in found.ways] == [False, True]
    assert (found.segments, found.why_frames) == (12, "")


def test_a_film_of_unknown_length_is_explained_without_its_time(monkeypatch: pytest.MonkeyPatch, film: Path) -> None:
    known = explained(monkeypatch, film, TRIAL, 4, 64).lines()
    assert known[2] == "  here, by frames: 4 cores, about 8 fps, 0:07:30; bound by the cores"
    assert known[-1] == "  in all: 0:30:00 of such a core"
    unknown = explained(monkeypatch, film, replace(TRIAL, frames=None), 4, 64).lines()
    assert unknown[0].startswith("film.mp4: 3840x2160, an unknown number of frames, 500 ms of a core per frame")
    assert unknown[2] == "  here, by frames: 4 cores, about 8 fps; bound by the cores"


def test_a_job_is_explained_and_nothing_is_written(upscale: Command, film: Path) -> None:
    ended = upscale("--explain", "--json", film, film.with_name("out.mp4"))
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["segments"], found["trial"]["frames"], os.listdir(film.parent)) == (12, 240, [film.name])
    assert [(way["by"], way["where"], way["used"]) for way in found["ways"]] == [
        ("frames", "here", True),
        ("segments", "here", False),
    ]
    trial = found["trial"]
    assert 0 < trial["serial_s"] < trial["core_s"] < 1


def test_why_a_job_is_not_done_by_segments_is_told(upscale: Command, film: Path) -> None:
    ended = upscale("--explain", "--segments", "--bitrate", "1M", film, film.with_name("out.mp4"))
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[1] == "  not by segments: --bitrate and --encoder-option may depend on the whole video"
    assert re.match(
        r"  here, by frames \(what this command does\): \d+ cores?, about .* fps, 0:00:\d\d; bound by", lines[2]
    )


def test_what_cannot_be_explained_is_refused(upscale: Command, tmp_path: Path) -> None:
    assert upscale("--explain", tmp_path / "none.mp4", tmp_path / "out.mp4").code == SOURCE
    assert upscale("--explain", tmp_path / "a.png", tmp_path / "b.png").code == USAGE
