"""A container that is being written from packets that were encoded elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import av
from av.stream import Stream

from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_copy import copy_stream
from vidsr.media.stream_template import StreamTemplate, TimedPacket

# Packets come in order of time: the muxer must not hold video back to wait for audio that has stopped.
_LOW_LATENCY = {"max_interleave_delta": "1", "flush_packets": "1"}


class Muxer:
    """An open container with a video stream like `video` and, unless None, one like `audio`; the caller closes it.

    Its time begins at `start_pts`, in 1/90000 s. With `delay_one`, a video packet is written when the next one sets
    its duration: the muxer of fragmented MP4 guesses the last duration of each fragment, and so shifts the next frame.
    All methods raise FFmpegError or OSError.
    """

    def __init__(
        self,
        target: BinaryIO | Path | str,
        *,
        format: str,  # noqa: A002 - PyAV's word
        options: dict[str, str],
        video: Stream,
        audio: StreamTemplate | None,
        start_pts: int,
        delay_one: bool = True,
    ) -> None:
        self._start_pts, self._delay_one = start_pts, delay_one
        self._pending: TimedPacket | None = None
        self._container = av.open(target, "w", format=format, container_options=_LOW_LATENCY | options)
        self._video = self._container.add_stream_from_template(video, opaque=True)
        self._audio = copy_stream(audio.stream, self._container) if audio else None

    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet of video, or with `delay_one` the one before; returns the bytes written."""
        if not self._delay_one:
            return self._mux(packet, self._video)
        pending, self._pending = (
            self._pending,
            packet.detach(),
        )  # detached: `close` may run in another thread
        return self._mux(replace(pending, duration=packet.dts - pending.dts), self._video) if pending else 0

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio, unless there is no audio stream or it is too early; returns the bytes."""
        return self._mux(packet, self._audio) if self._audio and packet.pts >= self._start_pts else 0

    def close(self) -> None:
        """Write the pending packet and the index."""
        pending, self._pending = self._pending, None
        try:
            if pending:
                self._mux(pending, self._video)
        finally:
            self._container.close()

    def _mux(self, packet: TimedPacket, stream: Stream) -> int:
        av_packet, start = packet.av_packet, self._start_pts
        av_packet.stream, av_packet.time_base = stream, TIME_BASE
        av_packet.pts, av_packet.dts, av_packet.duration = packet.pts - start, packet.dts - start, packet.duration
        try:
            self._container.mux_one(av_packet)
        except BaseException:
            self._pending = None  # after a failed write the MP4 muxer of FFmpeg crashes at the next one
            raise
        return av_packet.size
