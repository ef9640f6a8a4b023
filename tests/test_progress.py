"""What programs are told of a run: a line of JSON per second, and before it an estimate."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from commands import SOURCE, TARGET, USAGE, Command, contents
from made import make_long, scene
from PIL import Image

from vidsr.cli.json_progress import json_progress
from vidsr.estimate import Estimate


def lines(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def test_the_last_line_has_all_frames_and_the_report_comes_after_it(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    ended = upscale("--progress", "json", "--json", clip, tmp_path / "out.mp4")
    assert ended.code == 0, ended.err
    first, *_, last = lines(ended.err)
    assert first == {
        "source": str(clip), "stage": "start", "frames": 0, "total": None, "fps": 0.0, "seconds_left": None
    }  # fmt: skip
    assert last["fps"] > 0
    assert {**last, "fps": 0} == {
        "source": str(clip), "stage": "done", "frames": 24, "total": 24, "fps": 0, "seconds_left": 0
    }  # fmt: skip
    assert json.loads(ended.out)["frames_written"] == 24


def test_quiet_leaves_nothing_but_the_lines(upscale: Command, clip: Path, tmp_path: Path) -> None:
    ended = upscale("--progress", "json", "-q", clip, tmp_path / "out.mp4")
    assert len(lines(ended.err)) == ended.err.count("\n") >= 2


def test_a_run_that_fails_is_never_done(upscale: Command, tmp_path: Path) -> None:
    ended = upscale("--progress", "json", tmp_path / "none.mp4", tmp_path / "out.mp4")
    assert ended.code == SOURCE
    assert [line["stage"] for line in lines(ended.err)] == ["start"]
    assert ended.err.endswith("none.mp4: No such file or directory\n")


def test_a_line_comes_each_second_with_the_frames_per_second_and_the_seconds_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with json_progress(Path("film.mkv")) as on_progress:
        on_progress(10, 40)
        time.sleep(1.3)
        on_progress(40, 40)
        time.sleep(1)
    _, second, third, last = lines(capsys.readouterr().err)
    assert (second["stage"], second["frames"], second["total"]) == ("upscale", 10, 40)
    assert 8 < second["fps"] < 10.5
    assert 2.8 < second["seconds_left"] < 4
    assert (third["stage"], last["stage"]) == ("finish", "done")
    assert third["seconds_left"] == 0


def test_the_total_is_known_after_the_last_frame(upscale: Command, clip: Path, tmp_path: Path) -> None:
    ended = upscale("--progress", "json", "--start", "0.2", "--end", "0.5", clip, tmp_path / "out.mp4")
    last = lines(ended.err)[-1]
    assert 0 < last["frames"] == last["total"] < 24


def test_an_estimate_is_printed_and_nothing_is_written(
    upscale: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    long = make_long(tmp_path / "long.mp4", clip, 400)
    before = contents(tmp_path)
    began_s = time.perf_counter()
    ended = upscale("--estimate", "--segments", "--json", long, tmp_path / "out.mp4")
    took_s = time.perf_counter() - began_s
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert contents(tmp_path) == before
    assert (found["frames"], found["size"], found["source"]) == (9600, [192, 128], str(long))
    assert 24 < found["trial_frames"] < 9600
    assert found["seconds"] == pytest.approx(9600 / found["fps"], rel=0.2, abs=3)
    assert found["bytes"] > 9600 * 20
    assert took_s < 20
    assert os.listdir(tmp_path) == ["long.mp4"]


def test_a_short_video_is_estimated_by_all_of_it_and_an_image_not_at_all(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    ended = upscale("--estimate", clip, tmp_path / "out.mp4")
    assert ended.out.startswith(f"{clip}: 192x128, 24 frames, about 0:00:0")
    assert "fps in a trial of 24 frames\n  network: " in ended.out
    Image.fromarray(scene(0)).save(tmp_path / "a.png")
    assert upscale("--estimate", tmp_path / "a.png", tmp_path / "b.png").code == USAGE
    assert upscale("--estimate", tmp_path / "none.mp4", tmp_path / "b.mp4").code == SOURCE


@pytest.mark.parametrize(("kind", "encoder"), [("y4m", "rawvideo"), ("mpegts", "libx264")])
def test_standard_output_is_estimated_in_its_container(kind: str, encoder: str, upscale: Command, clip: Path) -> None:
    ended = upscale("--estimate", "--json", "--output-format", kind, clip, "-")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["frames"], found["encoder"].partition(",")[0]) == (24, encoder)
    assert (found["bytes"] > 24 * 192 * 128 * 1.5) == (kind == "y4m")


def test_a_target_that_is_refused_is_named_in_the_estimate_as_in_a_run(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    for target, words in [(tmp_path / "film", "the name must end in"), (clip, "is the source itself")]:
        ended = upscale("--estimate", clip, target)
        assert (ended.code, ended.out) == (TARGET, "")
        assert ended.err.startswith(f"vidsr: {target}: {words}")


def test_a_broken_video_is_named_and_the_others_are_estimated(upscale: Command, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old/a.mp4").write_bytes(b"broken")
    shutil.copy(clip, tmp_path / "old/b.mp4")
    ended = upscale("--estimate", tmp_path / "old", tmp_path / "new")
    assert ended.code == SOURCE
    assert ended.err.startswith(f"vidsr: {tmp_path / 'old/a.mp4'}: ")
    assert ended.out.startswith(f"{tmp_path / 'old/b.mp4'}: 192x128, 24 frames")


def test_what_is_not_known_is_not_invented() -> None:
    known = Estimate(source=Path("a.mkv"), size=(4, 2), weights="w", precision="f32", encoder="e", trial_frames=9,
                     fps=3.0, frames=7000, seconds=2400.4, bytes=2_000_000, core_s=0.3, serial_s=0.1)  # fmt: skip
    assert known.lines()[0] == "a.mkv: 4x2, 7000 frames, about 0:40:00 and 2.0 MB, 3.0 fps in a trial of 9 frames"
    unknown = replace(known, frames=None, seconds=None, bytes=None)
    assert unknown.lines()[0] == "a.mkv: 4x2, an unknown number of frames, 3.0 fps in a trial of 9 frames"
