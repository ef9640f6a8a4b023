"""A container that is being written from packets, and the encoder for live streams that makes them."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av import VideoFrame
from av.codec.context import Flags
from av.stream import Stream
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vidsr.cpu import kept_scheduling
from vidsr.errors import TargetError
from vidsr.media.color_tags import ColorTags
from vidsr.media.encoders import encoder_options, option_errors
from vidsr.media.error_text import closing_output
from vidsr.media.fragment_tail import FragmentTail
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_copy import copy_stream
from vidsr.media.stream_template import StreamTemplate, TimedPacket, null_container, pixel_aspect
from vidsr.settings import EncodeSettings

# Packets come in order of time: the muxer must not hold video back to wait for audio that has stopped.
_LOW_LATENCY = {"max_interleave_delta": "1", "flush_packets": "1"}


class Muxer:
    """An open container with a video stream like `video` and, unless None, one like `audio`; the caller closes it.

    Its time begins at `start_pts`, in 1/90000 s. With `delay_one`, a video packet is written when the next one sets
    its duration: the muxer of fragmented MP4 guesses the last duration of each fragment, and so shifts the next frame.
    `on_frame` receives the pts of each packet of video that was written.
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
        on_frame: Callable[[int], None] = lambda _pts: None,
        tags: Mapping[str, str] = {},
    ) -> None:
        self._start_pts, self._delay_one, self._on_frame = start_pts, delay_one, on_frame
        self._pending: TimedPacket | None = None
        self._container = av.open(target, "w", format=format, container_options=_LOW_LATENCY | options)
        self._tail: FragmentTail[TimedPacket] = FragmentTail(self._container, options)
        self._container.metadata.update(tags)
        self._video = self._container.add_stream_from_template(video, opaque=True)
        self._audio = copy_stream(audio.stream, self._container) if audio else None

    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet of video, or with `delay_one` some before it; returns the bytes written."""
        if not self._delay_one:
            return self._mux(packet, self._video)
        pending, self._pending = self._pending, packet.detach()  # as `close` may run in another thread
        if not pending:
            return 0
        timed = replace(pending, duration=packet.dts - pending.dts)
        return sum(self._mux(ready, self._video) for ready in self._tail.add(timed.pts, timed))

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet of audio, unless there is no audio stream or it is too early; returns the bytes."""
        return self._mux(packet, self._audio) if self._audio and packet.pts >= self._start_pts else 0

    def close(self) -> None:
        """Write the pending packet and the index."""
        pending, self._pending = self._pending, None
        with closing_output(self._container):
            if pending:
                for ready in (*self._tail.add(pending.pts, pending), *self._tail.end()):
                    self._mux(ready, self._video)

    def _mux(self, packet: TimedPacket, stream: Stream) -> int:
        av_packet, start = packet.av_packet, self._start_pts
        av_packet.stream, av_packet.time_base = stream, TIME_BASE
        av_packet.pts, av_packet.dts, av_packet.duration = packet.pts - start, packet.dts - start, packet.duration
        try:
            self._container.mux_one(av_packet)
        except BaseException:
            self._pending = None  # after a failed write the MP4 muxer of FFmpeg crashes at the next one
            self._tail.discard()
            raise
        if stream is self._video:
            self._on_frame(packet.pts)
        return av_packet.size


_DEFAULT_RATE = 25
_LIVE = {  # fast, without delay, and a requested key frame starts a closed group
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
    "libx265": {"preset": "veryfast", "tune": "zerolatency", "forced-idr": "1"},
    "libsvtav1": {"preset": "10", "svtav1-params": "pred-struct=1:lookahead=0"},
    "libvpx-vp9": {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"},
}


class LiveEncoder:
    """Encodes frames of the size, format and colour tags of `first`; `stream` is the template for containers.

    Raises TargetError if there is no such encoder, or it does not accept such frames.
    """

    def __init__(self, first: VideoFrame, encode: EncodeSettings, *, source: VideoStream | None) -> None:
        options = encoder_options(encode, defaults=_LIVE.get(encode.encoder, {}))
        self.format_key = format_key(first)
        container = null_container()  # it owns the encoder
        stream = container.add_stream(encode.encoder, options=options)
        assert isinstance(stream, VideoStream)
        self.stream, context = stream, stream.codec_context
        context.width, context.height = first.width, first.height
        context.pix_fmt = encode.pixel_format or first.format.name  # into which PyAV converts each frame
        context.time_base = TIME_BASE
        context.framerate = (source.average_rate if source else None) or Fraction(_DEFAULT_RATE)
        context.sample_aspect_ratio = pixel_aspect(source) if source else Fraction(1)
        heights = (source.codec_context.height if source else first.height, first.height)
        ColorTags.of_resized(first, heights).write(context)
        context.max_b_frames = 0
        context.flags |= Flags.global_header
        try:
            with kept_scheduling(), option_errors() if encode.encoder_option else nullcontext():
                container.start_encoding()
        except (av.FFmpegError, ValueError, OSError) as error:
            size = f"{first.width}x{first.height} in {context.pix_fmt}"
            reason = getattr(error, "strerror", error)
            raise TargetError(f"{encode.encoder} refuses a live stream of {size} ({reason})") from error
        finally:
            container.close()

    def encode(self, frame: VideoFrame, *, key: bool) -> list[TimedPacket]:
        """The packets of the frame, as a rule one; with `key` a key frame."""
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return self._packets(frame)

    def flush(self) -> list[TimedPacket]:
        """The last packets; no frame can follow."""
        return self._packets(None)

    def _packets(self, frame: VideoFrame | None) -> list[TimedPacket]:
        return [
            TimedPacket(
                av_packet=packet,
                pts=packet.pts or 0,
                dts=packet.pts or 0 if packet.dts is None else packet.dts,
                key=packet.is_keyframe,
                duration=packet.duration or 0,
            )
            for packet in self.stream.encode(frame)
        ]


def format_key(frame: VideoFrame) -> tuple[int, int, str, int]:
    """The properties that all frames of one encoder share: PyAV would silently convert others."""
    return (frame.width, frame.height, frame.format.name, frame.color_range)


def probe_encoder(encode: EncodeSettings) -> LiveEncoder:
    """An encoder for small frames. Raises TargetError for an unknown encoder or option, or one unfit for live use."""
    return LiveEncoder(VideoFrame(320, 240, "yuv420p"), encode, source=None)
