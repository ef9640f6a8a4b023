"""A thread that does what the pictures must not wait for: closing files, bringing them to the disk, tidying up."""

from collections.abc import Callable
from queue import Empty, Full, Queue
from threading import Thread
from time import monotonic

_WAITING = 16  # files that were closed and are not on the disk yet: a minute of the shortest segments


class Finisher:
    """Jobs done in order, and `tidy` between them every `every_s` seconds, in one thread; closed by `close`.

    Neither may raise. When too many jobs wait, the next is done by who brings it.
    """

    def __init__(self, tidy: Callable[[], None], *, every_s: float) -> None:
        self._tidy, self._every_s = tidy, every_s
        self._jobs: Queue[Callable[[], None] | None] = Queue(_WAITING)
        self._thread = Thread(target=self._run, name="finisher", daemon=True)  # daemon: a disk may hang for ever
        self._thread.start()

    def do(self, job: Callable[[], None]) -> None:
        """Have a job done soon."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            job()

    def close(self, timeout_s: float) -> bool:
        """Whether all jobs are done, waiting so long at the most."""
        until = monotonic() + timeout_s
        try:
            self._jobs.put(None, timeout=timeout_s)
        except Full:
            return False
        self._thread.join(max(0.0, until - monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_tidy = monotonic()
        while True:
            if (now := monotonic()) >= next_tidy:
                self._tidy()
                next_tidy = now + self._every_s
            try:
                job = self._jobs.get(timeout=max(0.0, next_tidy - monotonic()))
            except Empty:
                continue
            if job is None:
                return
            job()
