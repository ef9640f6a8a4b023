"""Decoding: frames out of the packets of a video."""

from dataclasses import dataclass
from typing import Self

import av
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.media.compression_probe import EXPORT_QUANTISERS, Compression, probe_compression
from vidsr.media.frame import AnyPacket
from vidsr.media.frame_count import FrameCount
from vidsr.media.hevc import key_frame_quantiser
from vidsr.media.libav import CodecParameters, codec_parameters, set_decoder_parameters
from vidsr.media.probe import video_decoder

_ROW_ALIGNMENT = 64  # pixels to whose multiples FFmpeg pads rows


class VideoDecoder:
    """The decoder of a video; `context` must not be open yet.

    `refused` counts the packets that the decoder refuses, `frame_count` all of them and their frames. `compression` is
    that of the first frame, None before it.
    """

    def __init__(self, context: VideoCodecContext, *, max_megapixels: float) -> None:
        self.refused = 0
        self.frame_count = FrameCount(context)
        self.compression: Compression | None = None
        max_pixels = int(max_megapixels * 1e6) + _ROW_ALIGNMENT * context.height
        self.options = {"max_pixels": str(max_pixels), **EXPORT_QUANTISERS}  # limits later sizes, too
        context.options = self.options
        self._context = context
        self._first_bytes = 0
        self._header_quantiser: float | None = None

    def decode(self, packet: "AnyPacket | None") -> list[VideoFrame]:
        """The frames that the decoder returns for a packet, or at the end for None; counts a refused packet."""
        if packet:
            if not self._first_bytes:
                self._begin(packet)
            self.frame_count.send(packet)
        try:
            frames = self._context.decode(packet)
        except av.EOFError:  # already flushed
            return []
        except av.FFmpegError:
            self.refused += 1
            self.frame_count.refuse()
            return []
        self.frame_count.receive(frames)
        if frames and self.compression is None:
            self.compression = probe_compression(
                self._context.codec, frames[0], self._first_bytes, header_quantiser=self._header_quantiser
            )
        return frames

    def _begin(self, packet: AnyPacket) -> None:
        self._first_bytes = packet.size
        if self._context.codec.canonical_name == "hevc":
            self._header_quantiser = key_frame_quantiser(self._context.extradata or b"", bytes(packet))

    def flush(self) -> list[VideoFrame]:
        """The frames that the decoder holds for the order of presentation; it goes on with a key frame."""
        frames = self.decode(None)
        self._context.flush_buffers()
        return frames


@dataclass(frozen=True, kw_only=True)
class DecoderParameters:
    """All parameters that determine the frames of given packets."""

    name: str
    """FFmpeg's name of the decoder."""
    codec: CodecParameters
    max_megapixels: float

    @classmethod
    def of(cls, video: VideoStream, *, max_megapixels: float) -> Self:
        """Those of a stream."""
        name = video_decoder(video).codec.name
        return cls(name=name, codec=codec_parameters(video), max_megapixels=max_megapixels)

    def open(self) -> VideoDecoder:
        """A decoder in this thread: others work beside it."""
        context = av.CodecContext.create(self.name, "r")
        assert isinstance(context, VideoCodecContext)
        set_decoder_parameters(context, self.codec)
        context.thread_count = 1
        return VideoDecoder(context, max_megapixels=self.max_megapixels)
