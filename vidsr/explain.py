"""How a video would be upscaled, here and on a cluster: by frames or segments, by how many, and what bounds it."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from vidsr.callbacks import ShouldStop
from vidsr.cpu import describe_machine, usable_cores
from vidsr.estimate import Estimate, estimate
from vidsr.media.reader import Reader
from vidsr.model_selection import load_network
from vidsr.output_size import default_scale
from vidsr.pool import segments_in_memory
from vidsr.segment_pipeline import planned_segments
from vidsr.segments.plan import NotSegmentable
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.upscale_job import UpscaleJob

_SCAN_S = 5.0
"""How long the source is read for its segments; those of the rest are as long on average."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to do a job."""

    by: str
    """frames or segments."""
    where: str
    """here, or the address of a cluster."""
    workers: str
    """How many side by side, and where."""
    fps: float
    bound: str
    """What another machine would need more of, to be faster."""
    mbit_s: float | None = None
    """Over the network, to the workers and back."""
    used: bool = False
    """Whether the settings ask for it."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The ways to do a job, with the trial that they are computed from."""

    trial: Estimate
    segments: int | None
    """The number of segments, None where it cannot be cut."""
    why_frames: str
    """Why it cannot."""
    ways: tuple[Way, ...]

    def lines(self) -> list[str]:
        """The explanation for people."""
        trial, frames = self.trial, self.trial.frames
        (width, height), count = trial.size, "an unknown number of" if frames is None else str(frames)
        cut = f"not by segments: {self.why_frames}"
        if self.segments:
            cut = f"can be cut into {self.segments} segment{'s' * (self.segments > 1)}"
        cost = f"{1000 * trial.core_s:.0f} ms of a core per frame in a trial of {trial.trial_frames}"
        text = [f"{trial.source}: {width}x{height}, {count} frames, {cost}", f"  {cut}"]
        for way in self.ways:
            took = "" if frames is None else f", {timedelta(seconds=max(1, round(frames / way.fps)))}"
            link = "" if way.mbit_s is None else f", {way.mbit_s:.3g} Mbit/s over the network"
            mine = " (what this command does)" if way.used else ""
            text.append(
                f"  {way.where}, by {way.by}{mine}: {way.workers}, about {way.fps:.3g} fps{took}{link}; "
                f"bound by {way.bound}"
            )
        if frames is not None:
            seconds = max(1, round(frames * trial.core_s))
            text.append(f"  in all: {timedelta(seconds=seconds)} of such a core")
        return text


def explain(
    source: Path,
    target: Path,
    *,
    settings: UpscaleSettings,
    encode: EncodeSettings,
    pool: PoolSettings,
    should_stop: ShouldStop = lambda: False,
) -> Explanation:
    """How `upscale` would do this, on this machine and, with `pool.ray_address`, on that cluster.

    The figures come from a trial of a second in one process, and assume cores as fast as this machine's and links that
    hold what travels. Raises as `upscale`, and Stopped while the workers of a cluster start.
    """
    alone = replace(pool, workers=0, threads=1, ray_address=None)
    trial = estimate(source, target, settings=settings, encode=encode, pool=alone, should_stop=should_stop)
    job = UpscaleJob(source=source, target=target, settings=settings, encode=encode, should_stop=should_stop)
    segments, why_frames = _segments(job, pool, trial.frames)
    ways = [*_ways_here(trial, pool, segments)]
    if pool.ray_address is not None:
        ways.append(_way_on_cluster(trial, job, pool, segments))
    by = "segments" if settings.segments and segments else "frames"
    where = pool.ray_address or "here"
    return Explanation(
        trial=trial,
        segments=segments,
        why_frames=why_frames,
        ways=tuple(replace(way, used=(way.by, way.where) == (by, where)) for way in ways),
    )


def _segments(job: UpscaleJob, pool: PoolSettings, frames: int | None) -> tuple[int | None, str]:
    """The number of segments, or why there are none."""
    until, count, read = time.monotonic() + _SCAN_S, 0, 0
    try:
        for segment in planned_segments(job, pool):
            count, read = count + 1, read + len(segment.times)
            if time.monotonic() > until and frames and read:
                return max(count, round(count * frames / read)), ""
    except NotSegmentable as error:
        return None, str(error)
    return count, ""


def _ways_here(trial: Estimate, pool: PoolSettings, segments: int | None) -> Iterator[Way]:
    cores = usable_cores(describe_machine(), threads=pool.threads)
    if pool.workers and pool.ray_address is None:
        cores = min(cores, pool.workers * (pool.threads or 1))
    serial_fps = 1 / trial.serial_s if trial.serial_s else float("inf")
    bound = "the cores" if cores / trial.core_s < serial_fps else "the one thread that merges and feeds the encoder"
    fps = min(cores / trial.core_s, serial_fps)
    yield Way(by="frames", where="here", workers=f"{cores} core{'s' * (cores > 1)}", fps=fps, bound=bound)
    if segments:
        room = segments_in_memory(trial.size)
        count, bound = min((cores, "the cores"), (room, "the memory"), (segments, "the number of segments"))
        yield Way(
            by="segments",
            where="here",
            workers=f"{count} of one core side by side",
            fps=count / trial.core_s,
            bound=bound,
        )


def _way_on_cluster(trial: Estimate, job: UpscaleJob, pool: PoolSettings, segments: int | None) -> Way:
    """What the workers of a cluster would do, as they start now. Raises WorkerError where none does, and Stopped."""
    from vidsr.pool.ray_workers import RayWorkers

    with Reader(job.source) as reader:
        usual = default_scale(job.settings, reader.info)
        weights, _ = load_network(job.settings, reader.info, usual_scale=usual)
        pixels, deep = reader.info.width * reader.info.height, reader.info.depth > 8
    with RayWorkers(weights, pool, job.should_stop) as workers:
        nodes, threads = Counter(slot.location.host for slot in workers.slots), workers.threads
    listed = ", ".join(f"{host} {count}" for host, count in sorted(nodes.items()))
    count, bound = nodes.total() * threads, "the cores of the workers"
    frame_bytes = pixels * (1 + weights.architecture.scale**2) * (2 if deep else 1)
    fps = count / trial.core_s
    if segments:
        count, bound = min((count, bound), (segments * threads, "the number of segments"))
        fps = count / trial.core_s
        frame_bytes = round((job.source.stat().st_size + (trial.bytes or 0)) / (trial.frames or 1))
    elif trial.serial_s and fps > 1 / trial.serial_s:
        fps, bound = 1 / trial.serial_s, "the one thread that merges and feeds the encoder"
    return Way(
        by="segments" if segments else "frames",
        where=str(pool.ray_address),
        workers=f"{nodes.total()} workers of {threads} threads ({listed})",
        fps=fps,
        bound=bound,
        mbit_s=frame_bytes * fps * 8 / 1e6,
    )
