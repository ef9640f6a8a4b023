"""A benchmark: a run of the pipeline into a temporary file, and what its time goes into."""

import itertools
import os
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from vidsr.callbacks import ShouldStop
from vidsr.cpu import MAX_WORKERS, describe_machine, usable_cores
from vidsr.pipeline import STAGES, upscale_job
from vidsr.pool.shared_pools import SharedPools
from vidsr.report import Report
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings
from vidsr.stage_timer import TimedSpan
from vidsr.upscale_job import UpscaleJob

_SAMPLE_S = 0.25  # between samples of /proc; each takes a few milliseconds
BUSY = 0.9  # share of all cores; below it, the bottleneck is a stage
_THREADS = {"read": "reading", "upscale": "network", "merge": "writing", "write": "writing"}
"""The thread, or set of workers, that executes each stage."""
OWN, WORKERS, RAY = "this process", "workers", "Ray"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuTime:
    """Seconds on a core, and seconds for which a runnable thread waited for one."""

    ran_s: float = 0.0
    waited_s: float = 0.0

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.ran_s + other.ran_s, self.waited_s + other.waited_s)

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.ran_s - other.ran_s, self.waited_s - other.waited_s)


@dataclass(frozen=True)
class _Process:
    parent: int
    name: str
    cpu_s: float
    start_s: float
    """After the boot of the machine."""


def cpu_times() -> dict[str, CpuTime]:
    """CPU time so far of this process, of its Ray workers, and of the rest of Ray."""
    spent: dict[str, CpuTime] = defaultdict(CpuTime)
    processes = _processes()
    for pid, process in processes.items():
        if pid == os.getpid():
            spent[OWN] += _cpu_time(pid, process)
        elif _descends(pid, processes):
            name = WORKERS if process.name.startswith("ray::Worker") else RAY
            spent[name] += _cpu_time(pid, process)
    return dict(spent)


def process_age_s() -> float:
    """Seconds since the start of this process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - _process(os.getpid()).start_s


def _cpu_time(pid: int, process: _Process) -> CpuTime:
    waited_ns = 0
    with suppress(OSError):  # the process has ended, or the kernel has no schedstat
        for task in os.listdir(f"/proc/{pid}/task"):
            waited_ns += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[1])
    return CpuTime(process.cpu_s, waited_ns / 1e9)


def _processes() -> dict[int, _Process]:
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):  # the process has ended
                found[int(name)] = _process(int(name))
    return found


def _process(pid: int) -> _Process:
    name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition(" (")[2].rpartition(") ")
    fields = rest.split()  # fields[0] is the third field in proc(5)
    return _Process(
        parent=int(fields[1]),
        name=name,
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        start_s=int(fields[19]) / _TICKS,
    )


def _descends(pid: int, processes: dict[int, _Process]) -> bool:
    while pid in processes:
        pid = processes[pid].parent
        if pid == os.getpid():
            return True
    return False


@dataclass(frozen=True, kw_only=True)
class BenchRun:
    """The measurements of one run; "steady" is the time from the first written frame to the last."""

    report: Report
    cores: int
    """Usable by this process."""
    start_s: float
    """From the call to the first written frame."""
    steady_s: float
    steady_frames: int
    core_times: dict[str, CpuTime]
    """While steady, by kind of process."""
    spans: list[TimedSpan] = field(repr=False)
    """The spans of the first frames, in order of their end."""

    @property
    def fps(self) -> float:
        """Frames per second while steady, or of the whole run where that is too short."""
        return self.steady_frames / self.steady_s if self.steady_s else self.report.fps

    @property
    def busy(self) -> float:
        """The share of the cores' time that was used, while steady."""
        return self._share(sum(time.ran_s for time in self.core_times.values()))

    @property
    def wanted(self) -> float:
        """`busy`, plus the time for which runnable threads waited for a core."""
        return min(1.0, self._share(sum(time.ran_s + time.waited_s for time in self.core_times.values())))

    @property
    def bottleneck(self) -> str:
        """What limits the run: all cores, or the thread or workers with the least idle time."""
        if self.busy >= BUSY:
            return "the cores"
        if self.wanted >= BUSY:
            return "the cores, which other processes use, too: measure again on an idle machine"
        busy_s: dict[str, float] = {}
        for stage, spent in self.report.stages.items():
            busy_s[_THREADS[stage]] = busy_s.get(_THREADS[stage], 0.0) + spent.seconds
        longest = max(busy_s, key=lambda name: busy_s[name])
        share = busy_s[longest] / self.report.seconds
        return f"{longest}, idle {max(0.0, 1 - share):.0%} of the time"

    def _share(self, core_s: float) -> float:
        return core_s / (self.cores * self.steady_s) if self.steady_s else 0.0


def run_bench(
    source: Path,
    *,
    settings: UpscaleSettings,
    encode: EncodeSettings,
    pool: PoolSettings,
    frames: int,
    traced_frames: int = 0,
    should_stop: ShouldStop = lambda: False,
) -> BenchRun:
    """Upscale the first `frames` of a video; spans of `traced_frames` are kept. Raises what `upscale` raises."""
    recorder = _Recorder(traced_frames)
    frame_numbers = itertools.count(1)
    with TemporaryDirectory(prefix="vidsr-bench-") as folder, SharedPools(pool, should_stop) as pools:
        call_s = time.perf_counter()
        job = UpscaleJob(
            source=source,
            target=Path(folder) / "upscaled.mkv",
            settings=settings,
            encode=encode,
            on_progress=recorder.on_progress,
            should_stop=lambda: next(frame_numbers) >= frames or should_stop(),
            on_span=recorder.on_span,
        )
        report = upscale_job(job, pools)
    return BenchRun(
        report=report,
        cores=usable_cores(describe_machine()),
        start_s=recorder.first.at_s - call_s,
        steady_s=recorder.last.at_s - recorder.first.at_s,
        steady_frames=recorder.last.done - recorder.first.done,
        core_times={
            name: spent - recorder.first.times.get(name, CpuTime()) for name, spent in recorder.last.times.items()
        },
        spans=recorder.spans,
    )


@dataclass(frozen=True)
class _Sample:
    """The clocks when `done` frames were written."""

    done: int
    at_s: float
    times: dict[str, CpuTime]


class _Recorder:
    """Samples at the first frame and at one of the last, and the spans of the first frames."""

    def __init__(self, traced_frames: int) -> None:
        self.first = self.last = _Sample(0, 0.0, {})
        self.spans: list[TimedSpan] = []
        self._untraced = dict.fromkeys(STAGES, traced_frames)

    def on_progress(self, done: int, total: int | None) -> None:
        """Sample the clocks after a written frame."""
        now_s = time.perf_counter()
        if now_s - self.last.at_s >= _SAMPLE_S or done == 1:
            self.last = _Sample(done, now_s, cpu_times())
            self.first = self.last if done == 1 else self.first

    def on_span(self, span: TimedSpan) -> None:
        """Keep the span where its stage still needs one."""
        if self._untraced[span.stage]:
            self._untraced[span.stage] -= 1
            self.spans.append(span)


def candidate_plans(cores: int, pool: PoolSettings) -> list[PoolSettings]:
    """The settings with different numbers of workers and threads, and without Ray; none uses more than `cores`.

    One worker fewer than cores is among them, because the encoder needs cores, too.
    """
    counts = {1, cores - 1, cores, *(2**power for power in range(cores.bit_length()))}
    shares = [(0, threads) for threads in sorted({1, max(1, cores // 2), cores})]
    for workers in sorted(counts & set(range(1, min(cores, MAX_WORKERS) + 1))):
        shares += [(workers, threads) for threads in sorted({1, cores // workers})]
    return [replace(pool, workers=workers, threads=threads) for workers, threads in shares]
