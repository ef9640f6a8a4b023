"""Folders of runs in /tmp: private, gone at the end, and swept when their owner was killed; never a living run's."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidsr.folders import TENANT, private_folder, sweep

OWNER = """
import sys, time
from vidsr.folders import private_folder
with private_folder() as folder:
    (folder / "deep").mkdir()
    (folder / "deep/file").touch()
    print(folder, flush=True)
    time.sleep(600)
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
    print(os.environ["VIDSR_FOLDER"], flush=True)
    time.sleep(600)
"""


@contextmanager
def owner(code: str = OWNER) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A process that has a folder, and the folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    environment = {name: value for name, value in environment.items() if not name.startswith("RAY_")}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()


def test_a_folder_is_nobody_elses_and_is_gone_at_the_end() -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not folder.exists()


def test_the_folder_of_a_living_run_stays_and_that_of_a_killed_one_goes_at_the_next_start() -> None:
    with owner() as (living, kept), owner() as (killed, left):
        assert not {kept, left} & {*sweep()}
        kill(killed)
        assert left.exists()
        with private_folder() as mine:
            assert not left.exists()
            assert kept.exists()
            assert not {kept, mine} & {*sweep()}
        assert living.poll() is None


def test_what_is_no_folder_of_ours_is_left_alone(tmp_path: Path) -> None:
    folder, link = Path(f"/tmp/vidsr-test-{os.getpid()}"), Path(f"/tmp/vidsr-link-{os.getpid()}")
    (tmp_path / "owner").touch()
    folder.mkdir()
    link.symlink_to(tmp_path)
    try:
        sweep()
        assert folder.exists()
        assert (tmp_path / "owner").exists()
    finally:
        folder.rmdir()
        link.unlink()


def test_a_process_that_works_in_the_folder_of_a_killed_run_is_ended_and_no_other() -> None:
    with owner() as (killed, left):
        tenant = subprocess.Popen(["sleep", "600"], env={TENANT: str(left)})
        visitor = subprocess.Popen(["sleep", "600"], env={"OLDPWD": str(left), TENANT: "/tmp/vidsr-another"})
        try:
            sweep()
            time.sleep(0.1)
            assert tenant.poll() is None
            kill(killed)
            sweep()
            assert tenant.wait(10) == -signal.SIGKILL
            assert visitor.poll() is None
        finally:
            for process in (tenant, visitor):
                process.kill()
                process.wait()


def test_nothing_is_left_of_a_killed_run_with_a_ray_of_its_own_after_the_next_start() -> None:
    shared = {*os.listdir("/dev/shm")}
    with owner(RAY.format(tests=str(Path(__file__).parent))) as (killed, left):
        assert living_in(left)
        kill(killed)
        sweep()
        assert not left.exists()
        assert not living_in(left)
    assert {*os.listdir("/dev/shm")} <= shared


def living_in(folder: Path) -> list[str]:
    """The processes that were told of the folder, in any way."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            told = b"".join(Path(f"/proc/{pid}/{kind}").read_bytes() for kind in ("environ", "cmdline"))
        except OSError:
            continue
        if os.fsencode(folder) in told and int(pid) != os.getpid():
            found.append(pid)
    return found
