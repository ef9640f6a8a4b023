"""The thread that opens a source and reads it, and never waits for those who take what it brings."""

import threading
import time
from types import TracebackType
from typing import Self

from vidsr.live.packet_queue import Backlog
from vidsr.media.source.live_source import Camera
from vidsr.media.source.pacing import LivePacket
from vidsr.settings import StreamSettings
from vidsr.stream_url import Address

_PATIENCE_S = 0.5  # a read that FFmpeg is in cannot be ended; a process that stops leaves it behind


class Intake:
    """A source being opened, then read into `backlog`; closed by `with`. Its faults come out of `backlog.get`."""

    def __init__(self, address: Address, settings: StreamSettings) -> None:
        self.backlog: Backlog[LivePacket] = Backlog()
        self.camera: Camera | None = None
        """There before the first packet is."""
        self._address, self._settings = address, settings
        self._thread = threading.Thread(target=self._read, name="intake", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.camera:
            self.camera.halt()
        self._thread.join(_PATIENCE_S)
        if self.camera and not self._thread.is_alive():
            self.camera.close()

    def _read(self) -> None:
        try:
            self.camera = camera = Camera(self._address, self._settings)
            for packet in camera.packets():
                video = packet.stream is camera.video
                self.backlog.put(
                    packet,
                    arrived_s=time.monotonic(),
                    size=packet.size,
                    video=video,
                    key=video and packet.is_keyframe,
                )
        except Exception as error:  # handed to whoever takes the packets, a bug as well
            self.backlog.end(error)
