"""Many files as one job: what is made, what is skipped, what is said of those that fail."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import DAMAGED, SOURCE, TARGET, USAGE, Command, Ended, Refused, shown
from made import make_clip, scene
from PIL import Image
from test_segment_journal import KEY, made

import vidsr as package
from vidsr.batch import RECORD_NAME
from vidsr.pool.ray_workers import RayWorkers
from vidsr.segments import plan
from vidsr.segments.journal import SegmentJournal
from vidsr.settings import PoolSettings, UpscaleSettings


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders: the first has three clips of different lengths, one of them in a folder."""
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "sub").mkdir(parents=True)
    new.mkdir()
    for name, frames in (("a.mp4", 20), ("b.mkv", 50), ("sub/c.mp4", 30)):
        make_clip(old / name, pts=[512 * number for number in range(frames)], options={"g": "20"})
    return old, new


def lines(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{")]


def test_files_by_segments_are_each_as_they_are_alone(
    upscale: Command, folders: tuple[Path, Path], tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MIN_SECONDS", 0.6)
    old, new = folders
    make_clip(old / "d.avi", codec="mpeg4", pts=[512, 1024])
    Image.fromarray(scene(0)).save(old / "e.png")
    ended = upscale("--segments", "--threads", "3", "--recursive", "--json", old, new)
    assert ended.code == 0, ended.err
    assert shown(new) == ["a.mp4", "b.mkv", "d.mkv", "e.png", "sub"]
    assert {str(line["target"]) for line in lines(ended.out)} == {
        str(new / name) for name in ("a.mp4", "b.mkv", "d.mkv", "e.png", "sub/c.mp4")
    }
    settings, pool = UpscaleSettings(model=tiny_model, segments=True), PoolSettings(workers=0, threads=1)
    for name in ("a.mp4", "b.mkv", "sub/c.mp4"):
        alone = tmp_path / f"alone{Path(name).suffix}"
        package.upscale(old / name, alone, settings=replace(settings, overwrite=True), pool=pool)
        assert (new / name).read_bytes() == alone.read_bytes()


def test_workers_are_started_once_for_all_files(
    vidsr: Command, ray: None, folders: tuple[Path, Path], tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = folders
    opened = []
    enter = RayWorkers.__enter__
    monkeypatch.setattr(RayWorkers, "__enter__", lambda workers: (opened.append(workers), enter(workers))[1])
    options = ["--model", tiny_model, "--workers", "1", "--threads", "1", "--recursive"]
    assert vidsr("upscale", *options, old, new).code == 0
    by_frames = {path: path.stat().st_size for path in new.rglob("*.m*")}
    assert (len(opened), len(by_frames)) == (1, 3)
    assert vidsr("upscale", *options, "--segments", "--overwrite", old, new).code == 0
    assert (len(opened), len([*new.rglob("*.m*")])) == (2, 3)


def test_finished_targets_are_skipped_and_only_those(
    upscale: Command, folders: tuple[Path, Path], tiny_model: str
) -> None:
    old, new = folders
    (old / "bad.mp4").write_text("no video")
    first = upscale("--recursive", old, new)
    assert first.code == DAMAGED
    before = {path: path.stat().st_mtime_ns for path in new.rglob("*.m*")}
    again = upscale("--recursive", "--resume", "--json", "-q", old, new)
    assert again.code == DAMAGED
    assert {path: path.stat().st_mtime_ns for path in new.rglob("*.m*")} == before
    assert [line.get("skipped", False) for line in lines(again.out)].count(True) == 3
    assert [line["code"] for line in lines(again.out) if "error" in line] == [SOURCE]
    (old / "bad.mp4").unlink()
    assert upscale("--recursive", "--resume", old, new).code == 0


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        (lambda old, new: None, ["--crf", "30"], ", and was made with other settings or another version"),
        (lambda old, new: os.utime(old / "a.mp4"), [], ", and its source has changed since"),
        (
            lambda old, new: (new / "a.mp4").write_bytes((new / "a.mp4").read_bytes()[:-1]),
            [],
            ", and is not the file that was finished",
        ),
        (lambda old, new: (new / RECORD_NAME).unlink(), [], ""),
        (lambda old, new: (new / RECORD_NAME).write_text('{"target": "a.mp4"}\n[]\nx\n'), [], ""),
    ],
)
def test_a_target_of_something_else_is_none_that_is_finished(
    upscale: Command, folders: tuple[Path, Path], change: Callable[[Path, Path], object], options: list[str], why: str
) -> None:
    old, new = folders
    (old / "b.mkv").unlink()
    shutil.rmtree(old / "sub")
    assert upscale("--resume", old, new).code == 0
    change(old, new)
    ended = upscale("-q", "--resume", *options, old, new)
    assert (ended.code, ended.err) == (
        TARGET, f"vidsr: {new / 'a.mp4'}: exists already{why} (--overwrite replaces it)\n"
    )  # fmt: skip
    assert upscale("--resume", "--overwrite", *options, old, new).code == 0
    assert upscale("--resume", *options, old, new).code == 0


def test_a_torn_line_of_the_record_costs_only_itself(upscale: Command, folders: tuple[Path, Path]) -> None:
    old, new = folders
    (new / RECORD_NAME).write_text('{"target": "a.mp')
    assert upscale(old / "a.mp4", old / "b.mkv", new).code == 0
    assert upscale("-q", "--resume", old / "a.mp4", old / "b.mkv", new).code == 0


@pytest.mark.parametrize("several", [False, True])
def test_a_folder_to_write_into_is_made_once_the_run_begins(upscale: Command, tmp_path: Path, several: bool) -> None:
    old, new = tmp_path / "old", tmp_path / "deep" / "new"
    old.mkdir()
    clips = [make_clip(old / name, pts=[0, 512]) for name in ("a.mp4", "b.mp4")]
    sources = clips if several else ["--recursive", "--resume", old]
    for option in ("--explain", "--estimate", "--discard"):
        ended = upscale(option, *sources, new)
        assert (ended.code, new.parent.exists()) == (0, False), ended.err
    assert upscale("--failed", old, *sources, new).code == USAGE
    assert not new.parent.exists()
    assert upscale("--failed", new / "failed.jsonl", *sources, new).code == 0
    assert shown(new) == ["a.mp4", "b.mp4", "failed.jsonl"]
    assert upscale("-q", "--resume", *sources, new) == Ended(0, "", "")


def test_the_only_film_of_a_folder_may_lie_in_one_in_it(upscale: Command, folders: tuple[Path, Path]) -> None:
    old, new = folders
    for name in ("a.mp4", "b.mkv"):
        (old / name).unlink()
    assert upscale("-q", "--recursive", old, new) == Ended(0, "", "")
    assert shown(new / "sub") == ["c.mp4"]


def test_several_sources_go_into_no_file(upscale: Command, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of somebody")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    needs = "is no folder; several sources, or a folder, need a folder as target"
    for name in ("file", "link", "film.mp4"):
        assert upscale(clip, clip, tmp_path / name) == Ended(USAGE, "", f"vidsr: {tmp_path / name}: {needs}\n")
    assert upscale(clip, clip, "-") == Ended(
        2, "", "vidsr: several sources, or a folder, cannot go to standard output; name a folder as target\n"
    )
    assert shown(tmp_path) == ["file", "link"]


def test_a_target_in_the_source_is_not_upscaled_again(upscale: Command, folders: tuple[Path, Path]) -> None:
    old, _ = folders
    (old / "larger").mkdir()
    for _ in range(2):
        assert upscale("--recursive", "--overwrite", old, old / "larger").code == 0
    assert shown(old / "larger") == ["a.mp4", "b.mkv", "sub"]
    assert shown(old / "larger" / "sub") == ["c.mp4"]


@pytest.mark.parametrize("segments", [[], ["--segments"]])
def test_a_third_of_many_files_is_broken(upscale: Command, tmp_path: Path, segments: list[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    good = make_clip(tmp_path / "good.mp4", pts=[512 * number for number in range(8)]).read_bytes()
    broken = [b"", b"no video", good[: len(good) // 2]]
    for number in range(18):
        (old / f"{number:02}.mp4").write_bytes(broken[number % 9 // 3] if number % 3 == 0 else good)
    failed = tmp_path / "failed.jsonl"
    ended = upscale("-q", "--json", "--failed", failed, *segments, old, new)
    assert (ended.code, len(shown(new)), "Traceback" in ended.err) == (DAMAGED, 12, False)
    assert sorted(line.split(": ")[1] for line in ended.err.splitlines()) == [
        str(old / f"{number:02}.mp4") for number in range(0, 18, 3)
    ]
    assert len(lines(ended.out)) == 18
    listed = lines(failed.read_text())
    assert sorted(str(each["source"]) for each in listed) == [str(old / f"{n:02}.mp4") for n in range(0, 18, 3)]
    assert {each["code"] for each in listed} == {SOURCE}
    assert upscale("-q", "--overwrite", "--failed", failed, old / "01.mp4", old / "02.mp4", new).code == 0
    assert failed.read_text() == ""


def test_where_all_fail_the_code_is_that_of_the_first(upscale: Command, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no video")
    (tmp_path / "new").mkdir()
    assert upscale(tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "new").code == SOURCE


def test_the_list_of_failures_replaces_no_video(upscale: Command, clip: Path, tmp_path: Path) -> None:
    for name, code in ((tmp_path / "film.mp4", USAGE), (tmp_path / "none" / "list", TARGET)):
        ended = upscale("--failed", name, clip, tmp_path / "out.mp4")
        assert (ended.code, ended.err.count("\n"), shown(tmp_path)) == (code, 1, [])


def test_the_list_of_failures_is_no_folder(upscale: Command, clip: Path, tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", pts=[0])
    (tmp_path / "new").mkdir()
    for source in (tmp_path, clip):  # of which the first is a source, too
        ended = upscale("--failed", tmp_path, source, tmp_path / "new")
        sentence = f"--failed {tmp_path}: is a folder; give the name of a file for the list"
        assert (ended.code, ended.out, ended.err.splitlines()[-1]) == (USAGE, "", f"vidsr: {sentence}")


def test_progress_over_all_files_is_a_line_of_its_own(upscale: Command, folders: tuple[Path, Path]) -> None:
    ended = upscale("--progress", "json", "--recursive", "--segments", *folders)
    whole = [line for line in lines(ended.err) if line["stage"] == "all"]
    assert whole[-1] == {
        "stage": "all", "files": 3, "files_done": 3, "files_failed": 0, "part": 1.0, "seconds_left": 0.0
    }  # fmt: skip
    assert len({line["source"] for line in lines(ended.err) if line["stage"] == "done"}) == 3


# What earlier runs kept


def test_segments_of_an_earlier_run_are_discarded_on_request(upscale: Command, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    kept = made(target, 2)
    with SegmentJournal(target, KEY):
        ended = upscale("--discard", clip, target)
        assert (ended.code, ended.err) == (TARGET, f"vidsr: {kept}: another run works on these segments\n")
    assert len(shown(kept)) == 3
    ended = upscale("--discard", clip, target)
    assert (ended.code, ended.err, shown(tmp_path)) == (0, f"vidsr: {kept}: deleted\n", [])
    kept.mkdir()
    (kept / "mine").write_text("of somebody")
    assert (upscale("--discard", clip, target).err, shown(kept)) == ("", ["mine"])


@pytest.mark.parametrize("option", ["--estimate", "--explain"])
def test_what_is_finished_is_left_out_of_an_estimate_of_the_rest(
    option: str, upscale: Command, folders: tuple[Path, Path]
) -> None:
    old, new = folders
    assert upscale(old / "a.mp4", old / "b.mkv", new).code == 0
    ended = upscale("--recursive", "--resume", option, "--json", old, new)
    assert (ended.code, ended.err) == (0, "vidsr: 2 of 3 videos are finished, and left out\n")
    assert len(lines(ended.out)) == 1
    assert str(old / "sub" / "c.mp4") in ended.out
    assert len(lines(upscale("--recursive", option, "--json", old, new).out)) == 3
    os.utime(old / "a.mp4")  # another source
    assert len(lines(upscale("--resume", option, "--json", old, new).out)) == 1


def test_options_that_ask_for_two_things_are_refused(refused: Refused, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    for one in ("--estimate", "--explain"):
        told = refused(USAGE, one, "--discard", clip, target)
        assert f"{one} and --discard exclude each other" in told
    for one in ("--estimate", "--explain", "--discard"):
        for other in (["--verify"], ["--failed", tmp_path / "failed.jsonl"]):
            assert f"{other[0]} needs a run; {one} upscales nothing" in refused(USAGE, one, *other, clip, target)
    assert "--resume skips what is finished in a folder of targets" in refused(USAGE, "--resume", clip, target)
