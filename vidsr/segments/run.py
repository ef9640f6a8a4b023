"""A video upscaled by segments: planned as it is read, worked on by any pool, joined and muxed in order."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from vidsr.engine.precision import PrecisionChoice
from vidsr.flow import ordered_window
from vidsr.media.file_muxer import FileMuxer
from vidsr.media.frame import SidePacket
from vidsr.media.reader import Reader
from vidsr.media.video_encoder import VideoEncoder
from vidsr.segments.join import SegmentJoiner
from vidsr.segments.journal import SegmentJournal
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.source_segments import segment_job, source_segments
from vidsr.segments.work import SegmentJob, UpscaledSegment

OnDone = Callable[[UpscaledSegment], None]


class SegmentPool(Protocol):
    """Works on segments side by side. One job is begun, and each segment's result asked for once."""

    frames: int
    """The number of frames worked on so far."""
    restarts: int
    """The number of replaced processes."""
    precision_choice: PrecisionChoice
    """The expected one."""

    @property
    def workers(self) -> int:
        """The number of processes, 0 for this one."""
        ...

    @property
    def threads(self) -> int:
        """Of each process."""
        ...

    @property
    def window(self) -> int:
        """The number of segments that keep it busy."""
        ...

    def begin(self, job: SegmentJob, on_done: OnDone) -> None:
        """Work on the segments of this job; `on_done` receives each result at once, in any order and any thread."""
        ...

    def submit(self, segment: PlannedSegment) -> None:
        """Queue a segment."""
        ...

    def result(self, index: int, tick: Callable[[], None]) -> UpscaledSegment:
        """The result of a segment; while it is waited for, `tick` is called, and ends the wait by raising.

        Raises WorkerError for a segment that cannot be worked on.
        """
        ...


@dataclass(kw_only=True)
class SegmentCounts:
    """What became of the frames of all segments so far."""

    segments: int = 0
    planned: int = 0
    """Packets that should show a frame."""
    resumed: int = 0
    """Frames of segments that an earlier run finished."""
    frames: int = 0
    corrupt: int = 0
    before_key: int = 0
    retimed: int = 0
    flattened: int = 0
    resized: bool = False
    quarantined: list[int] = field(default_factory=list)
    """Their numbers in the video, counted from 0."""
    reused: float = 0.0
    """Frames' worth of pixels that was copied from previous results."""
    warnings: list[str] = field(default_factory=list)
    """As of `UpscaledSegment`, each once."""
    precision_choice: PrecisionChoice | None = None
    """Of the last segment."""

    def add(self, done: UpscaledSegment) -> None:
        """Count a segment."""
        self.quarantined += [self.frames + number for number in done.quarantined]
        self.reused += done.reused * len(done.times)
        self.warnings += [sentence for sentence in done.warnings if sentence not in self.warnings]
        self.precision_choice = PrecisionChoice(precision=done.precision, why=done.precision_why)
        self.segments += 1
        self.frames += len(done.times)
        self.corrupt += done.corrupt
        self.before_key += done.before_key
        self.retimed += done.retimed
        self.flattened += done.flattened
        self.resized |= done.resized


class SegmentedRun:
    """One file on its way through segments into `muxer`, whose headers are those of `encoder`.

    With `verify` the file is decoded at the end, and the times of its frames are compared.
    """

    def __init__(self, reader: Reader, muxer: FileMuxer, encoder: VideoEncoder, *, verify: bool = False) -> None:
        self.counts = SegmentCounts()
        self.job = segment_job(reader, encoder.parameters, muxer.side_data)
        self._reader, self._muxer = reader, muxer
        self._joiner = SegmentJoiner(encoder.context.extradata or b"")
        self._others: dict[int, tuple[SidePacket, ...]] = {}
        self._times = array("q") if verify else None  # the pts of all frames: of an hour 1 MB

    def process(
        self, pool: SegmentPool, journal: SegmentJournal, tick: Callable[[], None]
    ) -> Iterator[UpscaledSegment]:
        """Each segment once it is written; `tick` as in `SegmentPool.result`.

        Raises NotSegmentable, perhaps after some segments, and WorkerError.
        """
        pool.begin(self.job, journal.put)

        def begin(segment: PlannedSegment) -> Callable[[], UpscaledSegment]:
            tick()
            if kept := journal.get(segment):
                self.counts.resumed += len(kept.times)
                return lambda: kept
            pool.submit(segment)
            return partial(pool.result, segment.index, tick)

        for done in ordered_window(begin, lambda result: result(), self._planned(), lambda: pool.window):
            packets = self._joiner.packets(done)
            self._muxer.mux((packet.av_packet(self.job.time_base) for packet in packets), self._others.pop(done.index))
            self.counts.add(done)
            if self._times is not None:
                self._times.extend(done.times)
            yield done

    def finish(self) -> None:
        """Completes the file: its last packet, and the packets of other streams after it."""
        as_displayed = self._muxer.container.has_display_matrix
        last = self._joiner.last_packet(as_displayed=as_displayed)
        self._muxer.mux((packet.av_packet(self.job.time_base) for packet in last), self._reader.trailing_packets())
        self._muxer.mux((), self._reader.late_packets())
        self._muxer.finish(verify=self._times)

    def _planned(self) -> Iterator[PlannedSegment]:
        for segment in source_segments(self._reader):
            self._others[segment.index] = self._reader.packets_before()
            shown = (self._reader.range.frame_pts(pts, self.job.time_base) for pts in segment.times)
            self.counts.planned += sum(pts is not None for pts in shown)
            yield segment
