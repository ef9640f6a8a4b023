"""Which ways there are to share the cores between workers and their threads."""

from dataclasses import replace

from vidsr.cpu_affinity import MAX_WORKERS
from vidsr.settings import PoolSettings


def sensible_plans(cores: int, pool: PoolSettings) -> list[PoolSettings]:
    """The same settings with different workers and threads: without Ray, and with as many workers as go well.

    Encoding takes cores, too, so that one worker less than there are cores may do as well as all.
    """
    counts = {1, cores - 1, cores, *(2**power for power in range(cores.bit_length()))}
    shares = [(0, threads) for threads in sorted({1, max(1, cores // 2), cores})]
    for workers in sorted(counts & set(range(1, min(cores, MAX_WORKERS) + 1))):
        shares += [(workers, threads) for threads in sorted({1, cores // workers})]
    return [replace(pool, workers=workers, threads=threads) for workers, threads in shares]
