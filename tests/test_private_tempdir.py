"""Directories of runs in /tmp are private, removed at the end, and cleaned up after a kill; never a live run's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidsr.private_tempdir import TEMP_ROOT, private_tempdir, remove_stale

OWNER = """
import sys, time
from pathlib import Path
from vidsr.private_tempdir import private_tempdir
with private_tempdir(Path(sys.argv[1])) as folder:
    (folder / "deep").mkdir()
    (folder / "deep/file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""

REMOVER = """
import sys
from pathlib import Path
from vidsr.private_tempdir import remove_stale
while not Path(sys.argv[1], "done").exists():
    remove_stale(Path(sys.argv[1]))
print("ended")
"""

RAY = """
import os, sys, time
sys.path.insert(0, {tests!r})
from made import tiny_weights
from test_pool import planes
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
    list(pool.map(planes(1), 8))
    print(os.path.dirname(os.environ["RAY_AUTH_TOKEN_PATH"]), flush=True)
    time.sleep(600)
"""


@contextmanager
def owner(parent: Path, code: str = OWNER) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that owns a directory, and the directory."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    environment = {name: value for name, value in environment.items() if not name.startswith("RAY_")}
    process = subprocess.Popen(
        [sys.executable, "-c", code, parent], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def test_a_folder_is_nobody_elses_and_is_gone_at_the_end(tmp_path: Path) -> None:
    with private_tempdir(tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not folder.exists()


def test_the_folder_of_a_living_run_stays_and_that_of_a_killed_one_goes_at_the_next_start(tmp_path: Path) -> None:
    with owner(tmp_path) as (living, kept), owner(tmp_path) as (killed, left):
        assert remove_stale(tmp_path) == []
        kill(killed)
        assert left.exists()
        with private_tempdir(tmp_path):
            assert not left.exists()
            assert kept.exists()
            assert remove_stale(tmp_path) == []
        assert living.poll() is None


def test_what_is_no_folder_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/owner").touch()
    (tmp_path / "vidsr-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "vidsr-folder").mkdir()
    (tmp_path / "vidsr-file").touch()
    assert remove_stale(tmp_path) == []
    assert (tmp_path / "elsewhere/owner").exists()
    assert (tmp_path / "vidsr-folder").exists()


def test_a_process_that_works_in_the_folder_of_a_killed_run_is_ended_and_no_other(tmp_path: Path) -> None:
    with owner(tmp_path) as (killed, left):
        with (left / "log").open("w") as log:
            lingering = subprocess.Popen(["sleep", "600"], stderr=log)
        reader = subprocess.Popen(["tail", "-f", left / "log"], cwd=left)
        try:
            remove_stale(tmp_path)
            time.sleep(0.1)
            assert lingering.poll() is None
            kill(killed)
            assert remove_stale(tmp_path) == [left]
            assert lingering.wait(10) == -signal.SIGKILL
            assert reader.poll() is None
        finally:
            for process in (lingering, reader):
                process.kill()
                process.wait()


def test_runs_that_remove_the_same_folder_do_not_kill_each_other(tmp_path: Path) -> None:
    removers = [
        subprocess.Popen([sys.executable, "-c", REMOVER, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        with suppress(OSError):  # it is being removed
            (tmp_path / "vidsr-killed").mkdir(exist_ok=True)
            (tmp_path / "vidsr-killed/owner").write_bytes(b"")
        time.sleep(0.01)
    (tmp_path / "done").touch()
    assert [process.communicate(timeout=20)[0] for process in removers] == ["ended\n"] * 3


def test_nothing_is_left_of_a_killed_run_with_a_ray_of_its_own_after_the_next_start() -> None:
    shared = {*os.listdir("/dev/shm")}
    with owner(TEMP_ROOT, RAY.format(tests=str(Path(__file__).parent))) as (killed, left):
        assert processes_of(left)
        kill(killed)
        for _ in range(20):  # another run may be removing it now
            remove_stale()
            if not left.exists():
                break
            time.sleep(0.1)
        assert not left.exists()
        assert not processes_of(left)
    assert {*os.listdir("/dev/shm")} <= shared


def processes_of(folder: Path) -> list[str]:
    """The processes that name the directory in their environment, command, memory maps or open files."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            text = b"".join(Path(f"/proc/{pid}/{kind}").read_bytes() for kind in ("environ", "cmdline", "maps"))
            files = "".join(os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd"))
            if (os.fsencode(folder) in text or str(folder) in files) and int(pid) != os.getpid():
                found.append(pid)
    return found
