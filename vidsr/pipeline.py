"""The main job: read, upscale, write."""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from vidsr.arrays import Plane
from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.flow import map_in_thread, prefetch
from vidsr.image_pipeline import DROPPED, upscale_image
from vidsr.media.containers import container_for, image_codec_for
from vidsr.media.frame import Frame
from vidsr.media.luma_merger import LumaMerger, upscale_bicubic
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer
from vidsr.model.architecture import Architecture
from vidsr.model_selection import load_network
from vidsr.output_size import Size, default_scale, expected_frames, target_size
from vidsr.pool import Pool, open_pool
from vidsr.pool.frames import upscale_frames
from vidsr.report import Report, Stage
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import OnSpan, StageTimer

FRAMES_AHEAD = 4  # decoded ahead of the network, each a whole frame in memory
FRAMES_BEHIND = 3  # upscaled, for the encoder, which needs far longer for some frames than for others
STAGES = ("read", "upscale", "merge", "write")


def upscale(
    source: str | Path,
    target: str | Path,
    *,
    settings: UpscaleSettings = UpscaleSettings(),
    encode: EncodeSettings = EncodeSettings(),
    pool: PoolSettings = PoolSettings(),
    on_progress: OnProgress = lambda done, total: None,
    on_warning: OnWarning = lambda sentence: None,
    should_stop: ShouldStop = lambda: False,
    on_span: OnSpan = lambda span: None,
) -> Report:
    """Upscale a video into a video, or an image into an image, by the target's name; the report of it.

    `on_progress` receives the frames done and the expected total, which after the last one is that of the frames.
    `should_stop` is asked after each frame, and ends the file there, in order; `on_span` receives the working times of
    each stage, in the thread of that stage. Raises SourceError, TargetError, ModelError or WorkerError, without a
    target.
    """
    source, target = Path(source), Path(target)
    if image_codec_for(target):
        return upscale_image(source, target, settings, pool, on_warning)
    with _opened(source, target, settings) as reader:
        weights, name = load_network(settings, reader.info, usual_scale=default_scale(settings, reader.info))
        size = target_size(settings, reader.info, weights.architecture.scale)
        with Writer(
            target,
            reader.template,
            size=size,
            encode=encode,
            output_format=settings.output_format,
            overwrite=settings.overwrite,
        ) as writer:
            run = _Run(reader, writer, settings, on_warning, on_span)
            fallback = partial(upscale_bicubic, scale=weights.architecture.scale)
            pixels = reader.info.width * reader.info.height
            with open_pool(weights, pool, fallback=fallback, pixels=pixels) as workers:
                run.process(workers, size, on_progress, should_stop)
            return run.report(workers, size, weights.architecture, name)


class _Run:
    """One file on its way through the stages, with its counts, times and warnings."""

    def __init__(
        self, reader: Reader, writer: Writer, settings: UpscaleSettings, on_warning: OnWarning, on_span: OnSpan
    ) -> None:
        self._reader, self._writer, self._settings, self._on_warning = reader, writer, settings, on_warning
        self._read = self._upscaled = 0
        self._stopped = False
        self._warnings: list[str] = []
        self._timer = StageTimer(STAGES, on_span)
        self._merger = LumaMerger()
        self._began = time.perf_counter()
        if reader.info.interlaced:
            self._warn("is interlaced, and its combing is upscaled too; --deinterlace removes it first")
        if writer.choice.why:
            self._warn(writer.choice.why)
        self._warn_dropped(writer.copier.dropped_streams)

    def process(self, pool: Pool, size: Size, on_progress: OnProgress, should_stop: ShouldStop) -> None:
        """Take every frame from the reader through the pool into the file, and complete the file."""
        info = self._reader.info
        total = expected_frames(self._settings, info)
        read = self._timer.timed("read", self._reader)
        with closing(prefetch(read, FRAMES_AHEAD)) as frames:
            upscaled = self._counted(pool, upscale_frames(self._until(should_stop, frames), pool, info.depth))
            with closing(map_in_thread(partial(self._write, size), upscaled, FRAMES_BEHIND)) as written:
                for _ in written:
                    self._upscaled += 1
                    on_progress(self._upscaled, total)
        if total != self._upscaled:
            on_progress(self._upscaled, self._upscaled)
        # Packets after frames that were read ahead, but not written, are dropped.
        packets = () if self._stopped else self._reader.trailing_packets()
        late = () if self._stopped else self._reader.late_packets()
        with self._timer.busy("write"):
            self._writer.finish(packets, late, verify=self._settings.verify)

    def _counted(self, pool: Pool, upscaled: Iterable[tuple[Frame, Plane]]) -> Iterator[tuple[Frame, Plane]]:
        for pair in upscaled:
            if pool.last_span:
                self._timer.count(pool.last_span)
            yield pair

    def _write(self, size: Size, upscaled: tuple[Frame, Plane]) -> None:
        """Merge the upscaled luma and the chroma of a frame, and write the frame."""
        (frame, luma), info = upscaled, self._reader.info
        if (frame.av_frame.width, frame.av_frame.height) != (info.width, info.height):
            self._warn(f"the frame size changes; every frame becomes {'x'.join(map(str, size))}")
        if late := self._writer.side_data.losses(frame.av_frame):
            self._writer.copier.dropped_streams += late
            self._warn_dropped(late)
        with self._timer.busy("merge"):
            picture = self._merger.resize(
                self._merger.merge(frame.av_frame, luma), size, self._writer.choice.pixel_format
            )
        with self._timer.busy("write"):
            self._writer.write(picture, frame.packets)

    def report(self, pool: Pool, size: Size, architecture: Architecture, name: str) -> Report:
        """The report of the run; `name` is that of the weights."""
        seconds = time.perf_counter() - self._began
        copier, packets = self._writer.copier, self._writer.copier.packets_in(self._writer.content)
        empty = [stream for stream, count in packets.items() if not count]
        self._warn_of_run(pool, empty)
        return Report(
            source=self._reader.path,
            target=self._writer.target,
            model=str(architecture),
            weights=name,
            strength=self._settings.strength,
            precision=pool.precision_choice.precision,
            precision_why=pool.precision_choice.why,
            size=size,
            encoder=str(self._writer.choice),
            frames_read=self._read,
            frames_upscaled=self._upscaled - len(pool.quarantined),
            frames_written=self._writer.written,
            concealed=self._reader.corrupt,
            quarantined=list(pool.quarantined),
            reused=pool.reused,
            workers=pool.workers,
            threads=pool.threads,
            worker_restarts=pool.restarts,
            copied=[stream for stream in copier.copied_streams if packets.get(stream) != 0],
            copied_packets=packets,
            duration_s=self._writer.content.seconds,
            left_out=copier.dropped_streams + empty,
            warnings=self._warnings,
            damage=list(self._damage(pool)),
            verified=self._settings.verify,
            stopped=self._stopped,
            seconds=seconds,
            fps=self._upscaled / seconds,
            stages=self._stages(pool),
        )

    def _warn_of_run(self, pool: Pool, empty: list[str]) -> None:
        """Warns of what was found on the way; `empty` are the copied streams without packets."""
        self._warnings += [sentence for sentence in pool.warnings if sentence not in self._warnings]
        for sentence in self._reader.repair.sentences():
            self._warn(sentence)
        if (off_s := self._writer.most_off_s) > 0.5 / float(self._reader.info.rate or 25):
            self._warn(f"y4m has a frame rate, but no times: frames are up to {off_s:.3f} s off theirs")
        if count := self._reader.frame_count.before_key:
            self._warn(
                f"the first {count} frames cannot be decoded, because the video does not begin with a key frame"
            )
        if count := self._reader.frame_count.undecoded:
            self._warn(f"{count} packets of the video made no frame: they refer to frames that are missing")
        if self._reader.flattened:
            self._warn(f"{self._reader.flattened} frames lose their transparency, because the first one has none")
        if empty:
            self._warn(f"{self._writer.target.name} has no packets of {', '.join(empty)}")
        if count := self._writer.copier.dropped_packets:
            self._warn(f"{count} packets of other streams are damaged or run backwards, and were dropped")

    def _until(self, should_stop: ShouldStop, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames up to the one at which to stop; the first in any case, since a file needs one."""
        for frame in frames:
            self._read += 1
            yield frame
            if should_stop():
                self._stopped = True
                return

    def _warn_dropped(self, names: Iterable[str]) -> None:
        for name in names:
            self._warn(DROPPED.format(self._writer.target.name, name))

    def _warn(self, sentence: str) -> None:
        """Report a sentence once, and keep it for the report."""
        if sentence not in self._warnings:
            self._warnings.append(sentence)
            self._on_warning(f"{self._reader.path}: {sentence}")

    def _stages(self, pool: Pool) -> dict[str, Stage]:
        """The working time per stage; workers work side by side."""
        busy_s = self._timer.busy_s | {"upscale": self._timer.busy_s["upscale"] / pool.engines}
        return {name: Stage(seconds=s, fps=self._upscaled / s if s else 0.0) for name, s in busy_s.items()}

    def _damage(self, pool: Pool) -> Iterator[str]:
        reader, writer = self._reader, self._writer
        missing_s = writer.first_missing_s
        if self._read != writer.written or missing_s is not None:
            where = "" if missing_s is None else f"; the first that is missing is at {missing_s:.3f} s"
            yield f"{self._read} frames were read and {writer.written} written{where}"
        yield from writer.damage
        if reader.corrupt:
            yield f"{reader.corrupt} frames or packets of the source are damaged"
        if reader.truncation:
            yield reader.truncation
        if pool.quarantined:
            frames = ", ".join(map(str, pool.quarantined))
            yield f"upscaled without the network, because each ended two workers: frames {frames}"


def _opened(source: Path, target: Path, settings: UpscaleSettings) -> Reader:
    turns = container_for(target, settings.output_format).has_display_matrix
    return Reader(
        source,
        start_s=settings.start_s,
        end_s=settings.end_s,
        upright=not turns,
        deinterlace=settings.deinterlace,
        keep_start=settings.keep_start,
        input_format=settings.input_format,
        max_megapixels=settings.max_megapixels,
    )
