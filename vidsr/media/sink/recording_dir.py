"""A directory of segments: its lock, the names of new files, and the thread that closes and deletes files."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import Empty, Full, Queue
from tempfile import TemporaryFile
from threading import Thread
from time import monotonic, time

from vidsr.errors import TargetError
from vidsr.file_lock import try_lock
from vidsr.media.error_text import DISK_FULL
from vidsr.media.sink.retention import GB, delete_expired, free_bytes, unfinished_parts
from vidsr.media.sink.segment_recovery import recover_part, segment_part_path, unused_path
from vidsr.settings import RecordSettings

_MAX_JOBS = 16  # files being closed and synced: a minute of the shortest segments


class BackgroundWorker:
    """A thread that runs jobs in order, and `periodic_job` every `every_s` seconds in between; closed by `close`.

    Neither may raise. With a full queue, `submit` runs the job itself.
    """

    def __init__(self, periodic_job: Callable[[], None], *, every_s: float) -> None:
        self._periodic_job, self._every_s = periodic_job, every_s
        self._jobs: Queue[Callable[[], None] | None] = Queue(_MAX_JOBS)
        self._thread = Thread(target=self._run, name="background", daemon=True)  # daemon: a disk may hang forever
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue a job."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            job()

    def close(self, timeout_s: float) -> bool:
        """Wait for all jobs, at most `timeout_s`; returns whether they are done."""
        until = monotonic() + timeout_s
        try:
            self._jobs.put(None, timeout=timeout_s)
        except Full:
            return False
        self._thread.join(max(0.0, until - monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_run_s = monotonic()
        while True:
            if (now := monotonic()) >= next_run_s:
                self._periodic_job()
                next_run_s = now + self._every_s
            try:
                job = self._jobs.get(timeout=max(0.0, next_run_s - monotonic()))
            except Empty:
                continue
            if job is None:
                return
            job()


def segment_name(now_s: float) -> str:
    """The path of a segment that begins at this time of the clock, in local time, below its directory.

    Names sort by time also where an hour comes twice: 02-59-59 is followed by 02B-00-00, the hour 2B.
    """
    now = datetime.fromtimestamp(now_s)
    return now.strftime(f"%Y-%m-%d/%H{'B' if now.fold else ''}-%M-%S.mp4")


_CHECK_S = 60.0


class RecordingDir:
    """A directory that only this process records to; leftovers of a crash are recovered. Closed by `close`.

    Raises TargetError when it cannot be created or written, or another process records to it.
    """

    def __init__(
        self,
        path: Path,
        record: RecordSettings,
        *,
        on_warning: Callable[[str], None],
        neighbours: Mapping[Path, float] = {},
    ) -> None:
        self.free = 0
        self.neighbours = neighbours
        self._path, self._record, self._on_warning = path, record, on_warning
        self._is_changed, self._is_short = True, False
        self._checked_s = monotonic()
        try:
            path.mkdir(parents=True, exist_ok=True)
            require_writable(path)
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            if not try_lock(self._lock):
                os.close(self._lock)
                raise TargetError(f"{path}: another process records to it")
            self.free = free_bytes(path)
            for part in unfinished_parts(path):
                with suppress(OSError):  # an unreadable file stays as it is
                    recover_part(part)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def next_path(self) -> Path:
        """The path of a segment that begins now, in the directory of its day. Raises OSError if the disk is gone."""
        path = self._path / segment_name(time())
        path.parent.mkdir(exist_ok=True)  # no parents: without its disk, the mount point must not be recorded to
        return unused_path(path)

    def segment_added(self) -> None:
        """Mark that a segment was added."""
        self._is_changed = True

    def apply_retention(self) -> None:
        """Delete expired segments: after each new segment, every minute, and with little free space."""
        with suppress(OSError):  # the disk may be gone for a while
            self.free = free_bytes(self._path)
            min_free = self._record.min_free_gb * GB
            if self._is_changed or self.free < min_free or monotonic() - self._checked_s > _CHECK_S:
                self._is_changed, self._checked_s = False, monotonic()
                delete_expired(self._path, now_s=time(), record=self._record, neighbours=self.neighbours)
                self.free = free_bytes(self._path)
            if self.free < min_free and not self._is_short:
                kept = "only the newest segment of each camera is kept; free some space, or lower --min-free-gb"
                self._on_warning(f"only {self.free / GB:.2f} GB free, less than {min_free / GB:g}: {kept}")
            self._is_short = self.free < min_free

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)


def prepare_file(path: Path) -> None:
    """Recover what a crash left of a single file. Raises TargetError if it cannot be written."""
    try:
        if segment_part_path(path).exists():
            recover_part(segment_part_path(path))
        require_writable(path.parent)
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error


def require_writable(path: Path) -> None:
    """Raises OSError for a directory in which no file can be created; a full disk is accepted."""
    try:
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        if error.errno not in DISK_FULL:  # temporary
            raise
