"""The main job: read, enlarge, write."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidsr.arrays import Plane
from vidsr.errors import TargetError
from vidsr.flow import ahead, beside
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, image_codec_for
from vidsr.media.frame import Frame, VideoInfo
from vidsr.media.image_writer import write_image
from vidsr.media.reader import Reader
from vidsr.media.scale import LumaMerger, check_frame_size, upscale_bicubic
from vidsr.media.writer import Writer
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, choose
from vidsr.output_size import Size, expected_frames, target_size, usual_scale
from vidsr.pool import Pool, open_pool
from vidsr.pool.thread_pool import InProcessPool
from vidsr.report import Report, Stage
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import Clock, Watch

log = logging.getLogger(__name__)

FRAMES_AHEAD = 4  # decoded while others are enlarged; each is a whole picture in memory
FRAMES_BEHIND = (
    3  # enlarged, and in the encoder's thread or before it, which takes some pictures far longer than others
)
STAGES = ("read", "enlarge", "merge", "write")

Progress = Callable[[int, int | None], None]
Note = Callable[[str], None]
Stop = Callable[[], bool]


def upscale(
    source: str | Path,
    target: str | Path,
    *,
    settings: UpscaleSettings = UpscaleSettings(),
    encode: EncodeSettings = EncodeSettings(),
    pool: PoolSettings = PoolSettings(),
    progress: Progress = lambda done, total: None,
    note: Note = lambda sentence: None,
    stop: Stop = lambda: False,
    watch: Watch = lambda span: None,
) -> Report:
    """The report of enlarging a video into a video, or a picture into a picture, by the target's name.

    `progress` gets the frames done and, where it is known, their number in all; `note` what should be said while
    there is time to change it; `stop` is asked after each frame, and ends the file there, in order; `watch` is told
    what each stage worked at and when, by the thread that did it.
    Raises SourceError, TargetError, ModelError or WorkerError; there is no target then.
    """
    source, target = Path(source), Path(target)
    if image_codec_for(target):
        return _upscale_picture(source, target, settings, pool)
    with _opened(source, target, settings) as reader:
        network = _network(settings, reader.info)
        weights = network.weights
        size = target_size(settings, reader.info, weights.architecture.scale)
        with Writer(target, reader.template, size=size, encode=encode, overwrite=settings.overwrite) as writer:
            run = _Run(reader, writer, settings, note, watch)
            fallback = partial(upscale_bicubic, scale=weights.architecture.scale)
            pixels = reader.info.width * reader.info.height
            with open_pool(weights, pool, fallback=fallback, pixels=pixels) as workers:
                run.through(workers, size, progress, stop)
            return run.report(workers, size, network)


def enlarge(frames: Iterable[Frame], pool: Pool, depth: int) -> Iterator[tuple[Frame, Plane]]:
    """Each frame with its luma, of `depth` bits, enlarged; in order, a window of the pool ahead."""
    waiting: deque[Frame] = deque()  # not itertools.tee, which keeps 57 pictures longer than they are needed

    def lumas() -> Iterator[Plane]:
        for frame in frames:
            waiting.append(frame)
            yield frame.luma

    for luma in pool.map(lumas(), depth):
        yield waiting.popleft(), luma


class _Run:
    """One file on its way through the stages: what was counted, timed and said."""

    def __init__(self, reader: Reader, writer: Writer, settings: UpscaleSettings, note: Note, watch: Watch) -> None:
        self._reader, self._writer, self._settings, self._note = reader, writer, settings, note
        self._read = self._enlarged = 0
        self._stopped = False
        self._warnings: list[str] = []
        self._clock = Clock(STAGES, watch)
        self._merger = LumaMerger()
        self._began = time.perf_counter()
        if reader.info.interlaced:
            self._warn("is interlaced, and its combs are enlarged too; --deinterlace makes whole pictures first")
        for stream in writer.copier.dropped_streams:
            self._warn(f"{writer.target.name} cannot hold {stream}; it is left out")

    def through(self, pool: Pool, size: Size, progress: Progress, stop: Stop) -> None:
        """Every frame from the reader through the pool into the file, and the file under its name."""
        info = self._reader.info
        total = expected_frames(self._settings, info)
        read = self._clock.timed("read", self._reader)
        with closing(ahead(read, FRAMES_AHEAD)) as frames:
            enlarged = self._counted(pool, enlarge(self._until(stop, frames), pool, info.depth))
            with closing(beside(partial(self._write, size), enlarged, FRAMES_BEHIND)) as written:
                for _ in written:
                    self._enlarged += 1
                    progress(self._enlarged, total)
        # Packets after frames that were read ahead, but not written, are dropped.
        packets = () if self._stopped else self._reader.trailing_packets()
        with self._clock.busy("write"):
            self._writer.finish(packets)

    def _counted(self, pool: Pool, enlarged: Iterable[tuple[Frame, Plane]]) -> Iterator[tuple[Frame, Plane]]:
        for pair in enlarged:
            if pool.latest:
                self._clock.count(pool.latest)
            yield pair

    def _write(self, size: Size, enlarged: tuple[Frame, Plane]) -> None:
        """Make a whole picture of an enlarged luma, and have it encoded and written."""
        (frame, luma), info = enlarged, self._reader.info
        if (frame.av_frame.width, frame.av_frame.height) != (info.width, info.height):
            self._warn(f"the picture changes its size; every frame becomes {_by(size)}")
        with self._clock.busy("merge"):
            picture = self._merger.resize(self._merger.merge(frame.av_frame, luma), size)
        with self._clock.busy("write"):
            self._writer.write(picture, frame.packets)

    def report(self, pool: Pool, size: Size, network: "_Network") -> Report:
        """What it came to."""
        seconds = time.perf_counter() - self._began
        copier = self._writer.copier
        self._warnings += [sentence for sentence in pool.warnings if sentence not in self._warnings]
        if self._reader.retimed:
            self._warn(f"{self._reader.retimed} frames had no usable time and were given one")
        if copier.dropped_packets:
            count = copier.dropped_packets
            self._warn(f"{count} packets of other streams are damaged or run backwards, and were left out")
        return Report(
            source=self._reader.path,
            target=self._writer.target,
            model=str(network.weights.architecture),
            weights=network.name,
            precision=pool.choice.precision,
            precision_why=pool.choice.why,
            size=size,
            frames_read=self._read,
            frames_enlarged=self._enlarged - len(pool.quarantined),
            frames_written=self._writer.written,
            concealed=self._reader.corrupt,
            quarantined=list(pool.quarantined),
            reused=pool.reused,
            workers=pool.processes,
            threads=pool.threads,
            worker_restarts=pool.restarts,
            copied=copier.copied_streams,
            left_out=copier.dropped_streams,
            warnings=self._warnings,
            damage=list(self._damage(pool)),
            stopped=self._stopped,
            seconds=seconds,
            fps=self._enlarged / seconds,
            stages=self._stages(pool),
        )

    def _until(self, stop: Stop, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames up to the one at which it is asked to stop; the first in any case, for a file needs one."""
        for frame in frames:
            self._read += 1
            yield frame
            if stop():
                self._stopped = True
                return

    def _warn(self, sentence: str) -> None:
        """Say a sentence, once, and keep it for the report."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            self._note(f"{self._reader.path}: {sentence}")

    def _stages(self, pool: Pool) -> dict[str, Stage]:
        """The clocks; those of the workers run side by side."""
        busy_s = self._clock.busy_s | {"enlarge": self._clock.busy_s["enlarge"] / pool.workers}
        return {name: Stage(seconds=s, fps=self._enlarged / s if s else 0.0) for name, s in busy_s.items()}

    def _damage(self, pool: Pool) -> Iterator[str]:
        reader, writer, settings = self._reader, self._writer, self._settings
        missing_s = writer.first_missing_s
        if self._read != writer.written or missing_s is not None:
            where = "" if missing_s is None else f"; the first that is missing is at {missing_s:.3f} s"
            yield f"{self._read} frames were read and {writer.written} written{where}"
        if reader.corrupt:
            yield f"{reader.corrupt} frames or packets of the source are damaged"
        if reader.truncation:
            yield reader.truncation
        whole = not self._stopped and settings.start_s is None and settings.end_s is None
        if whole and reader.info.container.startswith("mov") and reader.packets < reader.info.frames:
            yield f"the source lists {reader.info.frames} frames and holds {reader.packets}"
        if pool.quarantined:
            frames = ", ".join(map(str, pool.quarantined))
            yield f"enlarged without the network, for they ended two workers each: frames {frames}"


def _upscale_picture(source: Path, target: Path, settings: UpscaleSettings, pool: PoolSettings) -> Report:
    began = time.perf_counter()
    with Reader(source, upright=True, max_megapixels=settings.max_megapixels) as reader:
        if not reader.info.still:
            raise TargetError(f"{target}: holds one picture, and {source} is a video")
        network = _network(settings, reader.info)
        size = target_size(settings, reader.info, network.weights.architecture.scale)
        check_frame_size(size, reader.info.working_format)
        output = AtomicFile(target, source=source, overwrite=settings.overwrite)
        try:
            with InProcessPool(network.weights, pool, engines=1) as alone:
                ((frame, luma),) = enlarge([reader.first], alone, reader.info.depth)
            merger = LumaMerger()
            write_image(output, merger.resize(merger.merge(frame.av_frame, luma), size))
        finally:
            output.discard()
        seconds = time.perf_counter() - began
        return Report(
            source=source,
            target=target,
            model=str(network.weights.architecture),
            weights=network.name,
            precision=alone.choice.precision,
            precision_why=alone.choice.why,
            warnings=list(alone.warnings),
            size=size,
            frames_read=1,
            frames_enlarged=1,
            frames_written=1,
            threads=alone.threads,
            concealed=reader.corrupt,
            damage=["the source is damaged"] if reader.corrupt or reader.truncation else [],
            seconds=seconds,
            fps=1 / seconds,
        )


def _opened(source: Path, target: Path, settings: UpscaleSettings) -> Reader:
    turns = container_for(target).has_display_matrix
    return Reader(
        source,
        start_s=settings.start_s,
        end_s=settings.end_s,
        upright=not turns,
        deinterlace=settings.deinterlace,
        max_megapixels=settings.max_megapixels,
    )


@dataclass(frozen=True, kw_only=True)
class _Network:
    """Weights, and what the report calls them."""

    weights: Weights
    name: str


def _network(settings: UpscaleSettings, info: VideoInfo) -> _Network:
    """The one that was named, or the one that suits the source."""
    scale = usual_scale(settings, info)
    if settings.model != AUTO:
        return _Network(weights=load_model(settings.model, settings.scale, usual_scale=scale), name=settings.model)
    choice = choose(info.compression, still=info.still, scale=settings.scale or scale, names=model_names())
    log.info("%s: %s", info.path, choice)
    return _Network(weights=load_model(choice.model), name=str(choice))


def _by(size: Size) -> str:
    return "x".join(map(str, size))
