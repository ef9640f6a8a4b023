"""The processor: its instruction sets, and the CPUs of each worker, planned from those that may really be used.

OpenVINO does not: it ignores the quota of `docker --cpus`, and each of its processes pins from CPU 0 on.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path, PurePosixPath

# Each worker is a process of about 200 MB; on larger machines more threads per worker cost less than more workers.
MAX_WORKERS = 16
_AMX = frozenset({"amx_tile", "amx_int8", "amx_bf16", "amx_fp16"})
_ABOVE_BF16 = _AMX | {"avx512_fp16"}
_ABOVE_VNNI = _ABOVE_BF16 | {"avx512_bf16"}
_ABOVE_AVX2 = _ABOVE_VNNI | {"avx512_vnni", "avx512f"}
_HIDDEN = {
    "AVX512_CORE_FP16": _AMX,
    "AVX512_CORE_BF16": _ABOVE_BF16,
    "AVX512_CORE_VNNI": _ABOVE_VNNI,
    "AVX512_CORE": _ABOVE_VNNI | {"avx512_vnni", "avx_vnni"},
    "AVX2_VNNI_2": _ABOVE_AVX2,
    "AVX2_VNNI": _ABOVE_AVX2,
    "AVX2": _ABOVE_AVX2 | {"avx_vnni"},
    "AVX": _ABOVE_AVX2 | {"avx_vnni", "avx2", "fma"},
    "SSE41": _ABOVE_AVX2 | {"avx_vnni", "avx2", "fma", "avx"},
}
"""The flags that have no effect below each limit of oneDNN."""


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """A processor, as the Linux kernel describes it."""

    model_name: str = "unknown"
    vendor: str = ""
    family: int = 0
    model: int = 0
    flags: frozenset[str] = frozenset()
    """The instruction sets that OpenVINO and PyTorch may use, by the kernel's names."""

    def __str__(self) -> str:
        """The model name and the widest vectors."""
        widest = [flag for flag in ("avx512f", "avx2", "sse4_2") if flag in self.flags][:1]
        return " ".join([self.model_name, *widest])

    @property
    def has_vnni(self) -> bool:
        """Whether it multiplies and adds bytes without overflow."""
        return not self.flags.isdisjoint(("avx_vnni", "avx512_vnni"))

    @property
    def has_bfloat16(self) -> bool:
        """Whether it multiplies bfloat16 itself; others do it many times slower than float32."""
        return not self.flags.isdisjoint(("avx512_bf16", "amx_bf16"))

    def common(self, other: "Cpu") -> "Cpu":
        """A processor that can do what both can: this one, where it is no more than the other."""
        return replace(self if self.flags <= other.flags else other, flags=self.flags & other.flags)


def this_cpu() -> Cpu:
    """The processor of this process, within the limit in ONEDNN_MAX_CPU_ISA; nothing where /proc is hidden."""
    cpu = _described_cpu()
    return replace(cpu, flags=cpu.flags - _HIDDEN.get(isa_limit(), frozenset()))


def isa_limit() -> str:
    """The highest instruction set that oneDNN may use, by its own name; "" without a limit."""
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()


@cache
def _described_cpu() -> Cpu:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return Cpu()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Cpu(
        model_name=facts.get("model name", "unknown"),
        vendor=facts.get("vendor_id", ""),
        family=int(facts.get("cpu family", "0")),
        model=int(facts.get("model", "0")),
        flags=frozenset(facts.get("flags", "").split()),
    )


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The CPUs that this process may use."""

    cpus: frozenset[int]
    """The affinity mask, without CPUs that are offline."""
    core_of: dict[int, tuple[int, int]]
    """(package id, core id) of each CPU; SMT siblings share one."""
    node_of: dict[int, int]
    """The NUMA node of each CPU."""
    quota: float | None
    """The CPU time that the cgroup and its ancestors allow, in CPUs; None without a limit."""


@dataclass(frozen=True, kw_only=True)
class CpuShare:
    """The threads and the CPUs of one worker."""

    threads: int
    cpus: frozenset[int]
    """As many as threads; under a quota all allowed CPUs, for the scheduler to choose from."""


def describe_machine(root: Path = Path("/"), *, mask: frozenset[int] | None = None) -> Machine:
    """The CPUs of this process, by its affinity mask (or `mask`) and /proc and /sys under `root`.

    Where the kernel does not report it, each CPU counts as a core of its own, all on node 0, without a quota.
    """
    allowed = frozenset(os.sched_getaffinity(0)) if mask is None else mask
    online = parse_cpu_list(kernel_text(root / "sys/devices/system/cpu/online"))
    cpus = allowed & online or allowed  # lxcfs renumbers `online` from 0, which may miss the mask altogether
    nodes = _read_nodes(root)
    return Machine(
        cpus=cpus,
        core_of={cpu: _read_core(root, cpu) for cpu in cpus},
        node_of={cpu: nodes.get(cpu, 0) for cpu in cpus},
        quota=_read_quota(root),
    )


def usable_cpus(machine: Machine) -> list[list[int]]:
    """The lowest CPU of each physical core, in a list per NUMA node, the largest node first."""
    nodes: dict[int, dict[tuple[int, int], int]] = {}
    for cpu in sorted(machine.cpus):
        nodes.setdefault(machine.node_of[cpu], {}).setdefault(machine.core_of[cpu], cpu)
    largest_first = sorted(nodes.items(), key=lambda item: (-len(item[1]), item[0]))
    return [list(cores.values()) for _, cores in largest_first]


def plan_cores(machine: Machine, *, workers: int | None = None, threads: int | None = None) -> tuple[CpuShare, ...]:
    """The share of each worker: `threads` CPUs of one NUMA node, shared by two workers only when there are too few.

    By default there are as many workers as fit, 16 at most. A worker across nodes would pull its memory over the
    interconnect, so `threads` is limited to the largest node. Under a quota below the number of cores only the threads
    are divided: containers on one host see the same CPUs, and would all choose the same few.
    Raises ValueError when either number is below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"{workers = } must be >= 1")
    if threads is not None and threads < 1:
        raise ValueError(f"{threads = } must be >= 1")
    nodes = usable_cpus(machine)
    cores = sum(map(len, nodes))
    allowed = cores if machine.quota is None else min(cores, max(1, math.floor(machine.quota)))
    if allowed < cores:
        nodes = [list(range(allowed))]  # places for threads, not CPUs
    threads = min(threads or _default_threads(nodes, workers), max(map(len, nodes)))
    plan = _deal(nodes, workers=workers or _fitting(nodes, threads), threads=threads)
    return tuple(CpuShare(threads=threads, cpus=cpus if allowed == cores else machine.cpus) for cpus in plan)


def usable_cores(machine: Machine, *, threads: int | None = 1) -> int:
    """The cores that workers of `threads` each keep busy on a machine; None: of those that `plan_cores` gives."""
    return sum(share.threads for share in plan_cores(machine, threads=threads))


def pin_process(cpus: frozenset[int]) -> None:
    """Pin every thread of this process, and those they start, to `cpus`.

    Call it before the first use of OpenVINO's CPU plugin, which caches the mask and later pins threads outside it.
    Raises OSError when the process may use none of `cpus`.
    """
    os.sched_setaffinity(0, cpus)
    while strays := unpinned_threads(cpus):  # again: a thread may have started another one meanwhile
        for tid in strays:
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.sched_setaffinity(tid, cpus)


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Gives all threads of this process the scheduling policy back that this thread has at the beginning.

    As root, SVT-AV1 makes the thread that opens it and its own ones real-time threads of the highest priority, which
    processes that they start inherit: nothing else runs on the machine then.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for tid in _thread_ids("self"):
            with suppress(ProcessLookupError, PermissionError):
                if os.sched_getscheduler(tid) != policy:
                    os.sched_setscheduler(tid, policy, parameters)


def unpinned_threads(cpus: frozenset[int], pid: int | None = None) -> list[int]:
    """The ids of the threads of a process, by default this one, that may run outside `cpus`.

    Raises FileNotFoundError when there is no such process.
    """
    process = "self" if pid is None else str(pid)
    return [tid for tid in _thread_ids(process) if not _thread_cpus(process, tid) <= cpus]


def parse_cpu_list(text: str) -> frozenset[int]:
    """{0, 1, 2, 8} for "0-2,8", as the kernel writes a set of CPUs."""
    spans = [span.partition("-") for span in text.strip().split(",") if span]
    return frozenset(cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1))


def _default_threads(nodes: Sequence[Sequence[int]], workers: int | None) -> int:
    """Threads per worker: the most with which `workers` fit side by side, else as few as 16 workers need."""
    cores = sum(map(len, nodes))
    if workers is None:
        return math.ceil(cores / MAX_WORKERS)  # few: a small frame gains nothing from many threads
    # cores // workers may be too many: 3 workers of 21 do not fit on two nodes of 32, and two on the same cores crawl
    return max((n for n in range(1, cores // workers + 1) if _fitting(nodes, n) >= workers), default=1)


def _fitting(nodes: Sequence[Sequence[int]], threads: int) -> int:
    """The number of workers of `threads` CPUs that fit, none of them on two nodes."""
    return sum(len(node) // threads for node in nodes)


def _deal(nodes: Sequence[Sequence[int]], *, workers: int, threads: int) -> tuple[frozenset[int], ...]:
    """The CPUs of each worker, from the nodes in turn; a node without CPUs left begins again."""
    rings = [cycle(node) for node in nodes]
    places = sorted((turn, i) for i, node in enumerate(nodes) for turn in range(len(node) // threads))
    return tuple(frozenset(islice(rings[i], threads)) for _, i in islice(cycle(places), workers))


def _read_core(root: Path, cpu: int) -> tuple[int, int]:
    """(package id, core id) of a CPU; (-1, cpu) where the kernel does not know."""
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    core = int(kernel_text(topology / "core_id") or -1)
    return (-1, cpu) if core < 0 else (int(kernel_text(topology / "physical_package_id") or -1), core)


def _read_nodes(root: Path) -> dict[int, int]:
    """The NUMA node of every CPU that is listed under one."""
    lists = root.glob("sys/devices/system/node/node[0-9]*/cpulist")
    return {
        cpu: int(path.parent.name.removeprefix("node")) for path in lists for cpu in parse_cpu_list(kernel_text(path))
    }


def _read_quota(root: Path) -> float | None:
    """The CPU time allowed, in CPUs: the least of this process's cgroup and its ancestors; None without a limit."""
    quotas = [_group_quota(folder) for folder in group_folders(root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def group_folders(root: Path, kind: str = "cpu") -> Iterator[Path]:
    """The folders of this process's cgroups of a kind and all their ancestors, version 1 and 2; not all need exist.

    In a container the path may be the host's, of which only the mount itself exists: the container's own group.
    """
    for line in kernel_text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own = PurePosixPath(path.lstrip("/"))
        if controllers and kind not in controllers.split(","):
            continue
        for mount in {controllers, controllers and kind}:  # version 2 has no name, version 1 "cpu,cpuacct" or "cpu"
            for group in (own, *own.parents):
                yield root / "sys/fs/cgroup" / mount / group


def _group_quota(folder: Path) -> float | None:
    """The CPU time that one cgroup allows, in CPUs; None without a limit ("max" in version 2, -1 in version 1)."""
    limit, period = kernel_text(folder / "cpu.max").split() or (
        kernel_text(folder / "cpu.cfs_quota_us"),
        kernel_text(folder / "cpu.cfs_period_us"),
    )
    return int(limit) / int(period) if limit.isdecimal() and period.isdecimal() else None


def _thread_ids(process: str) -> list[int]:
    """The ids of the threads a process ("self" or a number) has now."""
    return [int(name) for name in os.listdir(f"/proc/{process}/task")]


def _thread_cpus(process: str, tid: int) -> frozenset[int]:
    """The CPUs a thread may run on; none when it has ended."""
    lines = kernel_text(Path(f"/proc/{process}/task/{tid}/status")).splitlines()
    lists = [line.partition(":")[2] for line in lines if line.startswith("Cpus_allowed_list:")]
    return parse_cpu_list(lists[0]) if lists else frozenset()


def kernel_text(path: Path) -> str:
    """The text of a kernel file; "" when it is missing, hidden by a sandbox, or its thread has ended."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
