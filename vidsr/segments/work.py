"""The work on a segment: its packets are decoded, upscaled and encoded; the same at every place and time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vidsr.arrays import Plane
from vidsr.engine import Engine
from vidsr.engine.precision import PrecisionChoice
from vidsr.engine.reusing_engine import ReusingEngine
from vidsr.flow import with_results
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
    """As `FrameCount`."""
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
    quarantined: tuple[int, ...] = ()
    """Frames of the segment, counted from 0, that ended two workers and were upscaled without the network."""


class LumaUpscaler(Protocol):
    """An upscaler of the luma of frames: an engine (`SegmentEngine`), or a whole pool."""

    @property
    def precision_choice(self) -> PrecisionChoice:
        """The precision of the last plane, and why."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """As of `Engine`."""
        ...

    @property
    def quarantined(self) -> Sequence[int]:
        """As of `UpscaledSegment`."""
        ...

    @property
    def reused(self) -> float:
        """As of `UpscaledSegment`."""
        ...

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """Each plane of `depth` bits upscaled, in order, as they are asked for."""
        ...


class SegmentEngine:
    """An engine for one segment: unchanged regions are copied within it only, so its bytes depend on no other one."""

    quarantined: Sequence[int] = ()

    def __init__(self, engine: Engine) -> None:
        self._engine, self._upscale = engine, ReusingEngine(engine)

    @property
    def precision_choice(self) -> PrecisionChoice:
        """As `LumaUpscaler`."""
        return self._engine.precision_choice

    @property
    def warnings(self) -> Sequence[str]:
        """As `LumaUpscaler`."""
        return self._engine.warnings

    @property
    def reused(self) -> float:
        """As `LumaUpscaler`."""
        return self._upscale.reused

    def map(self, planes: Iterable[Plane], depth: int) -> Iterator[Plane]:
        """As `LumaUpscaler`."""
        return (self._upscale(plane, depth) for plane in planes)


def upscale_segment(
    job: SegmentJob, segment: PlannedSegment, upscaler: LumaUpscaler, *, on_frame: Callable[[], None] = lambda: None
) -> UpscaledSegment:
    """The segment upscaled, and encoded by an encoder of its own.

    `on_frame` is called after each frame, and ends the work by raising. Raises SourceError if a filter refuses the
    frames, FFmpegError or ValueError if the encoder does, and what the upscaler raises.
    """
    frames, encoder, merger = SegmentFrames(job, segment), VideoEncoder(job.encoder), LumaMerger()
    packets, times, resized, dropped = [], [], False, dict[str, None]()
    for frame, luma in with_results(frames, lambda taken: upscaler.map(map(luma_of, taken), job.depth)):
        resized |= (frame.width, frame.height) != job.size
        dropped |= dict.fromkeys(job.side_data.frame_losses(frame))
        merged = merger.merge(frame, luma)
        scaled = merger.resize(merged, job.encoder.size, job.encoder.pixel_format)
        times.append(frame.pts or 0)
        packets += encoder.encode(scaled)
        on_frame()
    packets += encoder.flush() if segment.end is None or not times else encoder.cut(scaled, job.step)
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
        precision=upscaler.precision_choice.precision,
        precision_why=upscaler.precision_choice.why,
        warnings=tuple(upscaler.warnings),
        reused=upscaler.reused,
        quarantined=tuple(upscaler.quarantined),
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
