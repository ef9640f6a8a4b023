"""A connection to a camera: packets are decoded, timed, upscaled and written in order; and the reconnect loop."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from vidsr.errors import SourceLost
from vidsr.live.camera_watchdog import Backoff
from vidsr.live.config import CameraConfig
from vidsr.live.packet_queue import DroppingQueue, PacketReader, QueuedPacket
from vidsr.live.quality_ladder import ModelLadder, QualityLadder
from vidsr.live.reorder_buffer import PassthroughPacket, ReorderBuffer, TimedFrame
from vidsr.live.status import NO_NETWORK, State, Status
from vidsr.live.writer_thread import WriterThread
from vidsr.media.formats import depth_of, luma_of
from vidsr.media.frame import Frame, VideoFrame
from vidsr.media.pixel_format_converter import PixelFormatConverter
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.live_timestamps import TIME_BASE, FrameTime, LiveTimeline
from vidsr.media.source.pacing import LivePacket
from vidsr.pool import Pool


@dataclass(frozen=True, kw_only=True)
class CameraContext:
    """The parts of a camera that outlive its connections."""

    config: CameraConfig
    pool: Pool
    models: ModelLadder
    recorder: Recorder
    status: Status
    timeline: LiveTimeline
    stop: threading.Event
    on_warning: Callable[[str], None]


class Connection:
    """An open connection; closed by `with`, which writes the frames and packets that are still in work."""

    def __init__(self, context: CameraContext, source: LiveSource, queue: DroppingQueue[LivePacket]) -> None:
        self._context, self._source, self._queue = context, source, queue
        self._status, self._timeline = context.status, context.timeline
        self._counts_before = (Counter(self._status.dropped), self._status.corrupt)
        self._dropped_audio = 0
        self._last_pts: int | None = None  # of the previous frame; None after a drop
        self._converter: PixelFormatConverter | None = None
        self._format: tuple[int, int, str] | None = None
        self._early: deque[tuple[LivePacket, int | None, int | None, float]] = deque()
        self._stages: tuple[QualityLadder, ReorderBuffer, WriterThread] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._timeline.on_reconnect()
        self._source.audio = self._context.recorder.best_audio(self._source.audio_tracks)
        self._status.source = str(self._source.info)
        return self

    def __exit__(self, *exception: object) -> None:
        with self._stack:
            if self._stages and isinstance(exception[1], SourceLost | None):
                self._write_ready(drain=True)
        self._context.recorder.end_segment()

    def process(self, queued: "QueuedPacket[LivePacket] | None") -> None:
        """Process a packet; None stands for a wait in which no packet came."""
        self._drop_if_late()
        if queued:
            if queued.packet.stream is self._source.video:
                self._process_video(queued)
            elif self._source.audio and queued.packet.stream is self._source.audio.stream:
                self._process_audio(queued)
            self._count()
        if self._stages:
            self._write_ready(drain=False)

    @property
    def is_busy(self) -> bool:
        """Whether frames are being upscaled."""
        return bool(self._stages and self._stages[1])

    def _process_video(self, queued: QueuedPacket[LivePacket]) -> None:
        packet = queued.packet
        times = packet.pts, packet.dts  # before decoding, which may change them
        decoded = [] if queued.dropped else self._source.decode(packet)
        self._last_pts = None if queued.dropped else self._last_pts
        frames = [self._timed_frame(video_frame, queued.arrived_s) for video_frame in decoded]
        if self._context.config.record.original:
            self._queue_source(packet, *times, queued.arrived_s)
        for frame in frames:
            self._submit(frame)

    def _queue_source(self, packet: LivePacket, pts: int | None, dts: int | None, arrived_s: float) -> None:
        """Queue a packet for the original, once there is a timeline: it begins with the first frame.

        A decoder with B-frames or threads returns that after several packets; those from a key frame on wait here.
        """
        if packet.is_keyframe and self._stages is None:
            self._early.clear()
        if packet.is_keyframe or self._stages or self._early:
            self._early.append((packet, pts, dts, arrived_s))
        while self._stages and self._early:
            packet, *times, arrived_s = self._early.popleft()
            pts, dts = (
                self._timeline.source_pts(time, time_base=packet.time_base, arrived_s=arrived_s) for time in times
            )
            self._queue_packet(PassthroughPacket(packet=packet, pts=pts, dts=dts, is_source=True))

    def _timed_frame(self, video_frame: VideoFrame, arrived_s: float) -> TimedFrame:
        """The frame in the pixel format to upscale in, with its time."""
        if self._stages is None:
            self._begin()
        time_base = video_frame.time_base or TIME_BASE
        frame_time = self._timeline.frame_time(video_frame.pts, time_base=time_base, arrived_s=arrived_s)
        self._count_missed(frame_time)
        format_ = (video_frame.width, video_frame.height, video_frame.format.name)
        is_new_format = self._converter is None or format_ != self._format
        if is_new_format:
            self._converter = self._reconfigure(video_frame, format_)
        assert self._converter
        assert self._stages
        converted, (ladder, reorder, _) = self._converter(video_frame), self._stages
        frame, depth = Frame(av_frame=converted, luma=luma_of(converted)), depth_of(converted.format.name)
        if is_new_format:
            reorder.prepare(frame.luma, depth)
        return TimedFrame(
            decoded=frame, time=frame_time, depth=depth, arrived_s=arrived_s, rung=reorder.available_rung(ladder.rung)
        )

    def _count_missed(self, frame_time: FrameTime) -> None:
        """Count the frames that should have come before this one: no other count shows what UDP loses."""
        rate, last, self._last_pts = self._source.info.rate, self._last_pts, frame_time.pts
        if rate and last is not None and not frame_time.discontinuity:
            self._status.missed += max(0, round((frame_time.pts - last) * TIME_BASE * rate) - 1)

    def _reconfigure(self, video_frame: VideoFrame, format_: tuple[int, int, str]) -> PixelFormatConverter:
        """A converter for the first frame, or for frames of another size or format."""
        self._format = format_
        info = replace(self._source.info, width=video_frame.width, height=video_frame.height)
        self._status.source = str(info)
        assert self._stages
        self._stages[0].begin(time.monotonic())  # compiling the networks for a new size takes time
        return self._new_converter(video_frame)

    def _new_converter(self, video_frame: VideoFrame) -> PixelFormatConverter:
        try:
            return PixelFormatConverter(video_frame, still=False)
        except ValueError as error:
            raise SourceLost(
                f"{self._context.config.source}: sends {video_frame.format.name}, which has no luma"
            ) from error

    def _begin(self) -> None:
        """Start the stages with the first frame, whose compression selects the networks."""
        context, source = self._context, self._source
        networks = context.models.networks(source.compression())
        ladder = QualityLadder(
            [*networks, NO_NETWORK], context.config.stream.max_delay_s, on_warning=context.on_warning
        )
        writer = WriterThread(
            context.recorder,
            source,
            scale=context.models.scale,
            engines=context.pool.engines,
            ladder=ladder,
            status=context.status,
            preview_dir=context.config.preview_dir,
        )
        self._stages = ladder, ReorderBuffer(context.pool, networks), self._stack.enter_context(writer)
        context.status.state, context.status.reason = State.RUNNING, ""
        context.status.connects += 1

    def _process_audio(self, queued: QueuedPacket[LivePacket]) -> None:
        packet = queued.packet
        pts = self._timeline.audio_pts(packet.pts, time_base=packet.time_base, arrived_s=queued.arrived_s)
        if pts is None:
            self._dropped_audio += self._stages is not None
        else:
            self._queue_packet(PassthroughPacket(packet=packet, pts=pts, dts=pts, is_source=False))

    def _queue_packet(self, packet: PassthroughPacket) -> None:
        if self._stages:
            self._stages[1].queue_packet(packet)

    def _submit(self, frame: TimedFrame) -> None:
        assert self._stages
        _, reorder, writer = self._stages
        while reorder.is_full:
            writer.put(reorder.pop())
        reorder.submit(frame)
        self._status.frames_in += 1

    def _write_ready(self, *, drain: bool) -> None:
        assert self._stages
        _, reorder, writer = self._stages
        while drain and reorder:
            writer.put(reorder.pop())
        for item in reorder.ready_items():
            writer.put(item)

    def _drop_if_late(self) -> None:
        if self._stages is None:
            return
        ladder, now = self._stages[0], time.monotonic()
        if ladder.should_drop(now_s=now, queue_age_s=self._queue.age_s(now)):
            self._queue.drop("late")

    def _count(self) -> None:
        status, now = self._status, time.monotonic()
        dropped, corrupt = self._counts_before
        dropped_audio = Counter({"sound out of place": self._dropped_audio})
        status.dropped = dict(dropped + self._queue.dropped + dropped_audio)
        status.corrupt = corrupt + self._source.corrupt
        status.repaired = dict(self._timeline.repaired)
        status.worker_restarts = self._context.pool.restarts
        if self._stages:
            ladder, reorder, _ = self._stages
            status.rung = "dropping" if ladder.is_dropping(now) else reorder.available_rung(ladder.rung)


_BUSY_S, _IDLE_S = 0.004, 0.1
"""The wait for a packet: while frames are being upscaled, and otherwise."""


def run_reconnect_loop(context: CameraContext) -> None:
    """Connect, and reconnect after pauses, until `context.stop` is set.

    Raises SourceError for a source that can never work; SourceLost at the first loss with `fail_fast`; WorkerError
    when the pool cannot go on.
    """
    backoff, stop, status = Backoff(), context.stop, context.status
    while not stop.is_set():
        status.state, before = State.CONNECTING, status.connects
        began = time.monotonic()
        try:
            _connect(context)
            return
        except SourceLost as error:
            if context.config.stream.fail_fast:
                raise
            if status.connects > before:
                backoff.on_success(time.monotonic() - began)
            pause_s = backoff.next_s(slow=error.slow)
            status.state, status.reason = State.WAITING, f"{error}; the next attempt is in {pause_s:.0f} s"
            context.on_warning(status.reason)
            error.__traceback__ = None  # it refers to the connection, its decoder and its threads, in a cycle
        stop.wait(pause_s)


def _connect(context: CameraContext) -> None:
    """One connection, until the source is lost, which raises SourceLost, or until the stop event."""
    config, stop = context.config, context.stop
    with PacketReader(config.source, config.stream) as reader, ExitStack() as stack:
        connection: Connection | None = None
        while not stop.is_set():
            queued = reader.queue.get(_BUSY_S if connection and connection.is_busy else _IDLE_S)
            if queued and connection is None:
                assert reader.source
                connection = stack.enter_context(Connection(context, reader.source, reader.queue))
            if connection:
                connection.process(queued)
