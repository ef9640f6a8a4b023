"""How far the files of a command are: each, and of several all together."""

import json
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from vidsr.batch import source_bytes
from vidsr.callbacks import OnProgress
from vidsr.cli.json_progress import json_progress
from vidsr.cli.output import log_above_bars, make_bar, move_bar, print_line, progress_lines, shows_bars
from vidsr.upscale_job import UpscaleJob

_EVERY_S = 1.0
_MOST_BARS = 4  # of files, on a terminal
_MB = 1_000_000


class BatchProgress:
    """Shows how far several files are, by the bytes of their sources; shown within `with`, in the way of `kind`.

    `json` is a line per second for each file in work, and one for all; `bar` is bars on a terminal, and elsewhere a
    line per minute.
    """

    def __init__(self, jobs: Sequence[UpscaleJob], *, kind: str, quiet: bool) -> None:
        self._bytes = {job.source: source_bytes(job) for job in jobs}
        self._parts: dict[Path, float] = {}
        self._total, self._files = sum(self._bytes.values()), len(jobs)
        self._done_bytes = self._done = self._failed = self._bars = 0
        self._kind, self._quiet, self._began_s = kind, quiet, time.monotonic()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress of all", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def file(self, source: Path) -> Generator[OnProgress]:
        """The callback of a file in work."""
        with self._shown(source) as show:

            def on_progress(done: int, total: int | None) -> None:
                if total:
                    self._parts[source] = min(1.0, done / total)
                show(done, total)

            try:
                yield on_progress
            finally:
                self._parts.pop(source, None)

    def end(self, source: Path, *, failed: bool) -> None:
        """Note that a file has ended."""
        with self._lock:
            self._done_bytes += self._bytes.get(source, 0)
            self._done += 1
            self._failed += failed

    @property
    def done_bytes(self) -> int:
        """How much is done, with parts of the files in work."""
        parts = list(self._parts.items())
        return self._done_bytes + round(sum(part * self._bytes.get(source, 0) for source, part in parts))

    @property
    def seconds_left(self) -> float | None:
        """The time that is left at the speed so far; None while it is not known."""
        done = self.done_bytes
        if not done:
            return None
        return (time.monotonic() - self._began_s) / done * max(0, self._total - done)

    def line(self) -> str:
        """How far all files are, as JSON."""
        left = self.seconds_left
        facts = {
            "stage": "all",
            "files": self._files,
            "files_done": self._done,
            "files_failed": self._failed,
            "part": round(self.done_bytes / self._total, 4) if self._total else None,
            "seconds_left": None if left is None else round(left, 1),
        }
        return json.dumps(facts)

    @contextmanager
    def _shown(self, source: Path) -> Generator[OnProgress]:
        if self._kind == "json":
            with json_progress(source) as show:
                yield show
            return
        report = progress_lines(quiet=self._quiet)
        shown = shows_bars(quiet=self._quiet) and self._bars < _MOST_BARS
        self._bars += 1
        try:
            with ExitStack() as stack:
                bar = stack.enter_context(make_bar(desc=source.name, unit=" frames", leave=False)) if shown else None

                def on_progress(done: int, total: int | None) -> None:
                    report(source.name, done, total, "frames")
                    if bar is not None:
                        move_bar(bar, done, total)

                yield on_progress
        finally:
            self._bars -= 1

    def _show(self) -> None:
        if self._kind == "json":
            while not self._stop.wait(_EVERY_S):
                print_line(self.line())
            print_line(self.line())
            return
        report, shown = progress_lines(quiet=self._quiet), shows_bars(quiet=self._quiet)
        with ExitStack() as stack:
            bar = stack.enter_context(make_bar(unit="B", unit_scale=True, total=self._total)) if shown else None
            stack.enter_context(log_above_bars(shown=shown))
            while not self._stop.wait(_EVERY_S):
                done, files = self.done_bytes, f"{self._done} of {self._files} files"
                if bar is not None:
                    bar.set_description(files, refresh=False)
                    bar.update(done - bar.n)
                report("all", done // _MB, self._total // _MB, f"MB of the sources, {files} done")
