"""The notifications of a service of Type=notify, and the example unit; the test acts as systemd."""

import configparser
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vidsr.errors import MODEL, TARGET, USAGE
from vidsr.live.camera_handle import Limits
from vidsr.live.supervisor import notify

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "examples/vidsr.service"
CREDENTIALS = struct.Struct("3i")


def unit() -> configparser.SectionProxy:
    """The section [Service] of the example."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def heard(manager: socket.socket) -> tuple[str, int]:
    """The next message, and the process that the kernel says sent it: systemd takes those of the main one alone."""
    text, attached, _, _ = manager.recvmsg(100, socket.CMSG_SPACE(CREDENTIALS.size))
    (credentials,) = (data for _, kind, data in attached if kind == socket.SCM_CREDENTIALS)
    return text.decode(), CREDENTIALS.unpack(credentials)[0]


def test_systemd_hears_that_it_is_ready_then_that_it_lives_and_at_last_that_it_stops(
    tmp_path: Path,
) -> None:
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        manager.bind(place)
        manager.settimeout(60)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": place}
        command = [sys.executable, "-m", "vidsr", "stream", "rtsp://127.0.0.1:1/x", str(tmp_path / "out")]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            assert heard(manager) == ("READY=1", process.pid)
            began = time.monotonic()
            assert [heard(manager) for _ in range(2)] == [("WATCHDOG=1", process.pid)] * 2
            assert time.monotonic() - began < float(unit()["WatchdogSec"]) / 2
            process.send_signal(signal.SIGTERM)
            while (last := heard(manager)) == ("WATCHDOG=1", process.pid):
                pass
            assert last == ("STOPPING=1", process.pid)
            assert process.wait(20) == 0  # on-failure leaves it stopped
        finally:
            process.kill()
            process.wait()


def test_a_systemd_that_is_gone_or_has_no_room_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "full"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "full"))
        began = time.monotonic()
        for _ in range(2000):
            notify("WATCHDOG=1")
        assert time.monotonic() - began < 10


def test_a_socket_that_has_no_path_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0vidsr-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@vidsr-{os.getpid()}")
        notify("READY=1")
        manager.settimeout(10)
        assert manager.recv(100) == b"READY=1"


def test_the_unit_agrees_with_the_program() -> None:
    service = unit()
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == {USAGE, TARGET, MODEL}
    assert float(service["TimeoutStopSec"]) > Limits().stop_s + 5  # it kills and reaps its cameras itself
    assert (service["Type"], service["KillMode"], service["Restart"]) == ("notify", "mixed", "on-failure")


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs the Debian package systemd")
    placed = tmp_path / UNIT.name
    placed.write_text(UNIT.read_text().replace("/opt/vidsr/bin/vidsr", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", placed], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])
