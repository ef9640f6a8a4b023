"""The command line: what goes where, in which order, with which exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copy

import pytest
from commands import DAMAGED, SOURCE, Command, Ended, shown
from made import make_clip
from oracles import read_with_av
from PIL import Image

import vidsr as package
from vidsr.engine import expected_precision
from vidsr.model.zoo import load_model, model_names
from vidsr.pipeline import upscale_job
from vidsr.pool.shared_pools import SharedPools
from vidsr.report import Report
from vidsr.upscale_job import UpscaleJob

# What goes where


def test_json_on_stdout_is_the_report_and_nothing_else(upscale: Command, clip: Path, tmp_path: Path) -> None:
    ended = upscale("--json", clip, tmp_path / "out.mp4")
    report = json.loads(ended.out)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert (report["source"], report["target"]) == (str(clip), str(tmp_path / "out.mp4"))
    assert [report[f"frames_{what}"] for what in ("read", "upscaled", "written")] == [24, 24, 24]
    assert (report["size"], report["damage"], report["copied"]) == ([192, 128], [], ["#1 audio aac und"])


def test_without_json_stdout_is_empty_and_stderr_says_what_was_done(
    upscale: Command, clip: Path, tmp_path: Path
) -> None:
    ended = upscale(clip, tmp_path / "out.mp4")
    assert ended.out == ""
    assert ended.err.startswith(f"{tmp_path / 'out.mp4'}: 24 frames, 192x128, ")


def test_the_bar_hides_where_nobody_watches(upscale: Command, clip: Path, tmp_path: Path) -> None:
    assert "frames/s" not in upscale(clip, tmp_path / "out.mp4").err


def test_quiet_is_silent(upscale: Command, clip: Path, tmp_path: Path) -> None:
    assert upscale("-q", clip, tmp_path / "out.mp4") == Ended(0, "", "")


def test_quiet_still_says_what_went_wrong(upscale: Command, tmp_path: Path) -> None:
    assert upscale("-q", tmp_path / "none.mp4", tmp_path / "out.mp4").err.startswith("vidsr: ")


def test_verbose_says_what_caused_an_error(upscale: Command, tmp_path: Path) -> None:
    ended = upscale("-v", tmp_path / "none.mp4", tmp_path / "out.mp4")
    assert ended.err.splitlines()[1].startswith("vidsr:   because of FileNotFoundError: ")


def test_a_bug_keeps_its_traceback(
    upscale: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.cli.batch.upscale_job", lambda *arguments: [][0])
    with pytest.raises(IndexError):
        upscale(clip, tmp_path / "out.mp4")


# Several sources


def test_several_sources_go_into_a_folder_under_their_names(upscale: Command, clip: Path, tmp_path: Path) -> None:
    sources = [tmp_path / "a.mp4", tmp_path / "b.avi", tmp_path / "c.flv"]
    for source in sources:
        make_clip(source, pts=[0, 512])
    (tmp_path / "new").mkdir()
    assert upscale(*sources, tmp_path / "new").code == 0
    assert shown(tmp_path / "new") == ["a.mp4", "b.mkv", "c.mkv"]


def test_a_folder_stands_for_the_videos_and_pictures_in_it(
    upscale: Command, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("old", "new", "old/further", "old/.hidden"):
        (tmp_path / folder).mkdir()
    make_clip(tmp_path / "old" / "a.MP4", pts=[0, 512])
    for name in ("b.png", "c.bmp"):
        Image.new("RGB", (8, 8)).save(tmp_path / "old" / name)
    (tmp_path / "old" / "notes.txt").write_text("not a video")
    assert upscale(tmp_path / "old", tmp_path / "new").code == 0
    assert f"{tmp_path / 'old'}: the folders in it are passed over, without --recursive: further" in caplog.messages
    assert shown(tmp_path / "new") == ["a.MP4", "b.png", "c.png"]


def test_a_bad_file_among_good_ones_costs_only_itself(upscale: Command, tmp_path: Path) -> None:
    sources = [tmp_path / f"{name}.mp4" for name in "abcd"]
    for source in sources:
        make_clip(source, pts=[0, 512])
    sources[1].write_text("text")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "c.mp4").touch()
    ended = upscale("-q", *sources, tmp_path / "new")
    assert ended.code == DAMAGED
    assert [line.partition(": ")[2][:-5].partition(".mp4: ")[2][:6] for line in ended.err.splitlines()] == [
        "not a ",
        "exists",
    ]
    assert [len(read_with_av(tmp_path / "new" / name).pts) for name in ("a.mp4", "d.mp4")] == [2, 2]


def test_a_folder_ends_with_a_table_of_what_failed(upscale: Command, tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    for name in ("a.mp4", "b.mp4", "d.mp4"):
        make_clip(tmp_path / "old" / name, pts=[0, 512])
    (tmp_path / "old" / "b.mp4").write_text("text")
    (tmp_path / "old" / "c.png").write_text("text")
    ended = upscale(tmp_path / "old", tmp_path / "new")
    assert ended.code == DAMAGED
    head, *table = ended.err.splitlines()[-3:]
    assert head == "vidsr: 2 of 4 files failed or are damaged:"
    for name, line in zip(("b.mp4", "c.png"), table, strict=True):
        assert line.startswith(f"vidsr:   exit code 3: {tmp_path / 'old' / name}: ")
    assert "failed" not in upscale("--overwrite", tmp_path / "old" / "a.mp4", tmp_path / "new").err


def test_a_bug_on_one_file_of_several_costs_only_that_file(
    upscale: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(job: UpscaleJob, pools: SharedPools) -> Report:
        assert job.source.name != "a.mp4"
        return upscale_job(job, pools)

    monkeypatch.setattr("vidsr.cli.batch.upscale_job", faulty)
    (tmp_path / "new").mkdir()
    sources = [make_clip(tmp_path / name, pts=[0]) for name in ("a.mp4", "b.mp4")]
    ended = upscale(*sources, tmp_path / "new")
    assert (ended.code, shown(tmp_path / "new")) == (DAMAGED, ["b.mp4"])
    assert "Traceback" in ended.err
    assert "a.mp4: AssertionError" in ended.err.splitlines()[-1]


def test_sources_that_differ_in_their_suffix_keep_it_in_the_target(upscale: Command, tmp_path: Path) -> None:
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    for name in ("a.mkv", "a.avi", "a.flv", "b.avi"):
        make_clip(tmp_path / "old" / name, pts=[0, 512])
    for name in ("a.png", "a.bmp"):
        Image.new("RGB", (8, 8)).save(tmp_path / "old" / name)
    assert upscale(tmp_path / "old", tmp_path / "new").code == 0
    assert shown(tmp_path / "new") == ["a.avi.mkv", "a.bmp.png", "a.flv.mkv", "a.mkv", "a.png", "b.mkv"]


def test_a_folder_passes_over_hidden_and_foreign_files(upscale: Command, tmp_path: Path) -> None:
    for folder in ("old", "new", "old/b.mp4", "old/.hidden.mp4"):
        (tmp_path / folder).mkdir()
    make_clip(tmp_path / "old" / "a.mp4", pts=[0, 512])
    (tmp_path / "old" / "._a.mp4").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "c.mp4.part",
        "d.mp4.crdownload",
        "e.srt",
        "f.jpg.txt",
        "index.ts",
        "go.mod",
    ):
        (tmp_path / "old" / name).write_text("foreign")
    for name in ("pipe.mp4", "pipe.ts"):
        os.mkfifo(tmp_path / "old" / name)
    assert upscale(tmp_path / "old", tmp_path / "new").code == 0
    assert shown(tmp_path / "new") == ["a.mp4"]
    (tmp_path / "old" / "nowhere.mp4").symlink_to("nothing")
    assert "No such file" in upscale("--overwrite", tmp_path / "old", tmp_path / "new").err, "not lost without a word"


def test_sources_that_would_become_one_target_are_refused(upscale: Command, tmp_path: Path) -> None:
    for folder in ("x", "y", "new"):
        (tmp_path / folder).mkdir()
    sources = [make_clip(tmp_path / folder / "a.mp4", pts=[0]) for folder in ("x", "y")]
    ended = upscale(*sources, tmp_path / "new")
    assert ended == Ended(2, "", f"vidsr: {tmp_path / 'new' / 'a.mp4'}: two sources have this target\n")
    assert shown(tmp_path / "new") == []


# Usage


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scale", "5"], "--scale must be 2, 3 or 4, not 5"),
        (["--to", "banana"], "--to must be a size like 1080p or 1920x1080, not 'banana'"),
        (["--start", "3", "--end", "2"], "--end must be later than the start, not 2"),
        (["--start", "nan"], "argument --start: invalid seconds value: 'nan'; see vidsr upscale --help"),
        (["--crf", "99"], "--crf must be from 0 to 63, not 99"),
        (["--workers", "-1"], "--workers must be from 0 to 1024, not -1"),
        (["--workers", "two"], "argument --workers: invalid int value: 'two'; see vidsr upscale --help"),
        (["--start", "1:2:3:4"], "argument --start: invalid seconds value: '1:2:3:4'; see vidsr upscale --help"),
        (["--bananas"], "unrecognized arguments: --bananas; see vidsr upscale --help"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(
    upscale: Command, clip: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    assert upscale(*options, clip, tmp_path / "out.mp4") == Ended(2, "", f"vidsr: {sentence}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["banana"], ["upscale"], ["upscale", "one.mp4"]])
def test_a_command_that_is_not_whole_is_refused(vidsr: Command, arguments: list[str]) -> None:
    ended = vidsr(*arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("arguments", [["", "out.mp4"], ["in.mp4", ""], ["in.mp4", "out.mp4", "--failed="]])
def test_an_empty_path_is_not_the_current_folder(
    vidsr: Command, arguments: list[str], clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy(clip, "in.mp4")
    subject = "--failed is" if len(arguments) > 2 else "an argument is"
    assert vidsr("upscale", *arguments) == Ended(2, "", f"vidsr: {subject} empty; is a variable unset?\n")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str], vidsr: Command) -> None:
    with pytest.raises(SystemExit, match="0"):
        vidsr("--version")
    assert capsys.readouterr().out == f"vidsr {package.__version__}\n"


@pytest.mark.parametrize("written", ["0.5", "0:00.5", "0:0:0.5"])
def test_a_time_may_be_written_in_three_ways(upscale: Command, clip: Path, tmp_path: Path, written: str) -> None:
    upscale("--end", written, clip, tmp_path / "out.mp4")
    pts = read_with_av(tmp_path / "out.mp4").pts
    assert 0.4 < pts[-1] - pts[0] < 0.5


# Info


def test_info_says_what_runs_here(vidsr: Command) -> None:
    ended = vidsr("info")
    assert ended.code == 0
    for name in ("vidsr", "python", "av", "openvino", "ray", "cpu", "affinity", "workers", "shares", "models"):
        assert f"{name}:" in ended.out


def test_info_says_which_precision_each_network_gets_here_and_why(vidsr: Command, clip: Path) -> None:
    chosen = {name: str(expected_precision(load_model(name))) for name in model_names()}
    assert json.loads(vidsr("info", "--json").out)["precisions"] == chosen
    assert all(f"  {name}: {precision}\n" in vidsr("info").out for name, precision in list(chosen.items())[:2])
    facts = json.loads(vidsr("info", "--json", clip).out)
    assert facts["precision"] == chosen[facts["model"].partition(" ")[0]]


def test_the_report_says_in_which_precision_it_was_and_why(vidsr: Command, clip: Path, tmp_path: Path) -> None:
    ended = vidsr("upscale", "--model", "fsrcnn-fast-x2", "--json", "--workers", "0", clip, tmp_path / "out.mp4")
    report, expected = json.loads(ended.out), expected_precision(load_model("fsrcnn-fast-x2"))
    assert (report["precision"], report["precision_why"]) == (expected.precision, expected.why)
    assert f"precision: {expected}" in ended.err


def test_info_as_json_has_the_same_names(vidsr: Command) -> None:
    facts = json.loads(vidsr("info", "--json").out)
    assert facts["vidsr"] == package.__version__
    lines = [line for line in vidsr("info").out.splitlines() if not line.startswith(" ")]
    assert [line.partition(":")[0] for line in lines] == list(facts)


def test_info_says_what_is_in_a_file(vidsr: Command, clip: Path) -> None:
    facts = json.loads(vidsr("info", "--json", clip).out)
    assert (facts["width"], facts["height"], facts["codec"], facts["frames"]) == (96, 64, "h264", 24)
    assert [stream["kind"] for stream in facts["others"]] == ["audio"]
    assert "codec: h264\n" in vidsr("info", clip).out


def test_info_of_a_file_that_is_not_there_fails(vidsr: Command, tmp_path: Path) -> None:
    ended = vidsr("info", tmp_path / "none.mp4")
    assert (ended.code, ended.out, ended.err.count("\n")) == (SOURCE, "", 1)


def test_a_reader_that_goes_away_is_no_traceback(clip: Path) -> None:
    command = f"{sys.executable} -m vidsr info --json {clip} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
