"""One run into a file that nobody keeps, and what it was busy with."""

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from vidsr.bench.cpu_time import CoreTime, core_times
from vidsr.callbacks import ShouldStop
from vidsr.cpu_affinity import describe_machine, plan_cores
from vidsr.pipeline import STAGES, upscale
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import TimedSpan

_LOOK_S = 0.25  # between looks through /proc, which take a few milliseconds
BUSY = 0.9  # of all cores; with less, a stage is what a run waits for
_THREADS = {"read": "reading", "enlarge": "network", "merge": "writing", "write": "writing"}
"""Which stages wait for each other because one thread, or set of workers, does them."""


def usable_cores() -> int:
    """How many cores this process may use."""
    return sum(share.threads for share in plan_cores(describe_machine()))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of one run; from its first written frame to its last one where it says "steady"."""

    report: Report
    cores: int
    """That this process may use."""
    start_s: float
    """From the order to the first written frame."""
    steady_s: float
    steady_frames: int
    core_times: dict[str, CoreTime]
    """While steady, by process."""
    spans: list[TimedSpan] = field(repr=False)
    """All work at the first frames, in the order in which it ended."""

    @property
    def fps(self) -> float:
        """While steady; of the whole run where that was too short to tell."""
        return self.steady_frames / self.steady_s if self.steady_s else self.report.fps

    @property
    def busy(self) -> float:
        """The share of what the cores could have given that was taken, while steady."""
        return self._share(sum(time.ran_s for time in self.core_times.values()))

    @property
    def wanted(self) -> float:
        """The share that would have been taken by a thread that could go on, had others not had the cores."""
        return min(1.0, self._share(sum(time.ran_s + time.waited_s for time in self.core_times.values())))

    @property
    def bottleneck(self) -> str:
        """What the run waited for: all cores, or the thread or workers that rested least."""
        if self.busy >= BUSY:
            return "the cores"
        if self.wanted >= BUSY:
            return "the cores, which others have, too: measure again on a quiet machine"
        busy_s: dict[str, float] = {}
        for stage, spent in self.report.stages.items():
            busy_s[_THREADS[stage]] = busy_s.get(_THREADS[stage], 0.0) + spent.seconds
        longest = max(busy_s, key=lambda name: busy_s[name])
        share = busy_s[longest] / self.report.seconds
        return f"{longest}, which rests {max(0.0, 1 - share):.0%} of the time"

    def _share(self, core_s: float) -> float:
        return core_s / (self.cores * self.steady_s) if self.steady_s else 0.0


def trial(
    source: Path,
    *,
    settings: UpscaleSettings,
    encode: EncodeSettings,
    pool: PoolSettings,
    frames: int,
    shown: int = 0,
    stop: ShouldStop = lambda: False,
) -> Trial:
    """A run over the first `frames` of a video; the spans of the first `shown` of them are kept.

    Raises what `upscale` raises.
    """
    marks = _Marks(shown)
    taken = itertools.count(1)
    with TemporaryDirectory(prefix="vidsr-bench-") as folder:
        began_s = time.perf_counter()
        report = upscale(
            source,
            Path(folder) / "enlarged.mkv",
            settings=settings,
            encode=encode,
            pool=pool,
            on_progress=marks.note,
            should_stop=lambda: next(taken) >= frames or stop(),
            on_span=marks.watch,
        )
    return Trial(
        report=report,
        cores=usable_cores(),
        start_s=marks.first.at_s - began_s,
        steady_s=marks.last.at_s - marks.first.at_s,
        steady_frames=marks.last.done - marks.first.done,
        core_times={name: spent - marks.first.times.get(name, CoreTime()) for name, spent in marks.last.times.items()},
        spans=marks.spans,
    )


@dataclass(frozen=True)
class _Mark:
    """What the clocks say when so many frames are written."""

    done: int
    at_s: float
    times: dict[str, CoreTime]


class _Marks:
    """What the clocks say at the first frame and at one of the last, and the work at the first few."""

    def __init__(self, shown: int) -> None:
        self.first = self.last = _Mark(0, 0.0, {})
        self.spans: list[TimedSpan] = []
        self._left = dict.fromkeys(STAGES, shown)

    def note(self, done: int, total: int | None) -> None:
        """Of a frame that is written."""
        now_s = time.perf_counter()
        if now_s - self.last.at_s >= _LOOK_S or done == 1:
            self.last = _Mark(done, now_s, core_times())
            self.first = self.last if done == 1 else self.first

    def watch(self, span: TimedSpan) -> None:
        """Of a piece of work."""
        if self._left[span.stage]:
            self._left[span.stage] -= 1
            self.spans.append(span)
