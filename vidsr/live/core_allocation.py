"""The division of the CPUs among the cameras."""

from collections.abc import Sequence
from itertools import islice

from vidsr.cpu import Machine


def share_cores(machine: Machine, cameras: int) -> tuple[frozenset[int], ...]:
    """The CPUs of each camera: whole physical cores with their siblings, in even runs.

    Runs follow the NUMA nodes, so that few cameras span two. With fewer cores than cameras, or under a CPU quota below
    the number of cores, every camera gets all CPUs: otherwise cameras with a core of their own would get more than
    those that share one.
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
