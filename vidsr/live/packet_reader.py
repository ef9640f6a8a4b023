"""The thread that opens a source and reads its packets into a queue, without waiting for the decoder."""

import threading
import time
from typing import Self

from vidsr.live.packet_queue import DroppingQueue
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.pacing import LivePacket
from vidsr.settings import StreamSettings
from vidsr.stream_url import StreamUrl

_JOIN_S = 0.5  # a read within FFmpeg cannot be interrupted; the thread is abandoned after this time


class PacketReader:
    """A thread that opens a source and fills `queue`; closed by `with`. Its errors are raised by `queue.get`."""

    def __init__(self, url: StreamUrl, settings: StreamSettings) -> None:
        self.queue: DroppingQueue[LivePacket] = DroppingQueue()
        self.source: LiveSource | None = None
        """Set before the first packet is queued."""
        self._url, self._settings = url, settings
        self._thread = threading.Thread(target=self._read, name="packet-reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.source:
            self.source.stop()
        self._thread.join(_JOIN_S)
        if self.source and not self._thread.is_alive():
            self.source.close()

    def _read(self) -> None:
        try:
            self.source = source = LiveSource(self._url, self._settings)
            for packet in source.packets():
                video = packet.stream is source.video
                self.queue.put(
                    packet,
                    arrived_s=time.monotonic(),
                    size=packet.size,
                    video=video,
                    key=video and packet.is_keyframe,
                )
        except Exception as error:  # bugs, too, are raised where the packets are taken
            self.queue.close(error)
