"""Discrete-event simulation of a pipeline: running steps share the cores and the memory bandwidth of their node."""

from collections import Counter
from collections.abc import Mapping
from heapq import heappop, heappush

from cost.model import Pipeline, SimulationResult, Step


def simulate(pipeline: Pipeline, frames: int, *, edge: int = 0) -> SimulationResult:
    """Simulate `frames` frames; the first and last `edge`, which fill and drain the pipeline, are not measured.

    Raises ValueError where fewer than two frames are left to measure.
    """
    if frames - 2 * edge < 2:
        raise ValueError(f"{frames = } leaves nothing to measure between edges of {edge}")
    run = _Run(pipeline, frames)
    while len(run.finished) <= edge:
        run.advance()
    began = run.now
    run.take_busy_times()  # discards the first edge
    while len(run.finished) < frames - edge:
        run.advance()
    seconds, count = run.now - began, frames - 2 * edge - 1
    busy = run.take_busy_times()
    while len(run.finished) < frames:
        run.advance()
    return _result(pipeline, busy, seconds=seconds, count=count, finished=tuple(run.finished))


class _Run:
    """The state of a simulation.

    An overloaded node slows all of its steps by the same factor. So each node has a virtual clock that runs slower
    under overload, and the virtual end time of a step is known when it starts.
    """

    def __init__(self, pipeline: Pipeline, frames: int) -> None:
        self.now = 0.0
        self.finished: list[int] = []
        self._pipeline, self._frames = pipeline, frames
        self._clocks = dict.fromkeys(("", *pipeline.nodes), 0.0)
        self._due: dict[str, list[tuple[float, int, int]]] = {node: [] for node in self._clocks}
        self._core_demand: Counter[str] = Counter()  # cores, by node
        self._traffic: Counter[str] = Counter()  # GB per second, by node
        self._busy: Counter[tuple[str, str]] = Counter()  # seconds, by kind and name
        self._active: Counter[tuple[str, str]] = Counter()  # frames, by kind and name
        self._since: dict[tuple[str, str], float] = {}
        self._steps: dict[int, tuple[Step, ...]] = {}
        self._routes: dict[int, int] = {}
        self._ready: dict[str, dict[str, list[tuple[int, int]]]] = {}  # heaps by lane and step
        self._in_window: Counter[int] = Counter()  # by window
        self._on_route: Counter[int] = Counter()
        self._next_frame: Counter[str] = Counter()  # the next frame in order, by step outside the routes
        self._enter(0)

    def take_busy_times(self) -> dict[tuple[str, str], float]:
        """Busy seconds of each lane, step, node and memory since the last call."""
        for one in self._active:
            self._add_active(one, 0)
        busy, self._busy = dict(self._busy), Counter()
        return busy

    def advance(self) -> None:
        """Start all steps that can start, and advance to the next end of a step."""
        self._start_all()
        slowdown = {node: self._slowdown(node) for node, due in self._due.items() if due}
        seconds, at = min(((self._due[node][0][0] - self._clocks[node]) * slowdown[node], node) for node in slowdown)
        seconds = max(0.0, seconds)
        self.now += seconds
        self._add_usage(seconds, slowdown)
        for node, by in slowdown.items():
            self._clocks[node] += seconds / by
        due, frame, index = heappop(self._due[at])
        self._clocks[at] = due
        self._finish((frame, index))

    def _slowdown(self, node: str) -> float:
        """The factor by which the total demand on a node lengthens its steps."""
        if not node:
            return 1.0
        capacity = self._pipeline.nodes[node]
        return max(1.0, self._core_demand[node] / capacity.cores, self._traffic[node] / capacity.bandwidth_gb_s)

    def _step(self, key: tuple[int, int]) -> Step:
        return self._steps[key[0]][key[1]]

    def _enter(self, frame: int) -> None:
        """Put a frame at the start of the pipeline; its route is chosen on arrival there."""
        if frame < self._frames:
            self._steps[frame] = self._pipeline.before
            self._enqueue((frame, 0))

    def _enqueue(self, key: tuple[int, int]) -> None:
        step = self._step(key)
        heappush(self._ready.setdefault(step.lane, {}).setdefault(step.name, []), key)

    def _start_all(self) -> None:
        """Start steps in every lane until none can start; one start may enable another."""
        started = True
        while started:
            started = any(self._start_in_lane(lane) for lane in self._ready)

    def _start_in_lane(self, lane: str) -> bool:
        """Start the oldest frame of the lane that can start; False where there is none."""
        if self._active["lane", lane] >= self._pipeline.servers.get(lane, 1):
            return False
        waiting = self._ready[lane].values()  # if the oldest frame of a step cannot start, none can
        startable = min((heap for heap in waiting if heap and self._may_start(heap[0])), default=None)
        if startable:
            self._start(heappop(startable))
        return startable is not None

    def _may_start(self, key: tuple[int, int]) -> bool:
        name = self._step(key).name
        in_turn = self._is_on_route(key) or self._next_frame[name] == key[0]
        full = (self._in_window[i] >= w.size for i, w in enumerate(self._pipeline.windows) if w.first == name)
        return in_turn and not any(full)

    def _is_on_route(self, key: tuple[int, int]) -> bool:
        after = len(self._steps[key[0]]) - len(self._pipeline.after)
        return len(self._pipeline.before) <= key[1] < after

    def _start(self, key: tuple[int, int]) -> None:
        step = self._step(key)
        name = step.name
        self._allocate(key, 1)
        heappush(self._due[step.node], (self._clocks[step.node] + step.seconds, *key))
        if not self._is_on_route(key):
            self._next_frame[name] += 1
        for number, window in enumerate(self._pipeline.windows):
            self._in_window[number] += window.first == name
        if key[1] == 0:
            self._enter(key[0] + 1)

    def _allocate(self, key: tuple[int, int], sign: int) -> None:
        """Add a step's demand to its node, or with -1 remove it."""
        step = self._step(key)
        self._core_demand[step.node] += sign * step.cores
        self._traffic[step.node] += sign * step.traffic_gb / step.seconds if step.seconds else 0.0
        self._add_active(("lane", step.lane), sign)
        self._add_active(("step", step.name), sign)

    def _add_active(self, one: tuple[str, str], by: int) -> None:
        self._busy[one] += self._active[one] * (self.now - self._since.get(one, 0.0))
        self._since[one] = self.now
        self._active[one] += by

    def _add_usage(self, seconds: float, slowdown: dict[str, float]) -> None:
        for node, by in slowdown.items():
            self._busy["cores", node] += self._core_demand[node] / by * seconds
            self._busy["memory", node] += self._traffic[node] / by * seconds

    def _finish(self, key: tuple[int, int]) -> None:
        self._allocate(key, -1)
        frame, index = key
        step = self._step(key)
        for number, window in enumerate(self._pipeline.windows):
            self._in_window[number] -= window.last == step.name
        if index + 1 == len(self._pipeline.before):
            self._choose_route(frame)
        if frame in self._routes and index + 1 == len(self._steps[frame]) - len(self._pipeline.after):
            self._on_route[self._routes[frame]] -= 1
        if index + 1 < len(self._steps[frame]):
            self._enqueue((frame, index + 1))
        else:
            self.finished.append(frame)

    def _choose_route(self, frame: int) -> None:
        routes = self._pipeline.routes
        number = min(range(len(routes)), key=lambda i: (self._on_route[i] + 1) / routes[i].capacity)
        self._routes[frame] = number
        self._on_route[number] += 1
        self._steps[frame] = (*self._pipeline.before, *routes[number].steps, *self._pipeline.after)


def _result(
    pipeline: Pipeline, busy: Mapping[tuple[str, str], float], *, seconds: float, count: int, finished: tuple[int, ...]
) -> SimulationResult:
    def of(kind: str) -> dict[str, float]:
        return {name: spent for (what, name), spent in busy.items() if what == kind and name}

    return SimulationResult(
        fps=count / seconds,
        finished=finished,
        lanes={name: spent / seconds / pipeline.servers.get(name, 1) for name, spent in of("lane").items()},
        steps={name: spent / count for name, spent in of("step").items()},
        cores={name: spent / seconds / pipeline.nodes[name].cores for name, spent in of("cores").items()},
        memory={name: spent / seconds / pipeline.nodes[name].bandwidth_gb_s for name, spent in of("memory").items()},
    )
