"""The work on a segment: its packets are decoded, upscaled and encoded; the same at every place and time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from vidsr.engine import Engine
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.media.formats import luma_of
from vidsr.media.frame import VideoFrame
from vidsr.media.frame_conversion import FrameConversion, FrameConverter
from vidsr.media.luma_merger import LumaMerger
from vidsr.media.packet_data import PacketData, packet_data
from vidsr.media.side_data import SideDataCarrier
from vidsr.media.timestamps import TimestampRepair
from vidsr.media.trim import TrimRange
from vidsr.media.video_decoder import DecoderParameters
from vidsr.media.video_encoder import EncoderParameters, VideoEncoder
from vidsr.segments.plan import PlannedSegment


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """All that the segments of one video have in common."""

    decoder: DecoderParameters
    conversion: FrameConversion
    encoder: EncoderParameters
    range: TrimRange
    time_base: Fraction
    """Seconds per tick of all packets and frames."""
    step: int
    """The usual distance between frames, in ticks."""
    size: tuple[int, int]
    """(width, height) of the video's first frame, in its working format."""
    depth: int
    """Bits per luma sample."""
    side_data: SideDataCarrier


@dataclass(frozen=True, kw_only=True)
class UpscaledSegment:
    """The result of a segment."""

    index: int
    packets: tuple[PacketData, ...]
    """In decoding order, from a key frame on; they depend on no other segment."""
    headers: bytes
    """Of the codec: they must be the same for all segments."""
    times: tuple[int, ...]
    """The pts of the frames that were decoded, in order."""
    corrupt: int
    """Frames and packets that the decoder concealed or dropped."""
    before_key: int
    """As of `VideoDecoder`."""
    retimed: int
    """Frames that received a time."""
    flattened: int
    """Frames that lost their transparency."""
    resized: bool
    """Whether frames had another size than the first one of the video."""
    dropped: tuple[str, ...]
    """Side data of the frames that the target cannot hold."""
    precision: str
    """As `PrecisionChoice`, as is `precision_why`."""
    precision_why: str
    warnings: tuple[str, ...]
    """As of `Engine`."""
    reused: float
    """The share of all pixels that was copied from previous results."""


def upscale_segment(
    job: SegmentJob, segment: PlannedSegment, engine: Engine, *, on_frame: Callable[[], None] = lambda: None
) -> UpscaledSegment:
    """The segment upscaled, and encoded by an encoder of its own.

    Unchanged regions are copied within the segment only: its bytes depend on no other one. `on_frame` is called after
    each frame, and ends the work by raising. Raises SourceError if a filter refuses the frames, and FFmpegError or
    ValueError if the encoder does.
    """
    frames, encoder = SegmentFrames(job, segment), VideoEncoder(job.encoder)
    upscale, merger = ReusingEngine(engine), LumaMerger()
    packets, times, resized, dropped = [], [], False, dict[str, None]()
    for frame in frames:
        resized |= (frame.width, frame.height) != job.size
        dropped |= dict.fromkeys(job.side_data.frame_losses(frame))
        merged = merger.merge(frame, upscale(luma_of(frame), job.depth))
        picture = merger.resize(merged, job.encoder.size, job.encoder.pixel_format)
        times.append(frame.pts or 0)
        packets += encoder.encode(picture)
        on_frame()
    packets += encoder.flush()
    return UpscaledSegment(
        index=segment.index,
        packets=tuple(map(packet_data, packets)),
        headers=encoder.context.extradata or b"",
        times=tuple(times),
        corrupt=frames.corrupt,
        before_key=frames.before_key,
        retimed=frames.retimed,
        flattened=frames.flattened,
        resized=resized,
        dropped=tuple(dropped),
        precision=engine.precision_choice.precision,
        precision_why=engine.precision_choice.why,
        warnings=tuple(engine.warnings),
        reused=upscale.copied / max(1, len(times)),
    )


class SegmentFrames:
    """The frames of a segment in their working format, as an iterable for one pass; then the counts are complete."""

    def __init__(self, job: SegmentJob, segment: PlannedSegment) -> None:
        self.corrupt = 0
        self._job, self._segment = job, segment
        self._decoder = job.decoder.open()
        self._converter = FrameConverter(job.conversion)
        self._repair = TimestampRepair(broadcast=False, dts_only=False)

    def __iter__(self) -> Iterator[VideoFrame]:
        return self._converter(self._shown())

    @property
    def before_key(self) -> int:
        """Number of packets before the first key frame; none but in the first segment."""
        return self._decoder.frame_count.before_key if self._segment.start is None else 0

    @property
    def retimed(self) -> int:
        """Number of frames that had no usable time."""
        return self._repair.retimed

    @property
    def flattened(self) -> int:
        """As of `FrameConverter`."""
        return self._converter.flattened

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._segment.packets:
            refused = self._decoder.refused
            yield from self._decoder.decode(packet.av_packet(self._job.time_base))
            if self._segment.contains(packet.pts or 0):  # others may lack what they refer to, and are not shown
                self.corrupt += self._decoder.refused - refused
        yield from self._decoder.decode(None)

    def _shown(self) -> Iterator[VideoFrame]:
        """The frames of the segment, with their final time stamps."""
        for frame in self._repair.frames(self._decoded(), self._job.step):
            pts = frame.pts or 0
            shown = self._job.range.frame_pts(pts, self._job.time_base)
            if shown is not None and self._segment.contains(pts):
                self.corrupt += frame.is_corrupt
                frame.pts = shown
                yield frame
