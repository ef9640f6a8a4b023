"""A line of stages as data: who does what to each frame, where, and how much may be under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is done to each frame."""

    name: str
    lane: str
    """Who does it: steps of one lane wait for each other."""
    seconds: float
    """How long it takes where nothing else is going on."""
    node: str = ""
    """Whose cores and memory it takes; "": nobody's, as a wire or a wait."""
    cores: float = 1.0
    """Kept busy meanwhile."""
    traffic_gb: float = 0.0
    """What it moves through the memory of its node."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One of several ways to go, and for how many frames at a time it is made."""

    steps: tuple[Step, ...]
    places: int = 1


@dataclass(frozen=True, kw_only=True)
class Window:
    """At most `size` frames have begun the step `first` and not ended the step `last`."""

    first: str
    last: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Node:
    """What the steps of one computer share."""

    cores: float
    bandwidth_gb_s: float = inf


@dataclass(frozen=True, kw_only=True)
class Line:
    """Every frame takes the steps `before` in order, the route with the most room, and the steps `after` in order."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    nodes: Mapping[str, Node]
    routes: tuple[Route, ...] = (Route(steps=()),)
    servers: Mapping[str, int] = field(default_factory=dict)
    """How many frames a lane serves at a time, where that is not one."""
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a simulation, over its steady middle."""

    fps: float
    finished: tuple[int, ...]
    """The frames in the order in which they were done."""
    lanes: Mapping[str, float]
    """The share of its time that a lane was busy, of all its servers."""
    steps: Mapping[str, float]
    """The seconds a frame that a step took, waits for cores and memory included."""
    cores: Mapping[str, float]
    """The share of a node's cores that was busy."""
    memory: Mapping[str, float]
    """The share of a node's memory bandwidth that was taken."""
