"""The thread that makes whole pictures of enlarged lumas, and has them encoded and written."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from vidsr.live.previews import Snapshots
from vidsr.live.quality_ladder import Ladder
from vidsr.live.reorder_buffer import PLAIN, Enlarged, Item
from vidsr.live.status import Status
from vidsr.media.scale import LumaMerger
from vidsr.media.sink.live_encoder import kind
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_source import Camera
from vidsr.media.source.live_timestamps import TIME_BASE

_WAITING = 8  # pictures that are enlarged and not written: each is held whole
_LOOK_S = 0.1


class Writing:
    """What one connection brought, on its way to the targets; closed by `with`, which writes what was put.

    `camera` must stay open until then. What goes wrong with a target is the recorder's affair; anything else comes
    out of `put` or of the end of `with`.
    """

    def __init__(
        self,
        recorder: Recorder,
        camera: Camera,
        *,
        scale: int,
        workers: int,
        ladder: Ladder,
        status: Status,
        folder: Path | None,
    ) -> None:
        self._recorder, self._camera, self._scale, self._workers = recorder, camera, scale, workers
        self._ladder, self._status = ladder, status
        self._snapshots = Snapshots(folder) if folder else None
        self._merger = LumaMerger()
        self._form: tuple[int, int, str, int] | None = None
        self._queue: Queue[Item] = Queue(_WAITING)
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="writing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        if self._error and error is None:
            raise self._error

    def put(self, item: Item) -> None:
        """Have the item written, after those before it; it waits for room."""
        while True:
            if self._error:
                raise self._error
            with suppress(Full):
                self._queue.put(item, timeout=_LOOK_S)
                return

    def _work(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_LOOK_S)
            except Empty:
                if self._closing.is_set():
                    return
                continue
            try:
                self._write(item)
            except Exception as error:  # raised where the items come from
                self._error = error
                return

    def _write(self, item: Item) -> None:
        if isinstance(item, Enlarged):
            self._picture(item)
        elif item.original:
            self._recorder.original(item.packet, item.pts, item.dts)
        elif item.pts is not None:
            self._recorder.sound(item.packet, item.pts)

    def _picture(self, item: Enlarged) -> None:
        shot, began = item.shot, time.monotonic()
        picture = shot.frame.av_frame
        large = (
            self._merger.upscale(picture, self._scale) if item.luma is None else self._merger.merge(picture, item.luma)
        )
        large.pts, large.time_base = shot.moment.pts, TIME_BASE
        form = kind(picture)
        if shot.moment.anew or form != self._form:
            self._recorder.begin(large, video=self._camera.video, audio=self._camera.audio)
            self._form = form
        self._recorder.picture(large)
        now = time.monotonic()
        self._count(item, now)
        self._ladder.note(
            now_s=now,
            rung=shot.rung,
            time_s=float(shot.moment.pts * TIME_BASE),
            delay_s=now - shot.arrived_s,
            cost_s=max(item.engine_s / self._workers, now - began),
        )
        if self._snapshots:
            self._snapshots.take(picture, large, now_s=now)

    def _count(self, item: Enlarged, now: float) -> None:
        status, recorder = self._status, self._recorder
        rung = PLAIN if item.luma is None else item.shot.rung
        status.enlarged[rung] = status.enlarged.get(rung, 0) + 1
        status.delayed(now - item.shot.arrived_s)
        status.written = recorder.written
