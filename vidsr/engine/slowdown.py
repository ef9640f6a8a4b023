"""How much longer one network takes than another on this machine: measured once, and kept with what was tuned."""

import logging
import math
from functools import partial
from statistics import median

from vidsr.engine import Engine
from vidsr.engine.autotune import noise_plane, run_ms
from vidsr.engine.autotune_cache import save_tuning, tuned_network
from vidsr.engine.precision import accurate_precisions
from vidsr.model.weights import Weights

log = logging.getLogger(__name__)

_SIZE = 640, 360
_ROUNDS = 5
Times = dict[str, float]
"""Milliseconds per frame by precision; infinite where all graphs are wrong."""


def slowdown(heavy: Weights, usual: Weights, *, threads: int) -> float:
    """The time of `heavy` in that of `usual`, each in the fastest of the precisions that lose little.

    Times that `vidsr tune` or an earlier call measured for this number of threads are taken. Else all are measured in
    turn,
    on frames of 640x360, and kept if the file can be written.
    """
    known = [_known(weights, threads) for weights in (heavy, usual)]
    one, other = known if all(known) else _measured((heavy, usual), threads)
    return min(one.values()) / min(other.values())


def _known(weights: Weights, threads: int) -> Times:
    """The times of the precisions that lose little; empty where one is not known."""
    tuned = tuned_network(weights.architecture, threads=threads).ms
    wanted = accurate_precisions(weights)
    return {name: tuned[name] for name in wanted} if tuned.keys() >= {*wanted} else {}


def _measured(networks: tuple[Weights, Weights], threads: int) -> list[Times]:
    plane = noise_plane(_SIZE)
    engines = [
        {name: Engine(weights, threads=threads, precision=name) for name in accurate_precisions(weights)}
        for weights in networks
    ]
    runs, times = {}, [dict.fromkeys(own, math.inf) for own in engines]
    for number, own in enumerate(engines):
        for name, engine in own.items():
            engine(plane)  # compiles
            if engine.precision == name:  # else another one is used in its place
                runs[number, name] = partial(engine, plane)
    rounds = [{key: run_ms(run) for key, run in runs.items()} for _ in range(_ROUNDS)]
    for number, name in runs:
        times[number][name] = round(median(each[number, name] for each in rounds), 3)
    for weights, ms in zip(networks, times, strict=True):
        try:
            save_tuning(weights.architecture, threads=threads, ms=ms, blocking={}, size=_SIZE)
        except OSError as error:
            log.info("times of networks are not kept (%s), and measured at each start", error.strerror)
    return times
