"""The main job: read, upscale, write."""

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from vidsr.arrays import Plane
from vidsr.callbacks import OnProgress, OnWarning, ShouldStop
from vidsr.errors import TargetError
from vidsr.flow import map_in_thread, prefetch
from vidsr.image_pipeline import upscale_image
from vidsr.media.containers import image_codec_for
from vidsr.media.frame import Frame
from vidsr.media.luma_merger import LumaMerger, upscale_bicubic
from vidsr.media.pipes import STDOUT
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer
from vidsr.model.architecture import Architecture
from vidsr.model_selection import load_network
from vidsr.output_size import Size, default_scale, expected_frames, target_size
from vidsr.pool import Pool
from vidsr.pool.shared_pools import SharedPools
from vidsr.pool.upscale_frames import upscale_frames
from vidsr.report import Report, Stage
from vidsr.run_log import FrameCounts, PoolFacts, RunLog
from vidsr.segment_pipeline import upscale_by_segments
from vidsr.segments.journal import discard_segments
from vidsr.segments.plan import NotSegmentable
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.source_reader import open_reader
from vidsr.stage_timer import OnSpan, StageTimer
from vidsr.upscale_job import UpscaleJob

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
    `should_stop` is asked after each frame, and ends the file there, in order; by segments, and while Ray starts, it
    raises Stopped, and the same call goes on. `on_span` receives the working times of each stage, in its thread.
    Raises SourceError, TargetError, ModelError or WorkerError, without a target, and ValueError for an output format
    of a file.
    """
    job = UpscaleJob(
        source=Path(source),
        target=Path(target),
        settings=settings,
        encode=encode,
        on_progress=on_progress,
        on_warning=on_warning,
        should_stop=should_stop,
        on_span=on_span,
    )
    with SharedPools(pool, should_stop) as pools:
        try:
            return upscale_job(job, pools)
        except NotSegmentable as error:
            return upscale_job(replace(job, not_segmentable=str(error)), pools)


def upscale_job(job: UpscaleJob, pools: SharedPools) -> Report:
    """As `upscale`, with pools that other files use, too. Raises NotSegmentable besides, perhaps on the way."""
    if job.settings.output_format and job.target != STDOUT:
        raise ValueError("output_format is for standard output; what a file becomes follows from its name")
    if is_by_segments(job):
        return upscale_by_segments(job, pools)
    if image_codec_for(job.target):
        return upscale_image(job, pools)
    report = _upscale_by_frames(job, pools)
    if not report.stopped:
        with suppress(TargetError):  # another run works on them
            discard_segments(job.target)
    return report


def is_by_segments(job: UpscaleJob) -> bool:
    """Whether a job is to be done by segments, as far as is known before its source is open."""
    return job.settings.segments and not job.not_segmentable and image_codec_for(job.target) is None


def _upscale_by_frames(job: UpscaleJob, pools: SharedPools) -> Report:
    settings = job.settings
    with open_reader(job.source, job.target, settings) as reader:
        weights, name = load_network(settings, reader.info, usual_scale=default_scale(settings, reader.info))
        size = target_size(settings, reader.info, weights.architecture.scale)
        with Writer(
            job.target,
            reader.template,
            size=size,
            encode=job.encode,
            output_format=settings.output_format,
            overwrite=settings.overwrite,
        ) as writer:
            log = RunLog(reader, writer.muxer, writer.choice, settings, job.on_warning)
            if job.not_segmentable:
                log.warn(f"is upscaled by frames, not by segments: {job.not_segmentable}")
            run = _Run(reader, writer, settings, log, job.on_span)
            fallback = partial(upscale_bicubic, scale=weights.architecture.scale)
            pixels = reader.info.width * reader.info.height
            with pools.planes(weights, fallback=fallback, pixels=pixels) as workers:
                run.process(workers, size, job.on_progress, job.should_stop)
            return run.report(workers, weights.architecture, name)


class _Run:
    """One file on its way through the stages, with its counts and times."""

    def __init__(
        self, reader: Reader, writer: Writer, settings: UpscaleSettings, log: RunLog, on_span: OnSpan
    ) -> None:
        self._reader, self._writer, self._settings, self._log = reader, writer, settings, log
        self._read = self._upscaled = 0
        self._stopped = False
        self._timer = StageTimer(STAGES, on_span)
        self._merger = LumaMerger()
        log.warn_of_source()

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
            self._log.warn_of_resizing()
        self._log.warn_of_side_data(self._writer.muxer.side_data.frame_losses(frame.av_frame))
        with self._timer.busy("merge"):
            picture = self._merger.resize(
                self._merger.merge(frame.av_frame, luma), size, self._writer.choice.pixel_format
            )
        with self._timer.busy("write"):
            self._writer.write(picture, frame.packets)

    def report(self, pool: Pool, architecture: Architecture, name: str) -> Report:
        """The report of the run; `name` is that of the weights."""
        counts = FrameCounts(
            read=self._read,
            upscaled=self._upscaled,
            corrupt=self._reader.corrupt,
            before_key=self._reader.frame_count.before_key,
            undecoded=self._reader.frame_count.undecoded,
            flattened=self._reader.flattened,
            missing_s=self._writer.first_missing_s,
            most_off_s=self._writer.most_off_s,
        )
        facts = PoolFacts(
            quarantined=pool.quarantined,
            warnings=pool.warnings,
            precision_choice=pool.precision_choice,
            restarts=pool.restarts,
            reused=pool.reused,
            workers=pool.workers,
            threads=pool.threads,
        )
        report = self._log.report(counts, facts, architecture=architecture, name=name)
        return replace(report, stages=self._stages(pool), stopped=self._stopped)

    def _until(self, should_stop: ShouldStop, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames up to the one at which to stop; the first in any case, since a file needs one."""
        for frame in frames:
            self._read += 1
            yield frame
            if should_stop():
                self._stopped = True
                return

    def _stages(self, pool: Pool) -> dict[str, Stage]:
        """The working time per stage; workers work side by side."""
        busy_s = self._timer.busy_s | {"upscale": self._timer.busy_s["upscale"] / pool.engines}
        return {name: Stage(seconds=s, fps=self._upscaled / s if s else 0.0) for name, s in busy_s.items()}
