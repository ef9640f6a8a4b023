"""A container that is being written: packets that were encoded elsewhere, put on its own time line."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import av
from av.stream import Stream

from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_copy import copy_stream
from vidsr.media.stream_template import Stencil, Unit

# Packets come in the order of their time; waiting for those of a sound that has gone quiet would hold pictures back.
_AT_ONCE = {"max_interleave_delta": "1", "flush_packets": "1"}


class Outlet:
    """An open container with a video stream like `video` and, unless None, one like `audio`; the caller closes it.

    Its time begins at `begin`, in 1/90000 s. A `patient` one writes a picture once the next tells how long it lasts:
    MP4 in fragments guesses that of the last one in each, and the next is shown at the wrong time. Everything raises
    FFmpegError or OSError for what the target refuses.
    """

    def __init__(
        self,
        target: BinaryIO | Path | str,
        *,
        format: str,  # noqa: A002 - PyAV's word
        options: dict[str, str],
        video: Stream,
        audio: Stencil | None,
        begin: int,
        patient: bool = True,
    ) -> None:
        self._begin, self._patient = begin, patient
        self._held: Unit | None = None
        self._container = av.open(target, "w", format=format, container_options=_AT_ONCE | options)
        self._video = self._container.add_stream_from_template(video, opaque=True)
        self._audio = copy_stream(audio.stream, self._container) if audio else None

    def video(self, unit: Unit) -> int:
        """The bytes that are written of a packet of the video, or of the one before it."""
        if not self._patient:
            return self._mux(unit, self._video)
        held, self._held = self._held, unit.apart()  # the last one is written by whoever closes: in another thread
        return self._mux(replace(held, duration=unit.dts - held.dts), self._video) if held else 0

    def sound(self, unit: Unit) -> int:
        """The bytes of a packet of the sound, which is written if there is room for sound and it is not too early."""
        return self._mux(unit, self._audio) if self._audio and unit.pts >= self._begin else 0

    def close(self) -> None:
        """Write what is owed, and the index."""
        held, self._held = self._held, None
        try:
            if held:
                self._mux(held, self._video)
        finally:
            self._container.close()

    def _mux(self, unit: Unit, stream: Stream) -> int:
        packet = unit.packet
        packet.stream, packet.time_base = stream, TIME_BASE
        packet.pts, packet.dts, packet.duration = unit.pts - self._begin, unit.dts - self._begin, unit.duration
        try:
            self._container.mux_one(packet)
        except BaseException:
            self._held = None  # after a write that failed FFmpeg's muxer of MP4 crashes at the next one
            raise
        return packet.size
