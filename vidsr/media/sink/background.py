"""A thread for work that frames must not wait for: closing files, syncing them to disk, applying retention."""

from collections.abc import Callable
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic

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
