"""Decoding: frames out of the packets of a video."""

import av
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from vidsr.media.compression_probe import EXPORT_QUANTISERS, Compression, probe_compression
from vidsr.media.frame import SidePacket
from vidsr.media.frame_count import FrameCount

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

    def decode(self, packet: "SidePacket | None") -> list[VideoFrame]:
        """The frames that the decoder returns for a packet, or at the end for None; counts a refused packet."""
        if packet:
            self._first_bytes = self._first_bytes or packet.size
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
            self.compression = probe_compression(self._context.codec, frames[0], self._first_bytes)
        return frames

    def flush(self) -> list[VideoFrame]:
        """The frames that the decoder holds for the order of presentation; it goes on with a key frame."""
        frames = self.decode(None)
        self._context.flush_buffers()
        return frames
