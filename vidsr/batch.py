"""Many files as one job: one pool, segments of several files side by side, and what an earlier run has finished."""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from vidsr.callbacks import ShouldStop
from vidsr.errors import STOPPED, TargetError
from vidsr.json_files import add_line, read_lines
from vidsr.pipeline import is_by_segments
from vidsr.pool.shared_pools import SharedPools
from vidsr.segments.plan import NotSegmentable
from vidsr.settings import PoolSettings
from vidsr.upscale_job import UpscaleJob
from vidsr.versions import package_versions

RECORD_NAME = ".vidsr-upscale.jsonl"
_NOT_OF_THE_RESULT = {"overwrite", "verify", "segments"}
"""Settings that change nothing in a target."""


def run_batch(
    jobs: Sequence[UpscaleJob],
    pools: SharedPools,
    work: Callable[[UpscaleJob], None],
    *,
    should_stop: ShouldStop,
    alone: Collection[Path] = (),
) -> None:
    """Call `work` for every job until `should_stop`: by segments side by side, largest source first, then by frames.

    A job for which `work` raises NotSegmentable comes once more among the others, with the reason. Jobs whose targets
    are `alone` come first, and one by one. Another error of `work` ends the others, too.
    """
    ended = Event()
    put_off: list[UpscaleJob] = []

    def attempt(job: UpscaleJob) -> None:
        if should_stop() or ended.is_set():
            return
        try:
            work(replace(job, should_stop=lambda: should_stop() or ended.is_set()))
        except NotSegmentable as error:
            put_off.append(replace(job, not_segmentable=str(error)))
        except BaseException:
            ended.set()
            raise

    for job in [job for job in jobs if job.target in alone]:
        attempt(job)
    others = [job for job in jobs if job.target not in alone]
    by_segments = sorted(filter(is_by_segments, others), key=source_bytes, reverse=True)
    _side_by_side(attempt, by_segments, pools.files_side_by_side, ended)
    for job in [*(job for job in others if not is_by_segments(job)), *put_off]:
        attempt(job)


def _side_by_side(attempt: Callable[[UpscaleJob], None], jobs: list[UpscaleJob], count: int, ended: Event) -> None:
    if len(jobs) < 2:
        for job in jobs:
            attempt(job)
        return
    with ThreadPoolExecutor(min(count, len(jobs)), thread_name_prefix="file") as files:
        try:
            for future in [files.submit(attempt, job) for job in jobs]:
                future.result()
        except BaseException:
            ended.set()
            files.shutdown(wait=False, cancel_futures=True)
            raise


def source_bytes(job: UpscaleJob) -> int:
    """The size of a job's source, 0 where it is not known: what there is to do, as far as a look at a folder tells."""
    try:
        return job.source.stat().st_size
    except OSError:
        return 0


@dataclass(frozen=True, kw_only=True)
class RecordedTarget:
    """A line of the record: a target that was finished, or stopped before its end, and of what."""

    target: str
    target_stamp: list[int]
    """Its size in bytes and its time in ns; the source's likewise."""
    source: str
    source_stamp: list[int]
    settings: str
    """A hash of all settings on which a target depends, of the weights, and of the version of vidsr."""
    code: int
    """0, the exit code of one that is damaged, or 128 and the signal for one that was stopped."""
    sentence: str
    """Why."""


class BatchRecord:
    """What was written into a folder, in a hidden file in it, to which only lines are added, from any thread.

    What cannot be written is no error: the target is there all the same.
    """

    def __init__(self, folder: Path, pool: PoolSettings) -> None:
        self._path, self._pool = folder / RECORD_NAME, pool
        self._settings_hash = ""
        """Of all jobs, which have the same; "" before the first."""
        self._last: dict[str, RecordedTarget] | None = None

    def add(self, job: UpscaleJob, code: int, sentence: str) -> None:
        """Note that a target is finished, or stopped before its end."""
        with suppress(OSError):
            entry = asdict(self._entry(job, code, sentence))
            with self._path.open("a+b", buffering=0) as file:
                add_line(file, entry)

    def get(self, job: UpscaleJob) -> RecordedTarget | None:
        """The last line of a job's target, whatever has become of that."""
        if self._last is None:
            self._last = {entry.target: entry for entry in self._read()}
        return self._last.get(self._name(job.target))

    def doubt(self, job: UpscaleJob, entry: RecordedTarget) -> str | None:
        """Why a line does not hold for a job, to follow "the target exists already, and"; None where it does.

        That of a stopped target holds for all settings, as it is made again in any case. "" where a file is not there.
        """
        try:
            now = self._entry(job, entry.code, entry.sentence)
        except OSError:
            return ""
        if now.target_stamp != entry.target_stamp:
            return "is not the file that was finished"
        stopped = entry.code >= STOPPED
        if now.source != entry.source or (now.source_stamp != entry.source_stamp and not stopped):
            return "its source has changed since"
        return None if now.settings == entry.settings or stopped else "was made with other settings or another version"

    def is_finished(self, job: UpscaleJob) -> bool:
        """Whether an earlier run has finished a job's target, as it would be made now."""
        entry = self.get(job)
        return entry is not None and entry.code < STOPPED and self.doubt(job, entry) is None

    def _read(self) -> list[RecordedTarget]:
        entries = []
        for values in read_lines(self._path):
            with suppress(TypeError):  # no line of the record
                entry = RecordedTarget(**values)
                entries += [entry] if isinstance(entry.target, str) and isinstance(entry.code, int) else []
        return entries

    def _entry(self, job: UpscaleJob, code: int, sentence: str) -> RecordedTarget:
        return RecordedTarget(
            target=self._name(job.target),
            target_stamp=_stamp(job.target),
            source=str(job.source.absolute()),
            source_stamp=_stamp(job.source),
            settings=self._hash(job),
            code=code,
            sentence=sentence,
        )

    def _name(self, target: Path) -> str:
        return os.path.relpath(target, self._path.parent)

    def _hash(self, job: UpscaleJob) -> str:
        self._settings_hash = self._settings_hash or settings_hash(job, self._pool)
        return self._settings_hash


def settings_hash(job: UpscaleJob, pool: PoolSettings) -> str:
    """A hash of all on which a target depends but its source. Raises OSError for a weight file that is not there."""
    upscaling = {name: value for name, value in asdict(job.settings).items() if name not in _NOT_OF_THE_RESULT}
    facts: list[Any] = [package_versions()["vidsr"], upscaling, asdict(job.encode), pool.precision, pool.reuse]
    if job.settings.model.endswith(".npz"):
        facts.append(hashlib.sha256(Path(job.settings.model).read_bytes()).hexdigest())
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def require_writable(file: Path) -> None:
    """Raises TargetError for a file that cannot be written; an empty one is left."""
    try:
        file.write_bytes(b"")
    except OSError as error:
        raise TargetError(f"{file}: {error.strerror}") from error


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
