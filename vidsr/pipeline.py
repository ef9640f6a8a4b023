"""The main job: read, enlarge, write."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from vidsr.errors import TargetError
from vidsr.flow import ahead
from vidsr.media.containers import container_for, picture_codec_for
from vidsr.media.frame import Frame, VideoInfo
from vidsr.media.picture import write_picture
from vidsr.media.reader import Reader
from vidsr.media.scale import Merger, enlarge_plain
from vidsr.media.writer import Writer
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model
from vidsr.pool import Plane, Pool, ThisProcess, open_pool
from vidsr.report import Report, Stage
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

FRAMES_AHEAD = 4  # decoded while others are enlarged; each is a whole picture in memory

Progress = Callable[[int, int | None], None]
Note = Callable[[str], None]


def upscale(
    source: str | Path,
    target: str | Path,
    *,
    settings: UpscaleSettings = UpscaleSettings(),
    encode: EncodeSettings = EncodeSettings(),
    pool: PoolSettings = PoolSettings(),
    progress: Progress = lambda done, total: None,
    note: Note = lambda sentence: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """The report of enlarging a video into a video, or a picture into a picture, by the target's name.

    `progress` gets the frames done and, where it is known, their number in all; `note` what should be said while
    there is time to change it; `stop` is asked before each frame, and ends the file there, in order.
    Raises SourceError, TargetError, ModelError or WorkerError; there is no target then.
    """
    source, target = Path(source), Path(target)
    if picture_codec_for(target):
        return _upscale_picture(source, target, settings)
    kind = container_for(target)
    with Reader(
        source,
        start_s=settings.start_s,
        end_s=settings.end_s,
        upright=lambda matrix: not kind.turns,
        deinterlace=settings.deinterlace,
        max_megapixels=settings.max_megapixels,
    ) as reader:
        weights = _weights(settings, reader.info)
        size = _size(settings, reader.info, weights.architecture.scale)
        first = Merger().fit(reader.first.picture, size)
        run = _Run(reader.info, settings, size, weights)
        with Writer(target, reader, first, encode=encode, overwrite=settings.overwrite) as writer:
            for sentence in [*_remarks(reader.info), *(f"left out: {stream}" for stream in writer.copies.left_out)]:
                run.say(sentence, note)
            fallback = partial(enlarge_plain, scale=weights.architecture.scale)
            with open_pool(weights, pool, fallback=fallback) as workers:
                run.through(reader, workers, writer, progress, note, stop)
                writer.finish()  # before the pool is taken down: nothing that fails there can cost the file
            return run.report(source, target, reader, workers, writer)


class _Run:
    """The counts and clocks of one file on its way through the stages."""

    def __init__(self, info: VideoInfo, settings: UpscaleSettings, size: tuple[int, int], weights: Weights) -> None:
        self._info, self._settings, self._size, self._weights = info, settings, size, weights
        self._read = self._enlarged = 0
        self._stopped = False
        self._warnings: list[str] = []
        self._busy = {"read": 0.0, "merge": 0.0, "write": 0.0}
        self._began = time.perf_counter()

    def say(self, sentence: str, note: Note) -> None:
        """Note a sentence, once, and keep it for the report."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            note(sentence)

    def through(
        self, reader: Reader, pool: Pool, writer: Writer, progress: Progress, note: Note, stop: Callable[[], bool]
    ) -> None:
        """Every frame from the reader through the pool into the writer."""
        merger, waiting = Merger(), deque[Frame]()
        total = expected_frames(self._info, self._settings)
        with closing(ahead(self._timed(reader), FRAMES_AHEAD)) as frames:
            for luma in pool.map(self._planes(frames, waiting, stop), self._info.depth):
                frame = waiting.popleft()
                began = time.perf_counter()
                picture = merger.merge(frame.picture, luma)
                if (frame.picture.width, frame.picture.height) != (self._info.width, self._info.height):
                    self.say(f"the picture changes its size; all frames are brought to {_by(self._size)}", note)
                if (picture.width, picture.height) != self._size:
                    picture = merger.fit(picture, self._size)
                merged = time.perf_counter()
                writer.write(picture, frame.packets)
                self._enlarged += 1
                self._busy["merge"] += merged - began
                self._busy["write"] += time.perf_counter() - merged
                progress(self._enlarged, total)

    def report(self, source: Path, target: Path, reader: Reader, pool: Pool, writer: Writer) -> Report:
        """What it came to."""
        seconds = time.perf_counter() - self._began
        busy = {"read": self._busy["read"], "enlarge": pool.engine_s, **self._busy}
        hands = {"enlarge": max(1, pool.workers)}
        stages = {
            name: Stage(seconds=spent, fps=hands.get(name, 1) * self._enlarged / spent if spent else 0.0)
            for name, spent in busy.items()
        }
        if writer.copies.unplaced:
            self._warnings.append(f"{writer.copies.unplaced} packets of other streams run backwards and were left out")
        return Report(
            source=source,
            target=target,
            model=str(self._weights.architecture),
            size=self._size,
            frames_read=self._read,
            frames_enlarged=self._enlarged - len(pool.quarantined),
            frames_written=writer.written,
            concealed=reader.concealed,
            quarantined=list(pool.quarantined),
            worker_restarts=pool.restarts,
            copied=writer.copies.copied,
            left_out=writer.copies.left_out,
            warnings=self._warnings,
            damage=self._damage(reader, pool, writer),
            stopped=self._stopped,
            seconds=seconds,
            fps=self._enlarged / seconds,
            stages=stages,
        )

    def _timed(self, reader: Reader) -> Iterator[Frame]:
        frames = iter(reader)
        while True:
            began = time.perf_counter()
            frame = next(frames, None)
            self._busy["read"] += time.perf_counter() - began
            if frame is None:
                return
            yield frame

    def _planes(self, frames: Iterator[Frame], waiting: deque[Frame], stop: Callable[[], bool]) -> Iterator[Plane]:
        """The luma of each frame; the frame itself waits for it to come back."""
        for frame in frames:
            if stop():
                self._stopped = True
                return
            self._read += 1
            waiting.append(frame)
            yield frame.luma

    def _damage(self, reader: Reader, pool: Pool, writer: Writer) -> list[str]:
        found = []
        if writer.first_lost is not None or self._read != writer.written:
            where = "" if writer.first_lost is None else f"; the first that is missing is at {writer.first_lost:.3f} s"
            found.append(f"{self._read} frames were read and {writer.written} written{where}")
        if reader.concealed:
            found.append(f"{reader.concealed} frames or packets of the source are damaged")
        if reader.broken_off:
            found.append(reader.broken_off)
        cut = self._stopped or self._settings.start_s is not None or self._settings.end_s is not None
        if self._info.container.startswith("mov") and not cut and reader.packets < self._info.frames:
            found.append(f"the source lists {self._info.frames} frames and holds {reader.packets}")
        if pool.quarantined:
            frames = ", ".join(map(str, pool.quarantined))
            found.append(f"enlarged without the network, for they ended two workers each: frames {frames}")
        return found


def expected_frames(info: VideoInfo, settings: UpscaleSettings) -> int | None:
    """How many frames a run will take, as far as the container tells."""
    if settings.start_s is None and settings.end_s is None and info.frames:
        return info.frames
    if not info.rate or not info.duration_s:
        return None
    end = min(info.duration_s, settings.end_s or info.duration_s)
    return max(1, round((end - (settings.start_s or 0)) * info.rate))


def _upscale_picture(source: Path, target: Path, settings: UpscaleSettings) -> Report:
    began = time.perf_counter()
    with Reader(source, upright=lambda matrix: True, max_megapixels=settings.max_megapixels) as reader:
        if not reader.info.still:
            raise TargetError(f"{target}: holds one picture, and {source} is a video")
        weights = _weights(settings, reader.info)
        size = _size(settings, reader.info, weights.architecture.scale)
        pool, merger = ThisProcess(weights), Merger()
        (luma,) = pool.map([reader.first.luma], reader.info.depth)
        picture = merger.fit(merger.merge(reader.first.picture, luma), size)
        write_picture(target, picture, source=source, overwrite=settings.overwrite)
        seconds = time.perf_counter() - began
        return Report(
            source=source,
            target=target,
            model=str(weights.architecture),
            size=size,
            frames_read=1,
            frames_enlarged=1,
            frames_written=1,
            concealed=reader.concealed,
            damage=["the source is damaged"] if reader.concealed or reader.broken_off else [],
            seconds=seconds,
            fps=1 / seconds,
        )


def _weights(settings: UpscaleSettings, info: VideoInfo) -> Weights:
    """The network; a family of several scales is taken at the smallest that reaches the wanted size."""
    usual = 2
    if settings.to:
        width, height = _wanted(settings.to, info)
        usual = min(4, max(2, -(-width // info.width), -(-height // info.height)))
    return load_model(settings.model, settings.scale, usual_scale=usual)


def _size(settings: UpscaleSettings, info: VideoInfo, scale: int) -> tuple[int, int]:
    return _wanted(settings.to, info) if settings.to else (info.width * scale, info.height * scale)


def _wanted(to: str, info: VideoInfo) -> tuple[int, int]:
    """(width, height) of "1080p", which keeps the shape with an even width, or "1920x1080"."""
    if "x" in to:
        width, height = map(int, to.split("x"))
        return width, height
    height = int(to.removesuffix("p"))
    return max(2, 2 * round(info.width * height / info.height / 2)), height


def _remarks(info: VideoInfo) -> Iterator[str]:
    if info.interlaced:
        yield f"{info.path}: is interlaced, and its combs are enlarged too; --deinterlace makes whole pictures first"


def _by(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
