"""A crash of a native library: it costs the file that it happens on, which gets a sentence and an exit code."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from commands import DAMAGED, SOURCE, TARGET, shown
from fork_server import ForkedPython, run_forked
from made import make_clip, make_long
from oracles import read_with_av

from vidsr.cli.crash_guard import Journal, Outcome

CRASHING = """
import ctypes, os, signal, sys

def patch():
    import av
    av_open = av.open
    def crash(file, *arguments, **options):
        name = str(file)
        if "segv" in name:
            ctypes.string_at(0)
        if "abort" in name:
            os.abort()
        if "killed" in name:
            os.kill(os.getpid(), signal.SIGKILL)
        return av_open(file, *arguments, **options)
    av.open = crash

os.register_at_fork(after_in_child=patch)
from vidsr.cli import main
sys.exit(main())
"""
"""The command line, where opening a file of such a name ends the process as a fault of FFmpeg does."""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_forked([sys.executable, "-c", CRASHING, *arguments], text=True)


def upscale(*arguments: str | Path, model: str) -> subprocess.CompletedProcess[str]:
    return run("upscale", "-q", "--workers", "0", "--model", model, *arguments)


@pytest.mark.parametrize(("name", "crash"), [("segv.mp4", "SIGSEGV"), ("abort.mp4", "SIGABRT")])
def test_a_crash_on_a_file_is_one_sentence(tmp_path: Path, tiny_model: str, name: str, crash: str) -> None:
    source = make_clip(tmp_path / name, pts=[0])
    ended = upscale(source, tmp_path / "out.mp4", model=tiny_model)
    assert (ended.returncode, ended.stdout) == (SOURCE, "")
    assert ended.stderr.startswith(f"vidsr: {source}: FFmpeg or another native library crashed ({crash})")
    assert "Traceback" not in ended.stderr
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("segments", [[], ["--segments"]])
def test_a_crash_costs_only_its_file(tmp_path: Path, tiny_model: str, segments: list[str]) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for name in ("a", "b-segv", "c", "d-abort", "e"):
        make_clip(tmp_path / "old" / f"{name}.mp4", pts=[0, 512])
    (tmp_path / "old" / "f.mp4").write_text("no video")
    options = ["--workers", "0", "--threads", "2", "--model", tiny_model, *segments]
    ended = run("upscale", *options, tmp_path / "old", tmp_path / "new")
    assert ended.returncode == DAMAGED
    assert shown(tmp_path / "new") == ["a.mp4", "c.mp4", "e.mp4"]
    assert all(len(read_with_av(path).pts) == 2 for path in (tmp_path / "new").glob("*.mp4"))
    table = ended.stderr.partition("vidsr: 3 of 6 files failed or are damaged:\n")[2].splitlines()
    for name, line in zip(("b-segv", "d-abort", "f"), sorted(table), strict=True):
        assert line.startswith(f"vidsr:   exit code 3: {tmp_path / 'old' / name}.mp4: ")


def test_a_crash_leaves_no_part_file(tmp_path: Path, tiny_model: str) -> None:
    """Opening the part file again, after a packet was dropped, is the last thing that may crash."""
    source = make_clip(tmp_path / "in.mp4", pts=[0])
    target = tmp_path / "out-segv.mp4"
    script = CRASHING.replace("name = str(file)", "name = str(getattr(file, 'name', ''))")
    command = [sys.executable, "-c", script, "upscale", "--workers", "0", "--model", tiny_model, source, target]
    ended = run_forked(command, text=True)
    assert (ended.returncode, os.listdir(tmp_path)) == (SOURCE, ["in.mp4"])


def test_no_outcome_is_lost_where_many_files_end_at_once() -> None:
    outcome = Outcome(source="a", code=0)
    with Journal() as journal, ThreadPoolExecutor(8) as files:
        for number in range(4000):
            files.submit(journal.end, f"{number}", outcome)
        files.shutdown()
        assert len(journal.outcomes) == 4000


def test_a_parent_that_ignores_its_children_changes_nothing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[0])
    command = [sys.executable, "-c", CRASHING, "info", source]
    ignore = partial(signal.signal, signal.SIGCHLD, signal.SIG_IGN)
    ended = subprocess.run(command, preexec_fn=ignore, capture_output=True, text=True, check=False, timeout=100)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_crash_at_the_end_of_the_process_changes_nothing(tmp_path: Path, tiny_model: str) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[0])
    script = CRASHING.replace("import av\n", "import atexit, av\n    atexit.register(ctypes.string_at, 0)\n")
    command = [sys.executable, "-c", script, "upscale", "-q", "--workers", "0", "--model", tiny_model]
    ended = run_forked([*command, source, tmp_path / "out.mp4"], text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(read_with_av(tmp_path / "out.mp4").pts) == 1


def test_a_source_with_the_name_of_a_part_file_survives_a_crash(tmp_path: Path, tiny_model: str) -> None:
    source = make_clip(tmp_path / "in-segv.mp4", pts=[0]).rename(tmp_path / "segv.mp4.vidsr.part")
    assert upscale(source, tmp_path / "segv.mp4", model=tiny_model).returncode == SOURCE
    assert os.listdir(tmp_path) == ["segv.mp4.vidsr.part"]


def test_other_commands_have_a_sentence_too(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "segv.mp4", pts=[0])
    ended = run("info", source)
    assert (ended.returncode, ended.stdout) == (SOURCE, "")
    assert ended.stderr.startswith("vidsr: FFmpeg or another native library crashed (SIGSEGV)")


def test_a_process_that_was_killed_is_no_crash_of_a_file(tmp_path: Path, tiny_model: str) -> None:
    source = make_clip(tmp_path / "killed.mp4", pts=[0])
    ended = upscale(source, tmp_path / "out.mp4", model=tiny_model)
    assert ended.returncode == 128 + signal.SIGKILL
    assert "usually for lack of memory" in ended.stderr


def test_nothing_works_on_when_the_command_is_killed(clip: Path, tmp_path: Path, tiny_model: str) -> None:
    source, target = make_long(tmp_path / "long.mp4", clip, 300), tmp_path / "out.mp4"
    command = [sys.executable, "-m", "vidsr", "upscale", "--workers", "0", "--model", tiny_model]
    with ForkedPython([*command, source, target]) as process:
        while len(list(tmp_path.iterdir())) == 1:
            assert process.poll() is None
            time.sleep(0.02)
        family = psutil.Process(process.pid).children()
        assert len(family) == 1
        process.kill()
        assert psutil.wait_procs(family, timeout=5)[1] == []


@pytest.mark.parametrize(
    ("options", "closed"),
    [
        ("-v", "0<&-"),
        ("--json", "1>&-"),
        ("-v", "2>&-"),
        ("-v --json", "0<&- 1>&- 2>&-"),
        ("-v", "2>/dev/full"),
    ],
)
def test_closed_standard_streams_change_nothing(tmp_path: Path, tiny_model: str, closed: str, options: str) -> None:
    source, target = make_clip(tmp_path / "in.mp4", pts=[0, 512]), tmp_path / "out.mp4"
    command = (
        f"{sys.executable} -m vidsr upscale {options} --workers 0 --model {tiny_model} {source} {target} {closed}"
    )
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    assert len(read_with_av(target).pts) == 2


@pytest.mark.parametrize("names", [("in.mp4", "out.mp4"), ("in.mp4", "second.mp4", "folder")])
def test_a_report_that_cannot_be_printed_ends_the_command(
    tmp_path: Path, tiny_model: str, names: tuple[str, ...]
) -> None:
    for name in ("in.mp4", "second.mp4"):
        make_clip(tmp_path / name, pts=[0, 512])
    (tmp_path / "folder").mkdir()
    files = " ".join(str(tmp_path / name) for name in names)
    command = f"{sys.executable} -m vidsr upscale -q --json --workers 0 --model {tiny_model} {files} >/dev/full"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (TARGET, "vidsr: standard output: No space left on device\n")
