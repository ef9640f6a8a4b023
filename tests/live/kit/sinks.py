"""Servers that take what is pushed to them: started, stopped, killed and started again at the same port."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kit.servers import free_port

SCRIPT = Path(__file__).parent / "receive.py"
_LONGEST_S = 10.0


@dataclass
class Sink:
    """A server at `url` for one sender; what each start received is a file in `folder`."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    received: list[Path] = field(default_factory=list)

    def start(self) -> None:
        self.received.append(self.folder / f"received-{len(self.received)}.ts")
        self.process = subprocess.Popen([sys.executable, str(SCRIPT), self.url, str(self.received[-1])])

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
        """Since its last start."""
        return self.received[-1].stat().st_size if self.received[-1].exists() else 0


@contextmanager
def sink(scheme: str, folder: Path) -> Iterator[Sink]:
    """A server for rtmp or rtsp that listens, or is about to; killed at the end whatever became of it."""
    result = Sink(f"{scheme}://127.0.0.1:{free_port()}/live/x", folder)
    result.start()
    try:
        yield result
    finally:
        result.kill()
