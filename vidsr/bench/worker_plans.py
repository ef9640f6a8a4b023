"""Plans: numbers of workers and threads to benchmark."""

from dataclasses import replace

from vidsr.cpu_affinity import MAX_WORKERS
from vidsr.settings import PoolSettings


def candidate_plans(cores: int, pool: PoolSettings) -> list[PoolSettings]:
    """The settings with different numbers of workers and threads, and without Ray; none uses more than `cores`.

    One worker fewer than cores is among them, because the encoder needs cores, too.
    """
    counts = {1, cores - 1, cores, *(2**power for power in range(cores.bit_length()))}
    shares = [(0, threads) for threads in sorted({1, max(1, cores // 2), cores})]
    for workers in sorted(counts & set(range(1, min(cores, MAX_WORKERS) + 1))):
        shares += [(workers, threads) for threads in sorted({1, cores // workers})]
    return [replace(pool, workers=workers, threads=threads) for workers, threads in shares]
