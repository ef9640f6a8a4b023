"""Directories of runs in /tmp are private, removed at the end, and cleaned up after a kill; never a live run's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from live.supervisor_process import eventually

from vidsr.private_tempdir import private_tempdir, remove_stale

OWNER = """
import time
from vidsr.private_tempdir import private_tempdir
with private_tempdir() as folder:
    (folder / "deep").mkdir()
    (folder / "deep/file").touch()
    print(folder, flush=True)
    time.sleep(600)
"""

REMOVER = """
import fcntl, time
from vidsr.private_tempdir import remove_stale
def flock(*arguments):
    print("opened", flush=True)
    time.sleep(60)  # it is killed meanwhile
    raise BlockingIOError
fcntl.flock = flock
remove_stale()
"""

RAY = """
import os, sys, time
sys.path.insert(0, {tests!r})
import psutil
from made import tiny_weights
from test_pool import planes
from test_private_tempdir import home_of
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
with open_pool(tiny_weights(), PoolSettings(workers=1)) as pool:
    list(pool.map(planes(1), 8))
    print(home_of(psutil.Process()), flush=True)
    time.sleep(600)
"""


THIS_BOOT = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


@contextmanager
def owner(parent: Path, code: str = OWNER) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that owns a directory, and the directory."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(parent)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True, env=environment)
    assert process.stdout
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(autouse=True)
def temp_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def home_of(process: psutil.Process) -> Path:
    """The directory of a process's private Ray."""
    words = [word for child in process.children() for word in child.cmdline() if word.startswith("--temp-dir=")]
    return Path(words[0].partition("=")[2]).parent


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def test_a_folder_is_nobody_elses_and_is_gone_at_the_end(tmp_path: Path) -> None:
    with private_tempdir() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not folder.exists()


def test_the_folder_of_a_living_run_stays_and_that_of_a_killed_one_goes_at_the_next_start(tmp_path: Path) -> None:
    with owner(tmp_path) as (living, kept), owner(tmp_path) as (killed, left):
        assert remove_stale() == []
        kill(killed)
        assert left.exists()
        with private_tempdir():
            assert not left.exists()
            assert kept.exists()
            assert remove_stale() == []
        assert living.poll() is None


def test_what_is_no_folder_of_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/owner").touch()
    (tmp_path / "vidsr-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "vidsr-folder").mkdir()
    (tmp_path / "vidsr-file").touch()
    assert remove_stale() == []
    assert (tmp_path / "elsewhere/owner").exists()
    assert (tmp_path / "vidsr-folder").exists()


def test_the_folder_of_another_machine_that_shares_the_directory_stays(tmp_path: Path) -> None:
    for name, boot in (("vidsr-other", b"another"), ("vidsr-ours", THIS_BOOT)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner").write_bytes(boot)
    assert remove_stale() == [tmp_path / "vidsr-ours"]


def test_a_directory_that_cannot_be_used_is_said_and_another_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with private_tempdir() as folder:
        assert folder.parent == Path("/tmp")
    assert caplog.messages == [f"TMPDIR cannot be used, /tmp is: {tmp_path}/missing: No such file or directory"]


def test_a_process_that_works_in_the_folder_of_a_killed_run_is_ended_and_no_other(tmp_path: Path) -> None:
    with owner(tmp_path) as (killed, left):
        with (left / "log").open("w") as log:
            lingering = subprocess.Popen(["sleep", "600"], stderr=log)
        reader = subprocess.Popen(["tail", "-f", left / "log"], cwd=left)
        try:
            remove_stale()
            time.sleep(0.1)
            assert lingering.poll() is None
            kill(killed)
            assert remove_stale() == [left]
            assert lingering.wait(10) == -signal.SIGKILL
            assert reader.poll() is None
        finally:
            for process in (lingering, reader):
                process.kill()
                process.wait()


def test_a_run_that_removes_a_folder_does_not_kill_another_that_is_about_to(tmp_path: Path) -> None:
    (tmp_path / "vidsr-killed").mkdir()
    (tmp_path / "vidsr-killed/owner").write_bytes(THIS_BOOT)
    with owner(tmp_path, REMOVER) as (other, said):
        assert str(said) == "opened"
        assert remove_stale() == [tmp_path / "vidsr-killed"]
        time.sleep(0.1)
        assert other.poll() is None


ENDED = """
import sys, time
from vidsr.private_tempdir import private_tempdir
with private_tempdir() as folder:
    log = (folder / "log").open("w")  # Ray keeps some open, also after its end
    print(folder, flush=True)
    sys.stdin.readline()
print("ended", flush=True)
time.sleep(600)
"""

LATE_REMOVER = """
import fcntl, os, sys
from vidsr.private_tempdir import remove_stale
def late(lock, how, flock=fcntl.flock):
    if os.readlink(f"/proc/self/fd/{lock}").startswith(os.environ["TMPDIR"]):  # there are others in /tmp
        print("opened", flush=True)
        sys.stdin.readline()
    flock(lock, how)
fcntl.flock = late
remove_stale()
print("removed", flush=True)
"""


def test_a_run_that_ends_while_another_looks_at_its_folder_is_not_killed(tmp_path: Path) -> None:
    with owner(tmp_path, ENDED) as (ending, _folder), owner(tmp_path, LATE_REMOVER) as (other, said):
        assert str(said) == "opened"
        assert answer(ending) == "ended"
        assert answer(other) == "removed"
        assert ending.poll() is None


def answer(process: "subprocess.Popen[str]") -> str:
    """The line that a process says to an empty one."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


REMOVERS = """
import sys, time
from pathlib import Path
from vidsr.private_tempdir import remove_stale
deadline = time.monotonic() + 120  # nobody ends it if the test is killed
while not Path(sys.argv[1], "done").exists() and time.monotonic() < deadline:
    remove_stale()
"""

WRITERS = """
import os
from vidsr.private_tempdir import private_tempdir
kept, ended = os.pipe()
for number in range(20):
    with private_tempdir() as folder:
        log = (folder / "log").open("w")  # Ray keeps some open, also after its end
        for name in range(300):
            (folder / str(name)).touch()
        if number == 0 and (forked := os.fork()) == 0:
            os.close(ended)
            os.read(kept, 1)
            os._exit(0)
os.close(ended)
print("ended", os.waitpid(forked, 0)[1])
"""


def test_a_run_that_ends_is_not_taken_for_a_killed_one_nor_what_it_forked_for_a_leftover(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    removers = [subprocess.Popen([sys.executable, "-c", REMOVERS, tmp_path], env=environment) for _ in range(2)]
    command = [sys.executable, "-c", WRITERS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    (tmp_path / "done").touch()
    assert (done.stdout, done.returncode) == ("ended 0\n", 0), done.stderr
    assert [process.wait(20) for process in removers] == [0, 0]


def test_nothing_is_left_of_a_killed_run_with_a_ray_of_its_own_after_the_next_start() -> None:
    shared = {*os.listdir("/dev/shm")}
    with owner(Path("/tmp"), RAY.format(tests=str(Path(__file__).parent))) as (killed, left):
        assert processes_of(left)
        kill(killed)
        for _ in range(20):  # another run may be removing it now
            remove_stale()
            if not left.exists():
                break
            time.sleep(0.1)
        assert not left.exists()
        assert not processes_of(left)
    eventually(lambda: {*os.listdir("/dev/shm")} <= shared, within_s=60)  # what other tests have there goes with them


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
