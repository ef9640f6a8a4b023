"""An RTSP camera as a process that can be killed and restarted at the same port."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parent / "rtsp_camera.py"
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-tools"
)
_NEEDED = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer;"
    "Gst.init(None);"
    "names = 'appsrc x264enc x265enc jpegenc rtph264pay voaacenc'.split();"
    "raise SystemExit(not all(Gst.ElementFactory.find(name) for name in names))"
)
_TLS = (
    "import gi; gi.require_version('Gio', '2.0'); from gi.repository import Gio;"
    "raise SystemExit(not Gio.TlsBackend.get_default().supports_tls())"
)
_LONGEST_S = 20.0


@cache
def _succeeds(script: str) -> bool:
    try:
        return subprocess.run([PYTHON, "-c", script], capture_output=True, timeout=60, check=False).returncode == 0
    except FileNotFoundError:
        return False


def need_camera() -> None:
    """Skip the test without the RTSP server of GStreamer, and name its packages."""
    if not _succeeds(_NEEDED):
        pytest.skip(f"needs the Debian packages {PACKAGES}")


def need_tls() -> None:
    """Skip the test if the camera cannot use TLS."""
    need_camera()
    if not _succeeds(_TLS):
        pytest.skip("needs the Debian package glib-networking")


@dataclass
class Camera:
    """A camera at `port`, which stays the same after the first `start`."""

    arguments: tuple[str, ...] = ()
    """Options of rtsp_camera.py."""
    fps: int = 10
    host: str = "127.0.0.1"
    inside: tuple[str, ...] = ()
    """A command prefix that runs the camera elsewhere: `ip netns exec NAME`."""
    port: int = 0
    process: subprocess.Popen[str] | None = field(default=None, repr=False)
    began_s: float = field(default_factory=time.monotonic)

    @property
    def url(self) -> str:
        scheme = "rtsps" if "--tls" in self.arguments else "rtsp"
        return f"{scheme}://{self.host}:{self.port}/cam"

    def start(self, *arguments: str) -> None:
        """Listen, with further options; the frame numbers follow the clock, through every pause."""
        first = int((time.monotonic() - self.began_s) * self.fps)
        numbers = ["--port", str(self.port), "--fps", str(self.fps), "--first", str(first)]
        command = [*self.inside, PYTHON, str(SCRIPT), *numbers, *self.arguments, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        ready, _, port = self.process.stdout.readline().partition(" ")
        assert ready == "ready", f"the camera did not start: {command}"
        self.port = int(port)

    def kill(self) -> None:
        """End it like a power cut, except that the kernel closes its connections."""
        if self.process:
            self.process.kill()
            self.process.wait(_LONGEST_S)
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def camera(*arguments: str, fps: int = 10, host: str = "127.0.0.1", inside: tuple[str, ...] = ()) -> Iterator[Camera]:
    """A running camera, killed at the end."""
    need_camera()
    result = Camera(arguments, fps=fps, host=host, inside=inside)
    result.start()
    try:
        yield result
    finally:
        result.kill()
