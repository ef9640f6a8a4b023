"""The packets of a video against its frames, to notice a frame that a decoder drops without an error."""

from collections.abc import Sequence

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

from vidsr.media.frame import AnyPacket
from vidsr.media.h264 import may_have_fields

_ONE_FRAME_PER_PACKET = {
    "h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mjpeg", "prores", "dnxhd", "ffv1", "huffyuv",
    "ffvhuff", "utvideo", "dvvideo", "png", "rawvideo",
}  # fmt: skip
"""Codecs of which each packet makes one frame; in others a packet may repeat the frame before, or hold two."""
_VP9_SUPERFRAME = 0b110
"""The first bits of the last byte of a packet with several frames, of which one is shown."""


class FrameCount:
    """The packets that a decoder received, and the frames that it returned.

    `is_countable` says whether each packet of the codec makes one frame. `is_complete` is set when all packets of the
    video were sent and all frames received.
    """

    def __init__(self, context: VideoCodecContext) -> None:
        self.is_complete = False
        self._codec = context.codec.canonical_name
        has_fields = self._codec == "h264" and may_have_fields(context.extradata or b"")
        self.is_countable = self._codec in _ONE_FRAME_PER_PACKET and not has_fields
        self._missing = 0  # frames of the packets so far
        self._before_key = 0
        self._has_begun = False  # with a key frame, or a frame

    @property
    def before_key(self) -> int:
        """Number of packets before the first key frame, which show nothing."""
        return min(self._before_key, max(0, self._missing))

    @property
    def undecoded(self) -> int:
        """Number of other packets without a frame and without an error; 0 for codecs that do not allow to count."""
        return max(0, self._missing) - self.before_key if self.is_complete and self.is_countable else 0

    def send(self, packet: AnyPacket) -> None:
        """Counts a packet before it is decoded."""
        self._has_begun |= packet.is_keyframe
        self._before_key += not self._has_begun
        self._missing += _makes_frame(self._codec, packet)

    def receive(self, frames: Sequence[VideoFrame]) -> None:
        """Counts the frames that the decoder returned."""
        self._has_begun |= bool(frames)
        self._missing -= len(frames)

    def refuse(self) -> None:
        """Counts a packet that the decoder refused."""
        self._missing -= 1


def _makes_frame(codec: str, packet: AnyPacket) -> bool:
    """Whether a packet makes a frame that is shown: neither hidden, as a reference only, nor cut by an edit list."""
    if not packet.size or packet.is_discard:
        return False
    if codec == "vp8":
        return bool(memoryview(packet)[0] >> 4 & 1)
    return codec != "vp9" or _vp9_shows(memoryview(packet))


def _vp9_shows(data: memoryview) -> bool:
    profile = (data[0] >> 5 & 1) + (data[0] >> 3 & 2)
    existing, _, shown = (data[0] >> bit & 1 for bit in ((3, 2, 1) if profile < 3 else (2, 1, 0)))
    return bool(existing or shown or data[-1] >> 5 == _VP9_SUPERFRAME)
