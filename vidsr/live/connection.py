"""A connection to a camera: packets are decoded, timed, upscaled and written in order."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Self

from vidsr.errors import SourceLost
from vidsr.live.config import CameraConfig
from vidsr.live.learned_network import SceneNetwork, SceneWatch
from vidsr.live.packet_queue import DroppingQueue, QueuedPacket
from vidsr.live.quality_ladder import ModelLadder, QualityLadder
from vidsr.live.reorder_buffer import PassthroughPacket, ReorderBuffer, TimedFrame
from vidsr.live.source_packets import SourcePackets
from vidsr.live.status import NO_NETWORK, ORIGINAL_ONLY, State, Status
from vidsr.live.writer_thread import WriterThread
from vidsr.media.formats import depth_of, luma_of
from vidsr.media.frame import Frame, VideoFrame
from vidsr.media.pixel_format_converter import PixelFormatConverter, find_working_format
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
    scene: SceneWatch
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
        self._learned: SceneNetwork | None = None
        self._source_packets = SourcePackets(context.timeline)
        self._is_decoding = False
        self._stages: tuple[QualityLadder, ReorderBuffer, WriterThread] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._timeline.on_reconnect()
        self._source.audio = self._context.recorder.best_audio(self._source.audio_tracks)
        self._status.source = str(self._source.info)
        return self

    def __exit__(self, *exception: object) -> None:
        with self._stack:
            if isinstance(exception[1], SourceLost | None):
                self._finish()
        self._context.recorder.end_segment()

    def process(self, queued: "QueuedPacket[LivePacket] | None") -> None:
        """Process a packet; None stands for a wait in which no packet came."""
        self._drop_if_late()
        self._renew_networks()
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

    def _finish(self) -> None:
        """Write the frames and packets that are still in the decoder and in work."""
        self._submit_all(self._source.flush(), time.monotonic())
        if self._stages:
            self._queue_source_packets(is_last=True)
            self._write_ready(drain=True)

    def _process_video(self, queued: QueuedPacket[LivePacket]) -> None:
        packet = queued.packet
        times = packet.pts, packet.dts  # before decoding, which may change them
        decoded = self._decode(queued)
        if self._context.config.record.keeps_original:
            self._source_packets.put(packet, times, arrived_s=queued.arrived_s, is_decoded=not queued.dropped)
        self._submit_all(decoded, queued.arrived_s)
        self._last_pts = None if queued.dropped else self._last_pts

    def _decode(self, queued: QueuedPacket[LivePacket]) -> list[VideoFrame]:
        """The frames that a packet completes; where packets are dropped, those that the decoder holds."""
        was_decoding, self._is_decoding = self._is_decoding, not queued.dropped
        if queued.dropped:
            return self._source.flush() if was_decoding else []
        return self._source.decode(queued.packet)

    def _submit_all(self, video_frames: Iterable[VideoFrame], arrived_s: float) -> None:
        frames = [self._timed_frame(video_frame, arrived_s) for video_frame in video_frames]
        self._queue_source_packets(is_last=False)  # before the frames, with which files begin
        for frame in frames:
            self._submit(frame)

    def _queue_source_packets(self, *, is_last: bool) -> None:
        for packet in self._source_packets.placed(is_last=is_last):
            self._queue_packet(packet)

    def _timed_frame(self, video_frame: VideoFrame, arrived_s: float) -> TimedFrame:
        """The frame in the pixel format to upscale in, with its time."""
        if self._stages is None:
            self._begin()
        time_base = video_frame.time_base or TIME_BASE
        frame_time = self._timeline.frame_time(video_frame.pts, time_base=time_base, arrived_s=arrived_s)
        self._source_packets.on_frame(video_frame.pts, time_base=time_base, pts=frame_time.pts)
        self._count_missed(frame_time)
        format_ = (video_frame.width, video_frame.height, video_frame.format.name)
        is_new_format = self._converter is None or format_ != self._format
        if is_new_format:
            self._converter = self._reconfigure(video_frame, format_)
        assert self._converter
        assert self._stages
        converted, (ladder, reorder, _) = self._converter(video_frame), self._stages
        frame, depth = Frame(av_frame=converted, luma=luma_of(converted)), depth_of(converted.format.name)
        self._context.scene.on_frame(frame.luma, depth, arrived_s)
        if is_new_format:
            reorder.prepare(frame.luma, depth)
        return TimedFrame(
            decoded=frame, time=frame_time, depth=depth, arrived_s=arrived_s, rung=self._rung(ladder, reorder)
        )

    def _rung(self, ladder: QualityLadder, reorder: ReorderBuffer) -> str:
        """The rung for the next frame."""
        return ORIGINAL_ONLY if self._context.recorder.is_original_only else reorder.available_rung(ladder.rung)

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
            return PixelFormatConverter(find_working_format(video_frame, still=False))
        except ValueError as error:
            raise SourceLost(
                f"{self._context.config.source}: sends {video_frame.format.name}, which has no luma"
            ) from error

    def _renew_networks(self) -> None:
        """Take over what the camera has learned, or go back to the general networks, between two frames."""
        learned = self._context.scene.usable
        if self._stages and learned is not self._learned:
            self._learned, self._format = learned, None  # prepared with the next frame, as for a new size
            networks = self._context.models.networks(self._source.compression(), learned)
            ladder, reorder, _ = self._stages
            ladder.replace_rungs([*networks, NO_NETWORK])
            reorder.replace_networks(networks)
            self._context.on_warning(f"{ladder.best_rung} upscales from now on")

    def _begin(self) -> None:
        """Start the stages with the first frame, whose compression selects the networks."""
        context, source = self._context, self._source
        self._learned = context.scene.usable
        networks = context.models.networks(source.compression(), self._learned)
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
        for packet in self._source.encode_audio(queued.packet):
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
            upscales = self._rung(ladder, reorder)
            status.best_rung = ladder.best_rung
            scene = self._context.scene
            status.learned, status.shows_scene = scene.learned.name if scene.learned else "", scene.shows_scene
            status.rung = "dropping" if ladder.is_dropping(now) else upscales
