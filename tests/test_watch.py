"""A watched folder: every new file once, when it has stopped growing, whatever happens on the way."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from commands import SOURCE, TARGET, USAGE, Command, Ended, full_disk
from fork_server import ForkedPython
from made import make_clip, make_long, scene
from oracles import read_with_av
from PIL import Image

from vidsr.errors import DAMAGED
from vidsr.watch import LOG_NAME, Entry, WatchLog

QUICK = ("--interval", "0.1", "--settle", "0.3", "--workers", "0")
Watch = Callable[..., Ended]


def until(condition: Callable[[], object]) -> None:
    """Waits for it."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The watched folder, and that of the targets."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    target.mkdir()
    return source, target


@pytest.fixture
def watch(vidsr: Command, tiny_model: str, folders: tuple[Path, Path]) -> Watch:
    """`vidsr watch` until the steps, in another thread, are done; they are stopped by SIGTERM."""

    def run(steps: Callable[[], None], *options: str | Path) -> Ended:
        faults: list[BaseException] = []

        def act() -> None:
            try:
                steps()
            except BaseException as fault:
                faults.append(fault)
            if callable(signal.getsignal(signal.SIGTERM)):  # else pytest itself would end, and say nothing
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                faults.append(AssertionError("nothing handles SIGTERM"))

        thread = threading.Thread(target=act)
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # in case it comes late
        thread.start()
        ended = vidsr("watch", "--model", tiny_model, *QUICK, *options, *folders)
        thread.join()
        signal.signal(signal.SIGTERM, before)
        assert not faults, (faults, ended.err)
        return ended

    return run


def entries(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / LOG_NAME).read_text().splitlines()]


def test_each_file_is_upscaled_once_also_after_a_restart(watch: Watch, folders: tuple[Path, Path], clip: Path) -> None:
    source, target = folders
    (source / "sub").mkdir()
    shutil.copy(clip, source / "a.mp4")
    make_clip(source / "sub" / "b.avi", codec="mpeg4", pts=[512 * i for i in range(5)])
    Image.fromarray(scene(0)).save(source / "c.bmp")
    shutil.copy(clip, source / ".hidden.mp4")
    (source / "notes.txt").write_text("no video")
    wanted = [target / "a.mp4", target / "sub" / "b.mkv", target / "c.png"]
    ended = watch(lambda: until(lambda: all(path.exists() for path in wanted)))
    assert ended.code == 0, ended.err
    made = {path: path.stat().st_ino for path in wanted}
    assert len(read_with_av(target / "a.mp4").pictures) == 24

    def add_another() -> None:
        shutil.copy(clip, source / "d.mp4")
        until((target / "d.mp4").exists)

    assert watch(add_another).code == 0
    assert {path: path.stat().st_ino for path in wanted} == made
    assert sorted(os.listdir(target)) == [LOG_NAME, "a.mp4", "c.png", "d.mp4", "sub"]
    assert len(list(source.rglob("*"))) == 7, "the sources stay"


def test_sources_are_moved_and_failures_set_apart_with_their_report(
    watch: Watch, folders: tuple[Path, Path], clip: Path, tmp_path: Path
) -> None:
    source, target = folders
    done, failed = source / "done", tmp_path / "failed"
    done.mkdir()
    failed.mkdir()
    (source / "sub").mkdir()
    shutil.copy(clip, source / "sub" / "a.mp4")
    (source / "bad.mp4").write_bytes(b"no video" * 100)
    cut = make_clip(source / "cut.mkv")
    cut.write_bytes(cut.read_bytes()[:-300])
    ended = watch(
        lambda: until(lambda: (done / "sub" / "a.mp4").exists() and len(os.listdir(failed)) == 4),
        "--done", done, "--failed", failed,
    )  # fmt: skip
    assert ended.code == 0
    assert [path.name for path in source.rglob("*") if path.is_file() and done not in path.parents] == []
    report = json.loads((failed / "bad.mp4.json").read_text())
    assert report["code"] == SOURCE
    assert report["sentence"].startswith(f"{source / 'bad.mp4'}: not a media file")
    report = json.loads((failed / "cut.mkv.json").read_text())
    assert report["code"] == DAMAGED
    assert report["report"]["damage"]
    assert (target / "cut.mkv").exists(), "what could be read of it"


def test_failures_stay_where_no_folder_is_named_and_are_not_tried_again(
    watch: Watch, folders: tuple[Path, Path], clip: Path
) -> None:
    source, target = folders
    (source / "bad.mp4").write_bytes(b"no video" * 100)
    report = target / "failed" / "bad.mp4.json"
    ended = watch(lambda: (until(report.exists), time.sleep(0.8)))  # type: ignore[func-returns-value]
    assert ended.err.count("bad.mp4: not a media file") == 1
    assert os.listdir(source) == ["bad.mp4"]
    assert "bad.mp4" not in watch(lambda: time.sleep(1)).err
    shutil.copy(clip, source / "bad.mp4")  # mended
    assert watch(lambda: until((target / "bad.mp4").exists)).code == 0


def test_a_file_that_has_changed_replaces_its_own_target_and_never_another(
    watch: Watch, folders: tuple[Path, Path], clip: Path
) -> None:
    source, target = folders
    shutil.copy(clip, source / "a.mp4")
    (target / "b.mp4").write_text("of somebody")

    def change() -> None:
        until((target / "a.mp4").exists)
        first = (target / "a.mp4").stat().st_ino
        make_clip(source / "a.mp4", pts=[512 * i for i in range(7)])
        shutil.copy(clip, source / "b.mp4")
        until(lambda: (target / "a.mp4").stat().st_ino != first)
        until((target / "failed" / "b.mp4.json").exists)
        make_clip(source / "b.mp4", pts=[512 * i for i in range(7)])
        until((target / "failed" / "b.mp4_2.json").exists)

    assert watch(change).code == 0
    assert len(read_with_av(target / "a.mp4").pictures) == 7
    assert (target / "b.mp4").read_text() == "of somebody"
    assert json.loads((target / "failed" / "b.mp4.json").read_text())["code"] == TARGET


def test_two_sources_of_one_name_have_two_targets(watch: Watch, folders: tuple[Path, Path]) -> None:
    source, target = folders
    make_clip(source / "a.mkv", pts=[0, 512])
    make_clip(source / "a.avi", codec="mpeg4", pts=[512 * i for i in range(5)])
    both = [{LOG_NAME, "a.avi.mkv", "a.mkv"}, {LOG_NAME, "a.mkv", "a.mkv.mkv"}]
    watch(lambda: until(lambda: {*os.listdir(target)} in both))
    assert {*os.listdir(target)} in both


def test_a_stop_leaves_nothing_of_the_file_in_work_and_it_is_begun_anew(
    watch: Watch, folders: tuple[Path, Path], clip: Path
) -> None:
    source, target = folders
    make_long(source / "long.mp4", clip, 2000)
    part = target / "long.mp4.vidsr.part"
    ended = watch(lambda: until(lambda: part.exists() and part.stat().st_size > 10_000))
    assert ended.code == 0
    assert os.listdir(target) == [LOG_NAME]
    assert [(entry["code"], entry["attempt"]) for entry in entries(target)] == [(None, 1), (None, 0)]
    watch(lambda: until(part.exists))
    assert entries(target)[2]["attempt"] == 1


def test_a_folder_that_is_gone_for_a_while_is_waited_for(
    watch: Watch, folders: tuple[Path, Path], clip: Path, tmp_path: Path
) -> None:
    source, target = folders

    def unmount() -> None:
        shutil.copy(clip, source / "a.mp4")
        until((target / "a.mp4").exists)
        source.rename(tmp_path / "away")
        time.sleep(0.5)
        (tmp_path / "away").rename(source)
        target.rename(tmp_path / "away")
        target.mkdir()  # as a mount point is without its share
        shutil.copy(clip, source / "b.mp4")
        time.sleep(1.5)
        assert os.listdir(target) == []
        target.rmdir()
        (tmp_path / "away").rename(target)
        until((target / "b.mp4").exists)

    ended = watch(unmount)
    assert ended.code == 0
    assert ended.err.count(f"{source}: No such file or directory; tried again every 0.1 s") == 1
    assert ended.err.count(f"{target}: is not there any more; tried again every 0.1 s") == 1
    assert len(read_with_av(target / "b.mp4").pictures) == 24


def test_a_full_disk_is_waited_for(watch: Watch, folders: tuple[Path, Path], clip: Path) -> None:
    source, target = folders
    shutil.copy(clip, source / "a.mp4")

    def clear() -> None:
        until(lambda: os.listdir(target) and (target / LOG_NAME).stat().st_size == 40)
        time.sleep(1.0)  # so that it is tried again, too
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        until((target / "a.mp4").exists)

    with full_disk(40):
        assert watch(clear).code == 0


@pytest.mark.parametrize("which", ["source", "target", "same"])
def test_what_is_no_folder_is_refused(which: str, vidsr: Command, folders: tuple[Path, Path]) -> None:
    source, target = folders
    words = {"source": [source / "none", target], "target": [source, target / "none"], "same": [source, source]}[which]
    ended = vidsr("watch", *words)
    assert (ended.code, ended.err.count("\n")) == (USAGE, 1)
    assert "there is no such folder" in ended.err or "is the watched folder itself" in ended.err


def test_a_file_that_failed_for_what_is_not_in_it_stays_and_is_tried_at_the_next_start(
    watch: Watch, folders: tuple[Path, Path], clip: Path, tmp_path: Path
) -> None:
    source, target = folders
    failed = tmp_path / "failed"
    failed.mkdir()
    shutil.copy(clip, source / "a.mp4")
    (target / "a.mp4").write_text("of somebody")
    report = failed / "a.mp4.json"
    ended = watch(lambda: (until(report.exists), time.sleep(0.5)), "--failed", failed)  # type: ignore[func-returns-value]
    assert ended.err.count("a.mp4: exists already") == 1
    assert os.listdir(source) == ["a.mp4"]
    length = len(entries(target))
    ended = watch(lambda: until(lambda: len(entries(target)) > length), "--failed", failed)
    assert ended.err.count("a.mp4: exists already") == 1
    assert os.listdir(failed) == ["a.mp4.json"], "the report is there already"
    (target / "a.mp4").unlink()
    assert watch(lambda: until((target / "a.mp4").exists)).code == 0


def test_two_do_not_watch_into_one_folder(folders: tuple[Path, Path], vidsr: Command) -> None:
    with WatchLog(folders[1]):
        ended = vidsr("watch", *folders)
    assert ended.code == TARGET
    assert "another `vidsr watch` writes into this folder" in ended.err


def test_a_file_that_has_ended_the_process_three_times_has_failed(
    watch: Watch, folders: tuple[Path, Path], clip: Path
) -> None:
    source, target = folders
    shutil.copy(clip, source / "a.mp4")
    status = (source / "a.mp4").stat()
    begun = Entry(source="a.mp4", size=status.st_size, mtime_ns=status.st_mtime_ns, target="a.mp4", attempt=3)
    with WatchLog(target) as log:
        log.add(begun)
    ended = watch(lambda: until((target / "failed" / "a.mp4.json").exists))
    assert "a.mp4: has ended the process 3 times" in ended.err
    assert not (target / "a.mp4").exists()


def test_a_file_on_which_the_process_crashes_costs_only_itself(
    folders: tuple[Path, Path], clip: Path, tiny_model: str
) -> None:
    source, target = folders
    make_long(source / "crash.mp4", clip, 2000)
    command = [sys.executable, "-m", "vidsr", "watch", "--model", tiny_model, *QUICK, *map(str, folders)]
    with ForkedPython(command, stderr=subprocess.PIPE, text=True) as process:
        until((target / "crash.mp4.vidsr.part").exists)
        (child,) = psutil.Process(process.pid).children()
        child.send_signal(signal.SIGSEGV)
        shutil.copy(clip, source / "a.mp4")
        until(lambda: (entries(target)[-1]["source"], entries(target)[-1]["code"]) == ("a.mp4", 0))
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopping; no file is in work" in printed
    assert "crash.mp4: FFmpeg or another native library crashed (SIGSEGV) on this file" in printed
    assert json.loads((target / "failed" / "crash.mp4.json").read_text())["code"] == SOURCE
    assert not list(target.glob("crash*"))
