"""The engine: a plane of grey levels in, the plane scale times as large out, on a few cores of one CPU."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from vidsr.arrays import Plane
from vidsr.cpu import Cpu, describe_machine, usable_cores
from vidsr.engine.accuracy import AccuracyCheck
from vidsr.engine.autotune_cache import TunedNetwork, tuned_network
from vidsr.engine.blocking import OutputBlocking, blockings, default_blocking
from vidsr.engine.compiled_network import CompiledNetwork, InaccurateGraphError
from vidsr.engine.precision import PrecisionChoice, check_precision, precision_order
from vidsr.model.weights import Weights, with_strength
from vidsr.model.zoo import load_model

__all__ = ["BAND_PIXELS", "Engine", "expected_precision", "warn_once"]

log = logging.getLogger(__name__)

BAND_PIXELS = 1 << 18  # 56 float32 maps of a band take 60 MB; larger bands are no faster


class Engine:
    """A network compiled for this CPU.

    `engine(plane)` upscales a (H, W) uint8 or uint16 plane of any size to (scale*H, scale*W) of the same type,
    band by band, so that memory does not grow with the frame; the bands give exactly the pixels of the whole.
    `model` is a name of the zoo, the path of a weight file, or weights. `threads` 0 is one per usable core.
    `strength` scales what the network adds to the bicubic plane: 0 is bicubic, 1 the network as trained.
    `precision` is auto, f32, bf16 or int8 (see `engine.precision`). Graphs in anything but f32 are compared with f32
    before their first use (see `engine.accuracy`); where one is wrong, the next blocking is used, then the next
    precision, and a warning is logged. `precision_choice` has the precision in use and why. A `simulated` engine
    rounds as int8 or int7 does and computes in f32: slower, and the same on every CPU. `blocking` is by default the
    one that `vidsr tune` found, or the usual one for CPUs of this kind; it changes the speed only. `cpu` is one whose
    precisions this engine is to take, so that engines on several machines compute alike.
    Not safe for two threads at once. Raises ModelError when the model cannot be read, or not be computed so.
    """

    def __init__(
        self,
        model: str | Weights,
        *,
        threads: int = 0,
        precision: str = "auto",
        strength: float = 1.0,
        simulated: bool = False,
        band_pixels: int = BAND_PIXELS,
        blocking: OutputBlocking | None = None,
        cpu: Cpu | None = None,
    ) -> None:
        self.weights = with_strength(load_model(model) if isinstance(model, str) else model, strength)
        self.scale = self.weights.architecture.scale
        self.halo = self.weights.architecture.halo
        self.warnings: list[str] = []
        self._threads, self._band_pixels = threads or usable_cores(describe_machine()), band_pixels
        candidates = self._simulation(precision) if simulated else self._networks(precision, blocking, cpu)
        self._candidates = deque(candidates)
        self.precision_choice, self._network = self._candidates.popleft()

    @property
    def precision(self) -> str:
        """What it computes in: f32, bf16, int8 or int7."""
        return self._network.precision

    @property
    def blocking(self) -> OutputBlocking:
        """The blocks of the last layer."""
        return self._network.blocking

    def __call__(self, plane: Plane, depth: int | None = None) -> Plane:
        """The upscaled plane. `depth` is the bits in use, by default all of the type: 10 for 10-bit video.

        Raises ValueError for an array of another kind, or an empty one.
        """
        if plane.ndim != 2 or plane.dtype not in (np.uint8, np.uint16) or not plane.size:
            raise ValueError(f"an engine takes (H, W) uint8 or uint16, not {plane.dtype}{list(plane.shape)}")
        bits = 8 * plane.dtype.itemsize
        used = bits if depth is None else depth
        if not 1 <= used <= bits:
            raise ValueError(f"{depth = } does not fit into {plane.dtype}")
        return self._computed(lambda network: network.upscale(plane, used, band_pixels=self._band_pixels))

    def upscale_tiles(self, tiles: Plane, depth: int) -> Plane:
        """(N, scale*H, scale*W) from (N, H + 2*halo, W + 2*halo), each pixel as it is in the whole.

        H and W are whole blocks: multiples of 16 always are. Each (N, H, W) is compiled at its first use, which takes
        some 100 ms.
        """
        return self._computed(lambda network: network.upscale_tiles(tiles, depth))

    def _computed(self, compute: Callable[[CompiledNetwork], Plane]) -> Plane:
        """The result of the first network, from the one in use on, whose graphs are accurate."""
        faults: dict[str, str] = {}
        while True:
            try:
                result = compute(self._network)
                break
            except InaccurateGraphError as error:
                faults[str(self._network)] = str(error)
                self.precision_choice, self._network = self._candidates.popleft()
        if faults:
            first, *others = faults
            more = f" (and {len(others)} other graphs)" if others else ""
            self.warnings.append(f"{faults[first]}{more}; {self._network}, is used")
            warn_once(self.warnings[-1])
            self.precision_choice = PrecisionChoice(precision=self.precision, why=f"not {first}{more}: wrong here")
        return result

    def _simulation(self, precision: str) -> Iterator[tuple[PrecisionChoice, CompiledNetwork]]:
        check_precision(precision, self.weights)
        blocking = default_blocking(self.weights.architecture)
        network = CompiledNetwork(
            self.weights, precision=precision, blocking=blocking, threads=self._threads, simulated=True
        )
        yield PrecisionChoice(precision=precision, why="simulated"), network

    def _networks(
        self, precision: str, blocking: OutputBlocking | None, cpu: Cpu | None
    ) -> Iterator[tuple[PrecisionChoice, CompiledNetwork]]:
        """The networks to try, in their order; the last one is in f32, which is not checked."""
        tuned = tuned_network(self.weights.architecture, threads=self._threads)
        usual = blocking or self._blockings("f32", tuned)[0]
        reference = CompiledNetwork(self.weights, precision="f32", blocking=usual, threads=self._threads)
        check = AccuracyCheck(self.weights, reference.upscale_tiles)
        for choice in precision_order(precision, self.weights, cpu=cpu, tuned_ms=None if cpu else tuned.ms):
            if choice.precision == "f32":
                yield choice, reference
                return
            for each in [blocking] if blocking else self._blockings(choice.precision, tuned):
                network = CompiledNetwork(
                    self.weights, precision=choice.precision, blocking=each, threads=self._threads, check=check
                )
                yield choice, network

    def _blockings(self, precision: str, tuned: TunedNetwork) -> list[OutputBlocking]:
        """The tuned or the usual one, then the others."""
        first = tuned.blockings.get(precision)
        return sorted(blockings(self.weights.architecture), key=lambda each: each != first)


def expected_precision(weights: Weights, precision: str = "auto", *, threads: int = 1) -> PrecisionChoice:
    """The precision that an engine tries first, and why. Raises as `Engine`."""
    tuned = tuned_network(weights.architecture, threads=threads)
    return precision_order(precision, weights, tuned_ms=tuned.ms)[0]


@cache
def warn_once(sentence: str) -> None:
    """Log a warning, once per process: several engines may find the same."""
    log.warning("%s", sentence)
