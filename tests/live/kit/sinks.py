"""Servers that receive pushed streams, and can be killed and restarted at the same port."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from kit.servers import free_port

SCRIPT = Path(__file__).parent / "receive.py"
_LONGEST_S = 10.0


@dataclass
class Sink:
    """A server at `url` for one sender; each start receives into a new file in `folder`."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    received: list[Path] = field(default_factory=list)

    def start(self) -> None:
        """Start; returns when it listens. It cannot be probed by a connection, as it accepts only one."""
        self.received.append(self.folder / f"received-{len(self.received)}.mkv")
        self.process = subprocess.Popen([sys.executable, str(SCRIPT), self.url, str(self.received[-1])])
        until = time.monotonic() + _LONGEST_S
        while not self._is_there():
            assert time.monotonic() < until, "the sink does not listen"
            time.sleep(0.05)

    def _is_there(self) -> bool:
        """Whether it listens, or already has its sender."""
        assert self.process
        return bool(psutil.Process(self.process.pid).net_connections("tcp"))

    def listen_again(self) -> None:
        """Start again if it ended, as it does with its sender."""
        if self.process and self.process.poll() is not None:
            self.start()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(_LONGEST_S)
            self.process = None

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    @property
    def bytes_received(self) -> int:
        """Bytes since the last start."""
        return self.received[-1].stat().st_size if self.received[-1].exists() else 0


@contextmanager
def sink(scheme: str, folder: Path) -> Iterator[Sink]:
    """A server for rtmp or rtsp that listens; killed at the end."""
    result = Sink(f"{scheme}://127.0.0.1:{free_port()}/live/x", folder)
    result.start()
    try:
        yield result
    finally:
        result.kill()
