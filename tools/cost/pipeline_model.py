"""vidsr's pipeline as a model with measured costs: on this machine, a larger one, or several."""

from dataclasses import dataclass, replace
from math import ceil

from cost.model import Node, Pipeline, Route, Step, Window

FRAMES_AHEAD, FRAMES_BEHIND = 4, 3  # of vidsr.pipeline
PLANES_PER_WORKER, MAX_ENGINES = 2, 4  # as in vidsr.pool
_MAX_DECODERS = 16  # FFmpeg's own limit
_ROWS_PER_CODER = 32  # x264 limits its threads to the height divided by this
_CODERS_PER_LOOKAHEAD, _ROWS_PER_LOOKAHEAD, _MAX_LOOKAHEADS = 3, 128, 16  # x264's lookahead threads, veryfast
_LOOKAHEAD = 20  # frames that wait in x264 at veryfast
_DRIVER_S = 0.0007
"""What the driver does per frame of a run by segments: it reads, sends, receives, joins and writes packets. Measured
at 640x360 with a prototype; it does not grow with the frame."""
_PACKET_GB = 60e-6  # per frame to a worker and back, at 1280x720 to 2560x1440


@dataclass(frozen=True, kw_only=True)
class StageCosts:
    """The costs of one frame of one size, in core seconds unless stated otherwise."""

    decode_call: float
    decode_threads: float
    engine: float
    engine_serial: float
    """The serial share of the engine's time, in Amdahl's law."""
    send: float
    give_back: float
    """A worker's time to store its result in Ray."""
    receive: float
    merge: float
    encode_call: float
    encode_lookahead: float
    encode_threads: float
    """x264: the calling thread, the lookahead, and the encoder threads."""
    in_gb: float
    out_gb: float
    engine_gb: float
    """The upper limit of the engine's memory traffic: every feature map written and read once."""
    rows_out: int


@dataclass(frozen=True, kw_only=True)
class NetworkLink:
    """The network between two computers."""

    gb_s: float
    latency_s: float


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The computers, and the workers and threads on them."""

    cores: float
    """Of each node."""
    workers: int
    """On all nodes, the same number on each; 0: the main process upscales."""
    threads: int
    """Of each worker, or of the main process."""
    nodes: int = 1
    bandwidth_gb_s: float = float("inf")
    """Of each node's memory."""
    network: NetworkLink = NetworkLink(gb_s=1.25, latency_s=0.0002)
    segments: bool = False
    """Whether workers, of one thread each, decode, upscale and encode whole segments."""
    planned_cores: int | None = None
    """The number of cores that decoder and encoder set their threads by; None: `cores`."""


def build_pipeline(costs: StageCosts, setup: Setup) -> Pipeline:
    """The model. Raises ValueError where the workers are not divisible by the nodes."""
    if setup.workers % setup.nodes:
        raise ValueError(f"{setup.workers} workers are not divisible by {setup.nodes} nodes")
    if setup.segments:
        return _segment_pipeline(costs, setup)
    cores = setup.planned_cores or int(setup.cores)
    coders, decoders = _coders(costs, cores), min(cores + 1, _MAX_DECODERS)
    decode = (
        _step("decoder threads", "decoder threads", costs.decode_threads, gb=3 * costs.in_gb),
        _step("decode", "reader", costs.decode_call),
    )
    merge = _step("merge", "writer", costs.merge, gb=2 * costs.out_gb)
    before, routes, back = _worker_middle(costs, setup) if setup.workers else _local_middle(costs, setup)
    servers = {_workers_lane(node): max(setup.workers // setup.nodes, _engines(setup)) for node in range(setup.nodes)}
    return Pipeline(
        before=(*decode, *before),
        routes=routes,
        after=(*back, merge, *_coding(costs, coders)),
        nodes={
            _node_name(n): Node(cores=setup.cores, bandwidth_gb_s=setup.bandwidth_gb_s) for n in range(setup.nodes)
        },
        servers={"decoder threads": decoders, "coder threads": coders, **servers},
        windows=(
            Window(first="decoder threads", last="decode", size=decoders),
            Window(first="decode", last=before[0].name, size=FRAMES_AHEAD + 1),
            Window(first="encode", last="coder threads", size=coders + _LOOKAHEAD),
            Window(first="receive", last="encode", size=FRAMES_BEHIND),
            Window(first="send", last="receive", size=(setup.workers or _engines(setup)) * PLANES_PER_WORKER),
        ),
    )


def _segment_pipeline(costs: StageCosts, setup: Setup) -> Pipeline:
    """Frames as they flow through many segments at once: each core does all of the work on its own frames."""
    routes = []
    for node in range(setup.nodes):
        work = Step(
            name="segment",
            lane=_workers_lane(node),
            seconds=segment_time_s(costs),
            node=_node_name(node),
            traffic_gb=costs.engine_gb + 3 * costs.in_gb + 8 * costs.out_gb,
        )
        away = _transfer("packets", "network", _PACKET_GB, NetworkLink(gb_s=setup.network.gb_s, latency_s=0.0))
        capacity = setup.workers // setup.nodes
        routes.append(Route(steps=(away, work) if node else (work,), capacity=capacity))
    return Pipeline(
        before=(_step("plan", "driver", _DRIVER_S / 2),),
        routes=tuple(routes),
        after=(_step("join", "driver", _DRIVER_S / 2),),
        nodes={
            _node_name(n): Node(cores=setup.cores, bandwidth_gb_s=setup.bandwidth_gb_s) for n in range(setup.nodes)
        },
        servers={_workers_lane(node): setup.workers // setup.nodes for node in range(setup.nodes)},
        windows=(Window(first="plan", last="join", size=2 * setup.workers),),
    )


def segment_time_s(costs: StageCosts) -> float:
    """The core time of a frame in a worker that decodes, upscales, merges and encodes it with one thread."""
    encode = costs.encode_call + costs.encode_lookahead + costs.encode_threads
    return costs.decode_call + costs.decode_threads + costs.engine + costs.merge + encode


def _coders(costs: StageCosts, cores: int) -> int:
    """The number of frames that x264 encodes in parallel."""
    return max(1, min(ceil(1.5 * cores), costs.rows_out // _ROWS_PER_CODER))


def _coding(costs: StageCosts, coders: int) -> tuple[Step, ...]:
    """The calling thread hands over the frame, the lookahead is serial, and several frames are encoded in parallel."""
    limit = min(coders // _CODERS_PER_LOOKAHEAD, costs.rows_out // _ROWS_PER_LOOKAHEAD, _MAX_LOOKAHEADS)
    lookaheads = max(1, limit)
    lookahead = _step("lookahead", "lookahead", costs.encode_lookahead / lookaheads, gb=costs.out_gb)
    return (
        _step("encode", "writer", costs.encode_call, gb=2 * costs.out_gb),
        replace(lookahead, cores=lookaheads),
        _step("coder threads", "coder threads", costs.encode_threads, gb=4 * costs.out_gb),
    )


def engine_time_s(costs: StageCosts, threads: int) -> float:
    """The engine's time with `threads` threads, by Amdahl's law."""
    return costs.engine * (costs.engine_serial + (1 - costs.engine_serial) / threads)


_Middle = tuple[tuple[Step, ...], tuple[Route, ...], tuple[Step, ...]]


def _engines(setup: Setup) -> int:
    """The number of engines of the main process."""
    return 0 if setup.workers else min(setup.threads, MAX_ENGINES)


def _local_middle(costs: StageCosts, setup: Setup) -> _Middle:
    """Engines in threads of the main process; sending and receiving planes costs nothing."""
    engine = replace(_engine(costs, setup.threads // _engines(setup), node=0), lane=_workers_lane(0))
    return (_step("send", "main thread", 0.0),), (Route(steps=(engine,)),), (_step("receive", "main thread", 0.0),)


def _worker_middle(costs: StageCosts, setup: Setup) -> _Middle:
    """Sending to the workers, a route per node, and receiving.

    Ray sends a plane to its worker in the background, but fetches a result from another node only on demand: that
    time is spent by the main thread.
    """
    routes = []
    for node in range(setup.nodes):
        engine = _engine(costs, setup.threads, node=node)
        engine = replace(engine, seconds=engine.seconds + costs.give_back, lane=_workers_lane(node))
        away = _transfer("to a node", "network", costs.in_gb, setup.network)
        back = _transfer("from a node", "main thread", costs.out_gb, setup.network)
        routes.append(Route(steps=(away, engine, back) if node else (engine,), capacity=setup.workers // setup.nodes))
    send = _step("send", "main thread", costs.send, gb=2 * costs.in_gb)
    return (send,), tuple(routes), (_step("receive", "main thread", costs.receive),)


def _engine(costs: StageCosts, threads: int, *, node: int) -> Step:
    seconds = engine_time_s(costs, threads)
    cores = costs.engine / seconds
    return Step(
        name="engine", lane="", seconds=seconds, node=_node_name(node), cores=cores, traffic_gb=costs.engine_gb
    )  # fmt: skip


def _transfer(name: str, lane: str, size_gb: float, network: NetworkLink) -> Step:
    return Step(name=name, lane=lane, seconds=network.latency_s + size_gb / network.gb_s)


def _step(name: str, lane: str, seconds: float, *, gb: float = 0.0) -> Step:
    return Step(name=name, lane=lane, seconds=seconds, node=_node_name(0), traffic_gb=gb)


def _node_name(node: int) -> str:
    return f"node {node}"


def _workers_lane(node: int) -> str:
    return f"workers of node {node}" if node else "workers"
