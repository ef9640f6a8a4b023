"""Which form of a network is fastest here, by measuring all of them in turn."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from openvino import opset15 as ops

from vidsr.engine import Engine
from vidsr.engine.blocking import Form, default_form, forms
from vidsr.model.weights import Weights

PAYS = 0.97
"""Of the time of the default form, which another must not exceed to be chosen: less is noise."""
_LEAST_ROUNDS, _MOST_ROUNDS = 5, 20
_SIDE = 1024  # of the matrices


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the forms of a network took, each measured once a round, round by round."""

    precision: str
    ms: Mapping[Form, list[float]]
    """Of a plane; the default form comes first."""
    gflop: float
    """Of a plane, by the usual count: two for each multiply-add of `Architecture.multiplies`."""
    product_gflops: float
    """GFLOP/s of a matrix product in float32, in the same rounds, on as many threads."""

    @property
    def default(self) -> Form:
        """The form that is taken without a choice."""
        return next(iter(self.ms))

    @property
    def chosen(self) -> Form:
        """The fastest form; the default one where none is clearly faster: in its pairs, in the median, at its best."""
        default, best = self.ms[self.default], min(self.ms, key=self._share)
        means = (median, min)
        clearly = self._share(best) <= PAYS and all(mean(self.ms[best]) <= PAYS * mean(default) for mean in means)
        return best if clearly else self.default

    def gflops(self, form: Form) -> float:
        """GFLOP/s in the median."""
        return self.gflop / median(self.ms[form]) * 1000

    def _share(self, form: Form) -> float:
        """Of the time of the default form, in the median of the rounds."""
        pairs = zip(self.ms[form], self.ms[self.default], strict=True)
        return median(own / other for own, other in pairs)


def tried(weights: Weights, *, size: tuple[int, int], threads: int, precision: str, limit_s: float) -> Trial:
    """The forms of a network on planes of (width, height), 8 bits, in rounds: 5, and up to 20 that begin in time."""
    architecture, (width, height) = weights.architecture, size
    plane = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    default = default_form(architecture)
    engines = {
        form: Engine(weights, threads=threads, precision=precision, form=form)
        for form in (default, *(other for other in forms(architecture) if other != default))
    }
    product, ms = _product(threads), {form: list[float]() for form in engines}
    product()
    for engine in engines.values():
        engine(plane)
    product_ms, began = list[float](), time.perf_counter()
    for done in range(_MOST_ROUNDS):
        if done >= _LEAST_ROUNDS and time.perf_counter() - began >= limit_s:
            break
        product_ms.append(_ms(product))
        for form, engine in engines.items():
            ms[form].append(_ms(partial(engine, plane)))
    return Trial(
        precision=engines[default].precision,
        ms=ms,
        gflop=2 * architecture.multiplies * plane.size / 1e9,
        product_gflops=2 * _SIDE**3 / median(product_ms) / 1e6,
    )


def _product(threads: int) -> Callable[[], object]:
    """A matrix times one that does not change, as the weights of a network do not: no slower than NumPy's product."""
    first, second = np.random.default_rng(0).random((2, _SIDE, _SIDE), dtype=np.float32)
    factor = ops.parameter([_SIDE, _SIDE], ov.Type.f32, "factor")
    model = ov.Model([ops.matmul(factor, ops.constant(second), False, False)], [factor], "product")
    config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(model, "CPU", config).create_infer_request()
    return partial(request.infer, [first], share_inputs=True, share_outputs=True)


def _ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)
