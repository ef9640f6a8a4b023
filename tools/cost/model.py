"""A pipeline as data: the steps of each frame, their lanes and nodes, and limits on frames in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation on each frame."""

    name: str
    lane: str
    """The thread or workers that execute it; steps of one lane wait for each other."""
    seconds: float
    """The duration on an idle machine."""
    node: str = ""
    """The node whose cores and memory it uses; "": none, as for a network transfer."""
    cores: float = 1.0
    """Busy during the step."""
    traffic_gb: float = 0.0
    """Memory traffic on its node."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One of several alternative sequences of steps, and how many frames it takes at a time."""

    steps: tuple[Step, ...]
    capacity: int = 1


@dataclass(frozen=True, kw_only=True)
class Window:
    """At most `size` frames are between the start of step `first` and the end of step `last`."""

    first: str
    last: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """The resources that all steps on one computer share."""

    cores: float
    bandwidth_gb_s: float = inf


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Each frame takes the steps `before`, the route with the most free capacity, and the steps `after`, in order."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    nodes: Mapping[str, Node]
    routes: tuple[Route, ...] = (Route(steps=()),)
    servers: Mapping[str, int] = field(default_factory=dict)
    """Frames that a lane serves at a time, by lane; the default is 1."""
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """The result of a simulation without its edges."""

    fps: float
    finished: tuple[int, ...]
    """The frames in order of completion."""
    lanes: Mapping[str, float]
    """Utilisation of each lane, over all its servers."""
    steps: Mapping[str, float]
    """Seconds per frame of each step, including slowdown by busy cores and memory."""
    cores: Mapping[str, float]
    """Utilisation of each node's cores."""
    memory: Mapping[str, float]
    """Utilisation of each node's memory bandwidth."""
