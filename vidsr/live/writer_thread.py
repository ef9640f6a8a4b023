"""The thread that merges upscaled lumas into frames, hands all to the recorder, and writes previews."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Self

from vidsr.live.previews import KEPT, preview_moments, preview_path
from vidsr.live.quality_ladder import QualityLadder
from vidsr.live.reorder_buffer import Item, UpscaledFrame
from vidsr.live.status import NO_NETWORK, ORIGINAL_ONLY, Status
from vidsr.media.frame import VideoFrame
from vidsr.media.image_writer import encode_image
from vidsr.media.luma_merger import LumaMerger
from vidsr.media.sink.muxer import format_key
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.live_timestamps import TIME_BASE

_INTERVAL_S = 2.0


class PreviewWriter:
    """Writes pairs of previews into a directory, about every two seconds."""

    def __init__(self, preview_dir: Path) -> None:
        self._preview_dir = preview_dir
        self._next_s = 0.0

    def write(self, decoded: VideoFrame, upscaled: VideoFrame, *, now_s: float) -> None:
        """Write both frames, whole, if it is time. Failed writes are ignored: the previous files stay."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + _INTERVAL_S
        with suppress(OSError, ValueError):  # a full disk, or more pixels per side than JPEG has
            moments = preview_moments(self._preview_dir)
            newest = max(moments, default=0) + 1
            for which, frame in (("after", upscaled), ("before", decoded)):  # a pair is complete with the latter
                part = self._preview_dir / f"{which}.part"
                part.write_bytes(encode_image(frame, "mjpeg"))
                os.replace(part, preview_path(self._preview_dir, newest, which))
            for moment in moments[: 1 - KEPT]:
                for which in ("before", "after"):
                    preview_path(self._preview_dir, moment, which).unlink(missing_ok=True)


_MAX_ITEMS = 8  # upscaled frames in memory, not yet written
_POLL_S = 0.1


class WriterThread:
    """The writer of one connection; closed by `with`, which writes all items that were put.

    `source` must stay open until then. The recorder handles the errors of its targets; all other errors are raised by
    `put` or at the end of `with`.
    """

    def __init__(
        self,
        recorder: Recorder,
        source: LiveSource,
        *,
        scale: int,
        engines: int,
        ladder: QualityLadder,
        status: Status,
        preview_dir: Path | None,
    ) -> None:
        self._recorder, self._source, self._scale, self._engines = recorder, source, scale, engines
        self._ladder, self._status = ladder, status
        self._previews = PreviewWriter(preview_dir) if preview_dir else None
        self._merger = LumaMerger()
        self._format: tuple[int, int, str, int] | None = None
        self._rung = self._network = ""
        self._queue: Queue[Item] = Queue(_MAX_ITEMS)
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._thread.join()
        if self._error and exception[1] is None:
            raise self._error

    def put(self, item: Item) -> None:
        """Queue an item to be written; waits for room in the queue."""
        while True:
            if self._error:
                raise self._error
            with suppress(Full):
                self._queue.put(item, timeout=_POLL_S)
                return

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_POLL_S)
            except Empty:
                if self._closing.is_set():
                    return
                continue
            try:
                self._write(item)
            except Exception as error:  # raised by `put` or __exit__
                self._error = error
                return

    def _write(self, item: Item) -> None:
        if isinstance(item, UpscaledFrame):
            self._write_frame(item)
        elif item.is_source:
            self._recorder.write_source(item.packet, item.pts, item.dts)
        elif item.pts is not None:
            self._recorder.write_audio(item.packet, item.pts)

    def _write_frame(self, item: UpscaledFrame) -> None:
        frame, began = item.frame, time.monotonic()
        decoded = frame.decoded.av_frame
        upscaled = (
            self._merger.upscale(decoded, self._scale) if item.luma is None else self._merger.merge(decoded, item.luma)
        )
        upscaled.pts, upscaled.time_base = frame.time.pts, TIME_BASE
        format_ = format_key(decoded)
        rung = self._ladder.best_rung
        network = self._network if rung == self._rung else Path(rung).name  # of a file, too
        if frame.time.discontinuity or format_ != self._format:
            audio = self._source.audio.template if self._source.audio else None
            self._recorder.begin(upscaled, video=self._source.video, audio=audio, network=network)
        elif network != self._network:
            self._recorder.set_network(network)
        self._format, self._rung, self._network = format_, rung, network
        self._recorder.write_frame(upscaled)
        now = time.monotonic()
        self._count(item, now)
        self._ladder.record(
            now_s=now,
            rung=NO_NETWORK if frame.rung == ORIGINAL_ONLY else frame.rung,
            time_s=float(frame.time.pts * TIME_BASE),
            delay_s=now - frame.arrived_s,
            cost_s=max(item.engine_s / self._engines, now - began),
        )
        if self._previews:
            self._previews.write(decoded, upscaled, now_s=now)

    def _count(self, item: UpscaledFrame, now: float) -> None:
        rung = NO_NETWORK if item.luma is None and item.frame.rung != ORIGINAL_ONLY else item.frame.rung
        self._status.add_frame(rung, now - item.frame.arrived_s)
        self._status.written = self._recorder.frames_written
