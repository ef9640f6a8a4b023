"""vidsr's pipeline as a line of stages, made of measured costs: on this machine, a larger one, or several."""

from dataclasses import dataclass, replace
from math import ceil

from cost.model import Line, Node, Route, Step, Window

FRAMES_AHEAD, FRAMES_BEHIND = 4, 3  # of vidsr.pipeline
PLANES_AT_A_WORKER, MOST_ENGINES = 2, 4  # vidsr.pool.DEPTH, pool.here.MOST_ENGINES
_MOST_DECODERS = 16  # FFmpeg starts no more threads by itself
_ROWS_A_CODER = 32  # x264 takes no more threads than go into the height so
_CODERS_A_LOOKER, _ROWS_A_LOOKER, _MOST_LOOKERS = 3, 128, 16  # x264's threads that look ahead, at veryfast
_LOOKAHEAD = 20  # pictures that wait in x264 at veryfast


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one frame of one size costs, in seconds of one core where nothing else is said."""

    decode_call: float
    decode_threads: float
    engine: float
    engine_serial: float
    """The share of the engine's time that more threads do not shorten."""
    send: float
    give_back: float
    """What a worker takes to put its result where it can be fetched."""
    receive: float
    merge: float
    encode_call: float
    encode_lookahead: float
    encode_threads: float
    """x264: its caller's work, what decides on the pictures to come, and that of its threads."""
    in_gb: float
    out_gb: float
    engine_gb: float
    """What the engine moves at the most: every map of every layer written and read once."""
    rows_out: int


@dataclass(frozen=True, kw_only=True)
class Network:
    """What lies between two computers."""

    gb_s: float
    latency_s: float


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The computers and how they are used."""

    cores: float
    """Of each node."""
    workers: int
    """Over all nodes, the same number on each; 0 enlarges in threads of the main process."""
    threads: int
    """Of each worker, or of the main process."""
    nodes: int = 1
    bandwidth_gb_s: float = float("inf")
    """Of each node's memory."""
    network: Network = Network(gb_s=1.25, latency_s=0.0002)
    planned_cores: int | None = None
    """What decoder and encoder count their threads by; None: `cores`."""


def pipeline(costs: Costs, setup: Setup) -> Line:
    """The line of stages. Raises ValueError where the workers cannot be dealt out evenly."""
    if setup.workers % setup.nodes:
        raise ValueError(f"{setup.workers} workers are no whole number on each of {setup.nodes} nodes")
    cores = setup.planned_cores or int(setup.cores)
    coders, decoders = _coders(costs, cores), min(cores + 1, _MOST_DECODERS)
    decode = (
        _step("decoder threads", "decoder threads", costs.decode_threads, gb=3 * costs.in_gb),
        _step("decode", "reader", costs.decode_call),
    )
    merge = _step("merge", "writer", costs.merge, gb=2 * costs.out_gb)
    before, routes, back = _with_workers(costs, setup) if setup.workers else _without(costs, setup)
    places = {_crew(node): max(setup.workers // setup.nodes, _engines(setup)) for node in range(setup.nodes)}
    return Line(
        before=(*decode, *before),
        routes=routes,
        after=(*back, merge, *_coding(costs, coders)),
        nodes={_place(n): Node(cores=setup.cores, bandwidth_gb_s=setup.bandwidth_gb_s) for n in range(setup.nodes)},
        servers={"decoder threads": decoders, "coder threads": coders, **places},
        windows=(
            Window(first="decoder threads", last="decode", size=decoders),
            Window(first="decode", last=before[0].name, size=FRAMES_AHEAD + 1),
            Window(first="encode", last="coder threads", size=coders + _LOOKAHEAD),
            Window(first="receive", last="encode", size=FRAMES_BEHIND),
            Window(first="send", last="receive", size=(setup.workers or _engines(setup)) * PLANES_AT_A_WORKER),
        ),
    )


def _coders(costs: Costs, cores: int) -> int:
    """The pictures that x264 works at side by side."""
    return max(1, min(ceil(1.5 * cores), costs.rows_out // _ROWS_A_CODER))


def _coding(costs: Costs, coders: int) -> tuple[Step, ...]:
    """The caller leaves the picture, all pictures are looked at in turn, and several are coded side by side."""
    most = min(coders // _CODERS_A_LOOKER, costs.rows_out // _ROWS_A_LOOKER, _MOST_LOOKERS)
    lookers = max(1, most)
    lookahead = _step("lookahead", "lookahead", costs.encode_lookahead / lookers, gb=costs.out_gb)
    return (
        _step("encode", "writer", costs.encode_call, gb=2 * costs.out_gb),
        replace(lookahead, cores=lookers),
        _step("coder threads", "coder threads", costs.encode_threads, gb=4 * costs.out_gb),
    )


def engine_seconds(costs: Costs, threads: int) -> float:
    """The engine's time with so many threads, by Amdahl's law."""
    return costs.engine * (costs.engine_serial + (1 - costs.engine_serial) / threads)


_Middle = tuple[tuple[Step, ...], tuple[Route, ...], tuple[Step, ...]]


def _engines(setup: Setup) -> int:
    """How many engines the main process has."""
    return 0 if setup.workers else min(setup.threads, MOST_ENGINES)


def _without(costs: Costs, setup: Setup) -> _Middle:
    """Engines in threads of the main process, which gives and takes planes for nothing."""
    engine = replace(_engine(costs, setup.threads // _engines(setup), node=0), lane=_crew(0))
    return (_step("send", "main thread", 0.0),), (Route(steps=(engine,)),), (_step("receive", "main thread", 0.0),)


def _with_workers(costs: Costs, setup: Setup) -> _Middle:
    """The way to the workers, those of each node, and the way back.

    Ray sends a plane ahead to its worker, but fetches a result from another node only when it is waited for: that
    time is the main thread's.
    """
    routes = []
    for node in range(setup.nodes):
        engine = _engine(costs, setup.threads, node=node)
        engine = replace(engine, seconds=engine.seconds + costs.give_back, lane=_crew(node))
        away = _transfer("to a node", "network", costs.in_gb, setup.network)
        back = _transfer("from a node", "main thread", costs.out_gb, setup.network)
        routes.append(Route(steps=(away, engine, back) if node else (engine,), places=setup.workers // setup.nodes))
    send = _step("send", "main thread", costs.send, gb=2 * costs.in_gb)
    return (send,), tuple(routes), (_step("receive", "main thread", costs.receive),)


def _engine(costs: Costs, threads: int, *, node: int) -> Step:
    seconds = engine_seconds(costs, threads)
    cores = costs.engine / seconds
    return Step(
        name="engine", lane="", seconds=seconds, node=_place(node), cores=cores, traffic_gb=costs.engine_gb
    )  # fmt: skip


def _transfer(name: str, lane: str, size_gb: float, network: Network) -> Step:
    return Step(name=name, lane=lane, seconds=network.latency_s + size_gb / network.gb_s)


def _step(name: str, lane: str, seconds: float, *, gb: float = 0.0) -> Step:
    return Step(name=name, lane=lane, seconds=seconds, node=_place(0), traffic_gb=gb)


def _place(node: int) -> str:
    return f"node {node}"


def _crew(node: int) -> str:
    return f"workers of node {node}" if node else "workers"
