"""Which cores each camera gets: its own where there are enough, else the same for all, which the kernel shares out."""

from collections.abc import Sequence
from itertools import islice

from vidsr.cpu_affinity import Machine


def share_cores(machine: Machine, cameras: int) -> tuple[frozenset[int], ...]:
    """The CPUs of each camera, whole physical cores, siblings included, in runs as even as can be.

    Runs go from node to node, the CPUs of one node side by side, so that few cameras lie on two. With fewer cores than
    cameras, or under a quota that leaves less than the cores, each has all of them: where some had a core alone and
    others shared one, some would get twice as much.
    """
    cores = _cores(machine)
    scarce = machine.quota is not None and machine.quota < len(cores)
    if cameras > len(cores) or scarce:
        return (machine.cpus,) * cameras
    each, more = divmod(len(cores), cameras)
    left = iter(cores)
    return tuple(frozenset().union(*islice(left, each + (number < more))) for number in range(cameras))


def _cores(machine: Machine) -> Sequence[frozenset[int]]:
    """The CPUs of each physical core, by node."""
    cores: dict[tuple[int, tuple[int, int]], set[int]] = {}
    for cpu in sorted(machine.cpus, key=lambda cpu: (machine.node_of[cpu], cpu)):
        cores.setdefault((machine.node_of[cpu], machine.core_of[cpu]), set()).add(cpu)
    return [frozenset(cpus) for cpus in cores.values()]
