"""The simulation: from event to event, every step under way gets on as fast as the cores and the memory let it."""

from collections import Counter
from collections.abc import Mapping
from heapq import heappop, heappush

from cost.model import Line, Outcome, Step


def simulate(line: Line, frames: int, *, edge: int = 0) -> Outcome:
    """What comes of so many frames; the first and last `edge` of them fill and drain the line and do not count.

    Raises ValueError where too few are left to count.
    """
    if frames - 2 * edge < 2:
        raise ValueError(f"{frames = } leaves nothing between two edges of {edge}")
    run = _Run(line, frames)
    while len(run.finished) <= edge:
        run.to_next_event()
    began = run.now
    run.counted()  # what was until here
    while len(run.finished) < frames - edge:
        run.to_next_event()
    seconds, count = run.now - began, frames - 2 * edge - 1
    busy = run.counted()
    while len(run.finished) < frames:
        run.to_next_event()
    return _outcome(line, busy, seconds=seconds, count=count, finished=tuple(run.finished))


class _Run:
    """Frames on their way.

    What a node has too little of slows all of its steps alike. So each node has a clock of its own, which then goes
    more slowly, and by which it is known from the beginning when a step ends.
    """

    def __init__(self, line: Line, frames: int) -> None:
        self.now = 0.0
        self.finished: list[int] = []
        self._line, self._frames = line, frames
        self._clocks = dict.fromkeys(("", *line.nodes), 0.0)
        self._due: dict[str, list[tuple[float, int, int]]] = {node: [] for node in self._clocks}
        self._asked: Counter[str] = Counter()  # cores, by node
        self._moved: Counter[str] = Counter()  # GB a second, by node
        self._busy: Counter[tuple[str, str]] = Counter()  # seconds, by kind and name
        self._active: Counter[tuple[str, str]] = Counter()  # how many frames, by kind and name
        self._since: dict[tuple[str, str], float] = {}
        self._ways: dict[int, tuple[Step, ...]] = {}
        self._routes: dict[int, int] = {}
        self._ready: dict[str, dict[str, list[tuple[int, int]]]] = {}  # heaps by lane and step
        self._inside: Counter[int] = Counter()  # by window
        self._on_route: Counter[int] = Counter()
        self._turn: Counter[str] = Counter()  # the frame whose turn it is, by step off the routes
        self._enter(0)

    def counted(self) -> dict[tuple[str, str], float]:
        """How long each lane, step, node and memory was busy since this was last asked."""
        for one in self._active:
            self._change(one, 0)
        busy, self._busy = dict(self._busy), Counter()
        return busy

    def to_next_event(self) -> None:
        """Begin what can begin, and go on to where the next step ends."""
        self._begin()
        slow = {node: self._slow(node) for node, due in self._due.items() if due}
        seconds, at = min(((self._due[node][0][0] - self._clocks[node]) * slow[node], node) for node in slow)
        seconds = max(0.0, seconds)
        self.now += seconds
        self._note(seconds, slow)
        for node, by in slow.items():
            self._clocks[node] += seconds / by
        due, frame, place = heappop(self._due[at])
        self._clocks[at] = due
        self._end((frame, place))

    def _slow(self, node: str) -> float:
        """How many times as long a step takes, for what is asked of the node in all."""
        if not node:
            return 1.0
        has = self._line.nodes[node]
        return max(1.0, self._asked[node] / has.cores, self._moved[node] / has.bandwidth_gb_s)

    def _step(self, key: tuple[int, int]) -> Step:
        return self._ways[key[0]][key[1]]

    def _enter(self, frame: int) -> None:
        """The frame at the beginning of the line; its route is chosen when it comes to it."""
        if frame < self._frames:
            self._ways[frame] = self._line.before
            self._arrive((frame, 0))

    def _arrive(self, key: tuple[int, int]) -> None:
        step = self._step(key)
        heappush(self._ready.setdefault(step.lane, {}).setdefault(step.name, []), key)

    def _begin(self) -> None:
        """Let every lane begin what it may; what begins may let another begin."""
        begun = True
        while begun:
            begun = any(self._begin_in(lane) for lane in self._ready)

    def _begin_in(self, lane: str) -> bool:
        """Let the lane begin with the oldest frame that may; whether there was one."""
        if self._active["lane", lane] >= self._line.servers.get(lane, 1):
            return False
        waiting = self._ready[lane].values()  # of a step the oldest may, or none may
        may = min((heap for heap in waiting if heap and self._may(heap[0])), default=None)
        if may:
            self._serve(heappop(may))
        return may is not None

    def _may(self, key: tuple[int, int]) -> bool:
        name = self._step(key).name
        in_turn = self._routed(key) or self._turn[name] == key[0]
        full = (self._inside[i] >= w.size for i, w in enumerate(self._line.windows) if w.first == name)
        return in_turn and not any(full)

    def _routed(self, key: tuple[int, int]) -> bool:
        after = len(self._ways[key[0]]) - len(self._line.after)
        return len(self._line.before) <= key[1] < after

    def _serve(self, key: tuple[int, int]) -> None:
        step = self._step(key)
        name = step.name
        self._take(key, 1)
        heappush(self._due[step.node], (self._clocks[step.node] + step.seconds, *key))
        if not self._routed(key):
            self._turn[name] += 1
        for number, window in enumerate(self._line.windows):
            self._inside[number] += window.first == name
        if key[1] == 0:
            self._enter(key[0] + 1)

    def _take(self, key: tuple[int, int], sign: int) -> None:
        """What a step asks of its node, or with -1 gives back."""
        step = self._step(key)
        self._asked[step.node] += sign * step.cores
        self._moved[step.node] += sign * step.traffic_gb / step.seconds if step.seconds else 0.0
        self._change(("lane", step.lane), sign)
        self._change(("step", step.name), sign)

    def _change(self, one: tuple[str, str], by: int) -> None:
        self._busy[one] += self._active[one] * (self.now - self._since.get(one, 0.0))
        self._since[one] = self.now
        self._active[one] += by

    def _note(self, seconds: float, slow: dict[str, float]) -> None:
        for node, by in slow.items():
            self._busy["cores", node] += self._asked[node] / by * seconds
            self._busy["memory", node] += self._moved[node] / by * seconds

    def _end(self, key: tuple[int, int]) -> None:
        self._take(key, -1)
        frame, place = key
        step = self._step(key)
        for number, window in enumerate(self._line.windows):
            self._inside[number] -= window.last == step.name
        if place + 1 == len(self._line.before):
            self._choose(frame)
        if frame in self._routes and place + 1 == len(self._ways[frame]) - len(self._line.after):
            self._on_route[self._routes[frame]] -= 1
        if place + 1 < len(self._ways[frame]):
            self._arrive((frame, place + 1))
        else:
            self.finished.append(frame)

    def _choose(self, frame: int) -> None:
        routes = self._line.routes
        number = min(range(len(routes)), key=lambda i: (self._on_route[i] + 1) / routes[i].places)
        self._routes[frame] = number
        self._on_route[number] += 1
        self._ways[frame] = (*self._line.before, *routes[number].steps, *self._line.after)


def _outcome(
    line: Line, busy: Mapping[tuple[str, str], float], *, seconds: float, count: int, finished: tuple[int, ...]
) -> Outcome:
    def of(kind: str) -> dict[str, float]:
        return {name: spent for (what, name), spent in busy.items() if what == kind and name}

    return Outcome(
        fps=count / seconds,
        finished=finished,
        lanes={name: spent / seconds / line.servers.get(name, 1) for name, spent in of("lane").items()},
        steps={name: spent / count for name, spent in of("step").items()},
        cores={name: spent / seconds / line.nodes[name].cores for name, spent in of("cores").items()},
        memory={name: spent / seconds / line.nodes[name].bandwidth_gb_s for name, spent in of("memory").items()},
    )
