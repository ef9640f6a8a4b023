"""Progress for programs: a line of JSON per second on stderr."""

import json
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vidsr.callbacks import OnProgress
from vidsr.cli.output import print_line

_EVERY_S = 1.0
_FPS_OVER = 10  # lines


@contextmanager
def json_progress(source: Path) -> Generator[OnProgress]:
    """The callback whose progress is printed at once, each second, and when the block ends well.

    A line has the `source`, the `stage` (start, upscale, finish, done), `frames` so far, their `total` or null, `fps`
    over the last ten seconds, and `seconds_left` or null.
    """
    progress, stop = _Progress(source), threading.Event()

    def print_lines() -> None:
        print_line(progress.line())
        while not stop.wait(_EVERY_S):
            print_line(progress.line())

    thread = threading.Thread(target=print_lines, name="progress", daemon=True)
    thread.start()
    try:
        yield progress.update
    finally:
        stop.set()
        thread.join()
    progress.done = True
    print_line(progress.line())


class _Progress:
    def __init__(self, source: Path) -> None:
        self.done = False
        self._source, self._frames = str(source), 0
        self._total: int | None = None
        self._marks = deque([(time.monotonic(), 0)], maxlen=_FPS_OVER)  # of the last lines

    def update(self, frames: int, total: int | None) -> None:
        self._frames, self._total = frames, total

    def line(self) -> str:
        """The progress so far as JSON; to be called once per line."""
        frames, total, now_s = self._frames, self._total, time.monotonic()
        then_s, before = self._marks[0]
        fps = (frames - before) / (now_s - then_s) if now_s > then_s else 0.0
        self._marks.append((now_s, frames))
        left = None if total is None or not fps else max(0.0, (total - frames) / fps)
        facts = {
            "source": self._source,
            "stage": self._stage(frames, total),
            "frames": frames,
            "total": total,
            "fps": round(fps, 2),
            "seconds_left": None if left is None else round(left, 1),
        }
        return json.dumps(facts)

    def _stage(self, frames: int, total: int | None) -> str:
        if self.done:
            return "done"
        return "start" if not frames else "finish" if frames == total else "upscale"
