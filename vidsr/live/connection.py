"""One connection to a camera: its packets decoded, timed, enlarged as the ladder says, and handed on in order."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from vidsr.errors import SourceLost
from vidsr.live.camera_config import Order
from vidsr.live.model_ladder import Rungs
from vidsr.live.packet_queue import Backlog, Waiting
from vidsr.live.quality_ladder import Ladder
from vidsr.live.reorder_buffer import PLAIN, Copied, Flight, Shot
from vidsr.live.status import State, Status
from vidsr.live.writer_thread import Writing
from vidsr.media.formats import depth_of, luma_of
from vidsr.media.frame import Frame, VideoFrame
from vidsr.media.pixel_format_converter import PixelFormatConverter
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_source import Camera
from vidsr.media.source.live_timestamps import TIME_BASE, Clock, Moment
from vidsr.media.source.pacing import LivePacket
from vidsr.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What outlives the connections of a camera."""

    order: Order
    pool: Pool
    rungs: Rungs
    recorder: Recorder
    status: Status
    clock: Clock
    stop: threading.Event
    say: Callable[[str], None]


class Connection:
    """A connection that brings packets; closed by `with`, which writes what came."""

    def __init__(self, equipment: Equipment, camera: Camera, backlog: Backlog[LivePacket]) -> None:
        self._own, self._camera, self._backlog = equipment, camera, backlog
        self._status, self._clock = equipment.status, equipment.clock
        self._before = (Counter(self._status.dropped), self._status.corrupt)
        self._unheard = 0
        self._last: int | None = None  # when the picture before was shown, if none was left out since
        self._form: PixelFormatConverter | None = None
        self._shape: tuple[int, int, str] | None = None
        self._begun: tuple[Ladder, Flight, Writing] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._clock.reconnected()
        self._status.source = str(self._camera.info)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        with self._stack:
            if self._begun and (error is None or isinstance(error, SourceLost)):
                self._hand_on(everything=True)
        self._own.recorder.pause()

    def take(self, waiting: "Waiting[LivePacket] | None") -> None:
        """Take a packet, or the time in which none came."""
        self._drop_if_late()
        if waiting:
            if waiting.packet.stream is self._camera.audio:
                self._sound(waiting)
            else:
                self._video(waiting)
            self._count()
        if self._begun:
            self._hand_on(everything=False)

    @property
    def busy(self) -> bool:
        """Whether something is being enlarged, and will be ready soon."""
        return bool(self._begun and self._begun[1])

    def _video(self, waiting: Waiting[LivePacket]) -> None:
        packet = waiting.packet
        times = packet.pts, packet.dts  # decoding may leave its marks on the packet
        pictures = [] if waiting.dropped else self._camera.pictures(packet)
        self._last = None if waiting.dropped else self._last
        shots = [self._shot(picture, waiting.arrived_s) for picture in pictures]
        if self._own.order.record.original:  # after its pictures were timed: they may have begun anew
            pts, dts = (
                self._clock.source(each, time_base=packet.time_base, arrived_s=waiting.arrived_s) for each in times
            )
            self._lay(Copied(packet=packet, pts=pts, dts=dts, original=True))
        for shot in shots:
            self._send(shot)

    def _shot(self, picture: VideoFrame, arrived_s: float) -> Shot:
        """The picture in its working form, timed."""
        if self._begun is None:
            self._begin()
        base = picture.time_base or TIME_BASE
        moment = self._clock.picture(picture.pts, time_base=base, arrived_s=arrived_s)
        self._notice_gap(moment)
        shape = (picture.width, picture.height, picture.format.name)
        anew = self._form is None or shape != self._shape
        if anew:
            self._form = self._become(picture, shape)
        assert self._form
        assert self._begun
        worked, (ladder, flight, _) = self._form(picture), self._begun
        frame, depth = Frame(av_frame=worked, luma=luma_of(worked)), depth_of(worked.format.name)
        if anew:
            flight.prepare(frame.luma, depth)
        return Shot(frame=frame, moment=moment, depth=depth, arrived_s=arrived_s, rung=flight.able(ladder.rung))

    def _notice_gap(self, moment: Moment) -> None:
        """Count the pictures that should have come before this one: what UDP loses shows in nothing else."""
        rate, last, self._last = self._camera.info.rate, self._last, moment.pts
        if rate and last is not None and not moment.anew:
            self._status.missed += max(0, round((moment.pts - last) * TIME_BASE * rate) - 1)

    def _become(self, picture: VideoFrame, shape: tuple[int, int, str]) -> PixelFormatConverter:
        """The form for pictures of another size or format than before, and for the first ones."""
        self._shape = shape
        info = replace(self._camera.info, width=picture.width, height=picture.height)
        self._status.source = str(info)
        assert self._begun
        self._begun[0].begin(time.monotonic())  # networks are compiled for it, which takes a moment
        return self._working_form(picture)

    def _working_form(self, picture: VideoFrame) -> PixelFormatConverter:
        try:
            return PixelFormatConverter(picture, still=False)
        except ValueError as error:
            raise SourceLost(f"{self._own.order.source}: sends {picture.format.name}, which has no luma") from error

    def _begin(self) -> None:
        """The first picture is there: what it is like chooses the networks."""
        own, camera = self._own, self._camera
        networks = own.rungs.networks(camera.compression())
        ladder = Ladder([*networks, PLAIN], own.order.stream.max_delay_s, say=own.say)
        writing = Writing(
            own.recorder,
            camera,
            scale=own.rungs.scale,
            workers=own.pool.workers,
            ladder=ladder,
            status=own.status,
            folder=own.order.folder,
        )
        self._begun = ladder, Flight(own.pool, networks), self._stack.enter_context(writing)
        own.status.state, own.status.reason = State.RUNNING, ""
        own.status.connects += 1

    def _sound(self, waiting: Waiting[LivePacket]) -> None:
        packet = waiting.packet
        pts = self._clock.sound(packet.pts, time_base=packet.time_base, arrived_s=waiting.arrived_s)
        if pts is None:
            self._unheard += self._begun is not None
        else:
            self._lay(Copied(packet=packet, pts=pts, dts=pts, original=False))

    def _lay(self, copied: Copied) -> None:
        if self._begun:
            self._begun[1].lay(copied)

    def _send(self, shot: Shot) -> None:
        assert self._begun
        _, flight, writing = self._begun
        while flight.full:
            writing.put(flight.first())
        flight.send(shot)
        self._status.frames_in += 1

    def _hand_on(self, *, everything: bool) -> None:
        assert self._begun
        _, flight, writing = self._begun
        while everything and flight:
            writing.put(flight.first())
        for item in flight.done():
            writing.put(item)

    def _drop_if_late(self) -> None:
        if self._begun is None:
            return
        ladder, now = self._begun[0], time.monotonic()
        if ladder.late(now_s=now, backlog_s=self._backlog.age_s(now)):
            self._backlog.drop("late")

    def _count(self) -> None:
        status, now = self._status, time.monotonic()
        dropped, corrupt = self._before
        unheard = Counter({"sound out of place": self._unheard})
        status.dropped = dict(dropped + self._backlog.dropped + unheard)
        status.corrupt = corrupt + self._camera.corrupt
        status.repaired = dict(self._clock.repaired)
        status.worker_restarts = self._own.pool.restarts
        if self._begun:
            ladder, flight, _ = self._begun
            status.rung = "dropping" if ladder.dropping(now) else flight.able(ladder.rung)
