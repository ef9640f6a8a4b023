"""The main job by segments: each is decoded, upscaled and encoded apart, and what is finished survives a crash."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from vidsr.callbacks import OnProgress, ShouldStop
from vidsr.cpu import isa_limit, this_cpu
from vidsr.engine import expected_precision
from vidsr.errors import Stopped, WorkerError
from vidsr.media.atomic_file import part_path
from vidsr.media.containers import container_for
from vidsr.media.encoders import choose_encoder
from vidsr.media.error_text import target_errors
from vidsr.media.file_muxer import FileMuxer
from vidsr.media.pipes import STDOUT
from vidsr.media.reader import Reader
from vidsr.media.video_encoder import EncoderParameters, open_encoder
from vidsr.model.weights import Weights, weights_hash
from vidsr.model_selection import load_network
from vidsr.output_size import default_scale, expected_frames, target_size
from vidsr.pool.shared_pools import SharedPools
from vidsr.report import Report
from vidsr.run_log import FrameCounts, PoolFacts, RunLog
from vidsr.segments.journal import Key, SegmentJournal
from vidsr.segments.plan import NotSegmentable, PlannedSegment
from vidsr.segments.run import SegmentCounts, SegmentedRun, SegmentPool
from vidsr.segments.source_segments import require_joinable, source_segments
from vidsr.settings import PoolSettings
from vidsr.source_reader import open_reader
from vidsr.upscale_job import UpscaleJob
from vidsr.versions import package_versions


def upscale_by_segments(job: UpscaleJob, pools: SharedPools) -> Report:
    """Upscale a video by segments; the report of it.

    Finished segments are kept in `TARGET.segments` until the target is complete: the same call goes on with them.
    Raises NotSegmentable where the video must be upscaled by frames, and Stopped when `should_stop` says so, besides
    what `vidsr.upscale` raises.
    """
    source, target, settings = job.source, job.target, job.settings
    _require_segmentable(job, pools.settings)
    with open_reader(source, target, settings) as reader:
        weights, name = load_network(settings, reader.info, usual_scale=default_scale(settings, reader.info))
        size = target_size(settings, reader.info, weights.architecture.scale)
        container = container_for(target, settings.output_format)
        choice = choose_encoder(job.encode, container.format, reader.info.working_format)
        require_joinable(choice)
        with target_errors(target):
            encoder = open_encoder(reader.template, choice, container, size, reproducible=True)
        with (
            SegmentJournal(target, _key(reader, encoder.parameters, weights, pools.settings)) as journal,  # has a lock
            FileMuxer(target, reader.template, encoder, container=container, overwrite=settings.overwrite) as muxer,
        ):
            log = RunLog(reader, muxer, choice, settings, job.on_warning)
            run = SegmentedRun(reader, muxer, encoder, verify=settings.verify)
            progress = _Progress(run.counts, expected_frames(settings, reader.info), job.on_progress, job.should_stop)
            with pools.segments(weights, size) as workers:
                facts = _process(run, workers, journal, progress, log)
            journal.complete(part_path(target))
            run.finish()
            journal.discard()
        reader.repair.retimed += run.counts.retimed
        counts = _frame_counts(run.counts, is_countable=reader.frame_count.is_countable)
        return log.report(counts, facts, architecture=weights.architecture, name=name)


def planned_segments(job: UpscaleJob, pool: PoolSettings) -> Iterator[PlannedSegment]:
    """The segments of a job, as they are found in its source. Raises NotSegmentable as `upscale_by_segments`."""
    _require_segmentable(job, pool)
    with open_reader(job.source, job.target, job.settings) as reader:
        container = container_for(job.target, job.settings.output_format)
        require_joinable(choose_encoder(job.encode, container.format, reader.info.working_format))
        yield from source_segments(reader)


def _process(
    run: SegmentedRun, pool: SegmentPool, journal: SegmentJournal, progress: "_Progress", log: RunLog
) -> PoolFacts:
    """Take all segments through the pool or out of the journal into the file."""
    log.warn_of_source()
    if journal.changed:
        log.warn(f"its finished segments are made once more, because of a change: {', '.join(journal.changed)}")
    counts = run.counts

    def tick() -> None:
        progress(pool.frames, journal)

    try:
        for done in run.process(pool, journal, tick):
            log.warn_of_side_data(done.dropped)
    except NotSegmentable:
        journal.discard()
        raise
    except WorkerError as error:
        if not len(journal):
            raise
        raise WorkerError(f"{error}; {journal.kept}, and the same command goes on", error.index) from error
    progress.on_progress(counts.frames, counts.frames)
    if counts.resized:
        log.warn_of_resizing()
    return PoolFacts(
        quarantined=counts.quarantined,
        warnings=counts.warnings,
        precision_choice=counts.precision_choice or pool.precision_choice,
        restarts=pool.restarts,
        reused=counts.reused / max(1, counts.frames),
        workers=pool.workers,
        threads=pool.threads,
    )


@dataclass
class _Progress:
    """What is asked and reported while segments are waited for."""

    counts: SegmentCounts
    total: int | None
    on_progress: OnProgress
    should_stop: ShouldStop
    reported: int = 0

    def __call__(self, frames: int, journal: SegmentJournal) -> None:
        """Reports the frames of this run, `frames`, with those of earlier ones, when they are more than before.

        Raises Stopped where the run should stop.
        """
        if (done := self.counts.resumed + frames) > self.reported:
            self.reported = done
            self.on_progress(done, self.total)
        if self.should_stop():
            raise Stopped(journal.kept)


def _require_segmentable(job: UpscaleJob, pool: PoolSettings) -> None:
    """Raises NotSegmentable where a segment would not be as that part of the whole, or could not be kept."""
    if os.path.exists(job.source) and not os.path.isfile(job.source):
        raise NotSegmentable("it is no regular file")
    if job.target == STDOUT:
        raise NotSegmentable("what a pipe took is gone")
    if job.encode.bitrate is not None or job.encode.encoder_option:
        raise NotSegmentable("--bitrate and --encoder-option may depend on the whole video")
    if job.settings.deinterlace:
        raise NotSegmentable("--deinterlace looks at the frames on both sides of each")
    if pool.reuse:
        raise NotSegmentable("--reuse above 0 depends on all frames before")


def _key(reader: Reader, encoder: EncoderParameters, weights: Weights, pool: PoolSettings) -> Key:
    """All on which the segments depend, as text."""
    stat, filters = reader.path.stat(), reader.conversion.filters
    return {
        "the source": f"{stat.st_size} bytes of {stat.st_mtime_ns} ns, {reader.range}, {filters}",
        "the network": weights_hash(weights),
        "the encoder": " ".join(f"{name}={value}" for name, value in sorted(vars(encoder).items())),
        "the precision": expected_precision(weights, pool.precision).precision,
        "the CPU": f"{this_cpu().model_name} {isa_limit()}",
        "a version": ", ".join(f"{package} {version}" for package, version in package_versions().items()),
    }


def _frame_counts(counts: SegmentCounts, *, is_countable: bool) -> FrameCounts:
    undecoded = counts.planned - counts.frames - counts.before_key - counts.corrupt
    return FrameCounts(
        read=counts.frames,
        upscaled=counts.frames,
        corrupt=counts.corrupt,
        before_key=counts.before_key,
        undecoded=max(0, undecoded) if is_countable else 0,
        flattened=counts.flattened,
    )
