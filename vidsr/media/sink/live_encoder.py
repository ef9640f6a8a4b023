"""One encoder whose packets go into any number of containers, each as soon as its picture is in."""

from fractions import Fraction

import av
from av import VideoFrame
from av.codec.context import Flags
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vidsr.errors import TargetError
from vidsr.media.encoders import colorspace_tag, encoder_options
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import Unit, aspect, nowhere
from vidsr.settings import EncodeSettings

_USUAL_RATE = 25
_LIVE = {  # fast, and nothing held back: a key frame that is asked for is one from which decoding can begin
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
    "libx265": {"preset": "veryfast", "tune": "zerolatency", "forced-idr": "1"},
    "libsvtav1": {"preset": "10", "svtav1-params": "pred-struct=1:lookahead=0"},
    "libvpx-vp9": {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"},
}


class Encoder:
    """Pictures of the size, format and tags of `first`, encoded; `stream` is what containers are told of them.

    Raises TargetError when there is no such encoder, or it takes no such pictures.
    """

    def __init__(self, first: VideoFrame, encode: EncodeSettings, *, source: VideoStream | None) -> None:
        options = _LIVE.get(encode.codec, {}) | encoder_options(encode, {})
        self.kind = kind(first)
        holder = nowhere()  # the encoder is that of its stream
        stream = holder.add_stream(encode.codec, options=options)
        assert isinstance(stream, VideoStream)
        self.stream, context = stream, stream.codec_context
        context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
        context.time_base = TIME_BASE
        context.framerate = (source.average_rate if source else None) or Fraction(_USUAL_RATE)
        context.sample_aspect_ratio = aspect(source) if source else Fraction(1)
        context.color_range, context.color_primaries = first.color_range, first.color_primaries
        heights = (source.codec_context.height if source else first.height, first.height)
        context.color_trc, context.colorspace = first.color_trc, colorspace_tag(first.colorspace, heights)
        context.max_b_frames = 0
        context.flags |= Flags.global_header
        try:
            holder.start_encoding()
        except (av.FFmpegError, ValueError, OSError) as error:
            size = f"{first.width}x{first.height} in {first.format.name}"
            reason = getattr(error, "strerror", error)
            raise TargetError(f"{encode.codec} refuses a live stream of {size} ({reason})") from error
        finally:
            holder.close()

    def encode(self, picture: VideoFrame, *, key: bool) -> list[Unit]:
        """What the picture became, as a rule one packet; `key`: it shall be a key frame."""
        picture.pict_type = PictureType.I if key else PictureType.NONE
        return self._units(picture)

    def finish(self) -> list[Unit]:
        """What was held back all the same; no picture can follow."""
        return self._units(None)

    def _units(self, picture: VideoFrame | None) -> list[Unit]:
        return [
            Unit(
                packet=packet,
                pts=packet.pts or 0,
                dts=packet.pts or 0 if packet.dts is None else packet.dts,
                key=packet.is_keyframe,
                duration=packet.duration or 0,
            )
            for packet in self.stream.encode(picture)
        ]


def kind(picture: VideoFrame) -> tuple[int, int, str, int]:
    """What must not change in what one encoder takes: it would scale and convert, and say nothing."""
    return (picture.width, picture.height, picture.format.name, picture.color_range)


def trial(encode: EncodeSettings) -> Encoder:
    """Raises TargetError for an encoder that is not there, has no such knob, or cannot follow a live stream."""
    return Encoder(VideoFrame(320, 240, "yuv420p"), encode, source=None)
