"""How long a process has had next to no CPU time, since others use all of it."""

from dataclasses import dataclass

_LEAST_SHARE = 0.05
"""Of a core: beside one busy process, what runs at the priority of idle processes gets 0.3 to 1.5 %."""


@dataclass(kw_only=True)
class CpuWait:
    """The wait of one that is to work; times are of the monotonic clock."""

    since: float | None = None
    """When it last had CPU time, or was first to work; None while there is no work."""
    _cpu_s: float = 0.0

    def update(self, cpu_s: float | None, now: float) -> float:
        """The seconds for which it has waited; `cpu_s` is the CPU time of its process, 0 without one.

        None stands for no work: it does not wait.
        """
        if cpu_s is None:
            self.since = None
            return 0.0
        if self.since is None or cpu_s - self._cpu_s > _LEAST_SHARE * (now - self.since):
            self.since, self._cpu_s = now, cpu_s
        self._cpu_s = min(self._cpu_s, cpu_s)  # another process has begun
        return now - self.since
