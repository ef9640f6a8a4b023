"""Encoding: packets of a file's video out of upscaled frames."""

from dataclasses import dataclass, replace
from fractions import Fraction

from av import Packet, VideoFrame
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vidsr.cpu import kept_scheduling, this_cpu
from vidsr.media.color_tags import ColorTags
from vidsr.media.containers import Container
from vidsr.media.encoders import (
    SIDE_DATA_OPTIONS,
    EncoderChoice,
    FrameFormat,
    check_encoder,
    encoder_options,
    merge_options,
    video_encoder,
)
from vidsr.media.frame import SourceTemplate
from vidsr.media.hdr_options import hdr_options

_MAX_DELAY_S = 3600  # between dts and pts; for a video of one or two frames x265 writes arbitrary, often larger ones
_MIN_FRAMES = 3  # of which no delay is longer than twice the time from the first to the last
_LOOKAHEAD_CODECS = ("libx264", "libx265")
"""Encoders that save bits on frames behind which they see no others."""
_REPEATS = 10
"""Measured with x264 on three videos: with 8 the 5 frames before a cut are -0.6 to 0.3 dB off those of a whole run,
with 12 -0.1 to 0.6, without -2.3 to -0.8; with x265 on two: with 10 -0.2 to 0.6, without -1.4 to -0.2."""


@dataclass(frozen=True, kw_only=True)
class EncoderParameters:
    """All parameters that determine the packets of given frames."""

    codec: str
    options: dict[str, str]
    size: tuple[int, int]
    """(width, height) of the frames."""
    pixel_format: str
    time_base: Fraction
    """Seconds per tick of the frames' and the packets' time stamps."""
    rate: Fraction
    """Mean frames per second."""
    pixel_aspect: Fraction
    color_tags: ColorTags
    global_header: bool
    """Whether the headers are apart from the packets."""
    codec_tag: str
    """The container's tag for the codec, "" for its usual one."""
    reproducible: bool = False
    """Whether the same frames give the same bytes each time, on one thread."""


def open_encoder(
    template: SourceTemplate,
    choice: EncoderChoice,
    container: Container,
    size: tuple[int, int],
    *,
    reproducible: bool = False,
) -> "VideoEncoder":
    """The encoder for frames of `size` made of those of a source. Raises TargetError if it refuses its options."""
    parameters = replace(encoder_parameters(template, choice, container, size), reproducible=reproducible)
    frame_format = FrameFormat(width=size[0], height=size[1], pixel_format=parameters.pixel_format)
    check_encoder(choice.encode, frame_format, parameters.options)
    return VideoEncoder(parameters)


def encoder_parameters(
    template: SourceTemplate, choice: EncoderChoice, container: Container, size: tuple[int, int]
) -> EncoderParameters:
    """The parameters for frames of `size` made of those of a source. Raises TargetError as `encoder_options` does."""
    info, first, codec = template.info, template.first, choice.encode.codec
    hdr = hdr_options(first, codec)
    # The source's pixel aspect, adjusted to keep the display aspect where `size` has another one.
    aspect = info.pixel_aspect * Fraction(info.width * size[1], info.height * size[0])
    return EncoderParameters(
        codec=codec,
        options=encoder_options(choice.encode, hdr, defaults=SIDE_DATA_OPTIONS.get(codec, {})),
        size=size,
        pixel_format=choice.pixel_format,
        time_base=template.time_base,
        rate=info.rate or Fraction(25),
        pixel_aspect=aspect,
        color_tags=ColorTags.of_resized(first, (info.height, size[1])),
        global_header=container.format != "mpegts",
        # Apple's players need this tag.
        codec_tag="hvc1" if codec == "libx265" and container.has_display_matrix else "",
    )


class VideoEncoder:
    """An open encoder. `pending` are the durations of the frames in it, by their pts.

    Raises FFmpegError if it does not open.
    """

    def __init__(self, parameters: EncoderParameters) -> None:
        self.parameters = parameters
        self.pending: dict[int, int] = {}
        self._frames = self._first_pts = self._last_pts = 0
        self.context = _open(parameters)

    def encode(self, frame: VideoFrame, *, key: bool = False) -> "list[Packet[VideoStream]]":
        """The packets that the encoder returns for a frame, perhaps a key frame; they come in ascending order of pts.

        Raises ValueError for a frame of another size, which PyAV would silently scale.
        """
        if (frame.width, frame.height) != self.parameters.size:
            raise ValueError(f"the encoder takes frames of {self.parameters.size}, not {(frame.width, frame.height)}")
        assert frame.pts is not None
        frame.pict_type = PictureType.I if key else PictureType.NONE  # the encoder chooses the other key frames
        self.pending[frame.pts] = frame.duration
        self._first_pts, self._last_pts = self._first_pts if self._frames else frame.pts, frame.pts
        self._frames += 1
        return self._timed(self.context.encode(frame))

    def flush(self) -> "list[Packet[VideoStream]]":
        """The last packets; no frame can follow."""
        return self._timed(self.context.encode(None))

    def cut(self, last: VideoFrame, step: int) -> "list[Packet[VideoStream]]":
        """As `flush`, where another encoder goes on after the `last` frame; frames are usually `step` ticks apart.

        At the end of a video x264 and x265 save: their last frames lose 1 to 2 dB. So they receive the last one some
        times more, from a key frame on, to which nothing before refers, and whose packets are dropped.
        """
        end, packets = last.pts or 0, []
        if self.parameters.codec in _LOOKAHEAD_CODECS:
            for number in range(_REPEATS):
                last.pts = end + (number + 1) * step
                packets += self.encode(last, key=number == 0)
        packets += self.flush()
        return [packet for packet in packets if self._ticks(packet) <= end]

    def _ticks(self, packet: "Packet[VideoStream]") -> int:
        return round((packet.pts or 0) * packet.time_base / self.parameters.time_base)

    def _timed(self, packets: "list[Packet[VideoStream]]") -> "list[Packet[VideoStream]]":
        """The packets with the durations of their frames, which not all encoders set, and a usable dts."""
        base = self.parameters.time_base
        ticks = 2 * (self._last_pts - self._first_pts) if self._frames >= _MIN_FRAMES else 0
        max_delay_s = max(Fraction(_MAX_DELAY_S), ticks * base)
        for packet in packets:
            pts, dts = packet.pts or 0, packet.dts
            if dts is not None and not 0 <= (pts - dts) * packet.time_base <= max_delay_s:
                packet.dts = pts
            if duration := self.pending.pop(self._ticks(packet), 0):
                packet.duration = round(duration * base / packet.time_base)
        return packets


def _open(parameters: EncoderParameters) -> VideoCodecContext:
    context = video_encoder(parameters.codec)
    context.thread_type = "AUTO"  # PyAV's default, slices, makes x264 files 3 % larger
    context.options = parameters.options
    if parameters.codec in _LOOKAHEAD_CODECS:  # for `cut`: with open GOPs frames before a key frame refer to it
        context.options = merge_options(context.options, {"forced-idr": "1"})
    if parameters.reproducible:
        context.thread_count = 1
        if parameters.codec == "libx264" and any(flag.startswith("avx512") for flag in this_cpu().flags):
            # x264's AVX-512 makes other bytes each time where a row has no multiple of 8 macroblocks.
            context.options = merge_options(context.options, {"x264-params": "asm=AVX2"})
    context.width, context.height = parameters.size
    context.pix_fmt = parameters.pixel_format
    context.time_base = parameters.time_base
    context.framerate = parameters.rate
    context.sample_aspect_ratio = parameters.pixel_aspect
    parameters.color_tags.write(context)
    if parameters.global_header:
        context.flags |= Flags.global_header
    if parameters.codec_tag:
        context.codec_tag = parameters.codec_tag
    with kept_scheduling():
        context.open(strict=False)
    return context
