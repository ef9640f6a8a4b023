"""The examples do what they say."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import make_clip, scene
from oracles import read_with_av, samples

from vidsr.settings import FinetuneSettings

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def example(name: str, function: str) -> Callable[..., Any]:
    """A function of an example, which is a script and no module."""
    (path,) = (path for path in EXAMPLES if path.stem == name)
    found: Callable[..., Any] = runpy.run_path(str(path))[function]
    return found


@pytest.mark.usefixtures("ray")
def test_split_screen_is_half_network_half_bicubic(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    example("split_screen", "split_screen")(clip, tmp_path / "split.mp4", tiny_model)
    before, after = read_with_av(clip), read_with_av(tmp_path / "split.mp4")
    assert after.times == before.times
    assert after.packets == before.packets
    roughness = abs(np.diff(samples(after.pictures[0])[0].astype(int), axis=0)).mean(axis=0)
    assert roughness[:90].mean() > 2 * roughness[102:].mean(), "only the small network leaves a pattern"


@pytest.mark.usefixtures("ray")
def test_finetuning_ends_with_a_larger_sub_stream_or_none(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    pytest.importorskip("torch")
    times = [512 * i for i in range(20)]
    clips = [make_clip(tmp_path / f"{day}.mp4", size=(200, 192), pts=times) for day in ("monday", "friday")]
    quick = FinetuneSettings(initial_model=tiny_model, clips=16, steps=4, every=4, threads=1, layers="all", rate=0.02)
    finetune = example("finetune_on_my_clips", "finetune_and_upscale")
    large = finetune(tmp_path / "run", clip, clips, settings=quick)
    assert (large is not None) == (tmp_path / "run" / "model.npz").exists()
    if large:
        assert len(read_with_av(large).pictures) == len(read_with_av(clip).pictures)


def test_one_plane_needs_neither_pool_nor_writer(
    clip: Path, tiny_model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example("one_plane", "upscale_first_luma")(clip, tiny_model) == (128, 192)
    assert capsys.readouterr().out.startswith("(64, 96) -> (128, 192)")


def test_arrays_become_larger_arrays_in_order(tiny_model: str) -> None:
    frames = [scene(index) for index in range(5)]
    large = list(example("upscale_array", "upscale_array")(iter(frames), tiny_model))
    assert [(frame.shape, frame.dtype) for frame in large] == [((128, 192, 3), np.uint8)] * 5
    shrunk = [frame.reshape(64, 2, 96, 2, 3).mean(axis=(1, 3)) for frame in large]
    distances = [[np.abs(one - other).mean() for other in frames] for one in shrunk]
    assert np.argmin(distances, axis=1).tolist() == [0, 1, 2, 3, 4]
    assert np.min(distances, axis=1).max() < 12, "the colours are those of the source"


@pytest.mark.usefixtures("ray")
def test_watched_stops_when_its_time_is_over(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    watched = example("watched", "watched")
    assert not watched(str(clip), str(tmp_path / "whole.mp4"), tiny_model).stopped
    report = watched(str(clip), str(tmp_path / "cut.mp4"), tiny_model, at_most_s=0)
    assert report.stopped
    assert len(read_with_av(tmp_path / "cut.mp4").pts) == report.frames_written == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_runs_as_it_says(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= (99 if path.stem == "service" else 30)
    compile(text, str(path), "exec")
    assert f"python examples/{path.name} " in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_without_arguments_an_example_says_how_it_is_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flask")
    monkeypatch.setattr(sys, "argv", [str(path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert f"python examples/{path.name}" in str(ended.value)  # what Python prints for it, and exits with 1
