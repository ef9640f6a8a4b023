"""A network in one precision and one blocking, compiled for each shape that comes."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import openvino as ov  # type: ignore[import-untyped]

from vidsr.arrays import Plane
from vidsr.cpu import isa_limit, this_cpu
from vidsr.engine.accuracy import AccuracyCheck
from vidsr.engine.blocking import OutputBlocking, depth_to_space
from vidsr.engine.graph import band_model
from vidsr.engine.openvino_core import openvino_core
from vidsr.engine.precision import MAX_WEIGHT
from vidsr.engine.quantization import equalize_channels
from vidsr.errors import ModelError
from vidsr.model.weights import Weights

_Key = tuple[tuple[int, ...], np.dtype[np.generic], int]
_SHAPES_KEPT = 8  # compiled graphs: four of tiles, and bands of a camera that switches between two sizes


class InaccurateGraphError(Exception):
    """A compiled graph is wrong on this CPU; str() is a sentence that says how."""


class CompiledNetwork:
    """A network compiled for this CPU.

    Each new graph is checked by `check`, if there is one. Not safe for two threads at once. Raises
    InaccurateGraphError where a graph is wrong or cannot be compiled, ModelError for the latter without a check.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        precision: str,
        blocking: OutputBlocking,
        threads: int,
        check: AccuracyCheck | None = None,
        simulated: bool = False,
    ) -> None:
        self.weights, self.precision, self.blocking = weights, precision, blocking
        self._threads, self._check = threads, check
        self._requests: OrderedDict[_Key, ov.InferRequest] = OrderedDict()
        # One engine, one stream, no pinning: engines of one machine do not know each other and would all pin
        # from core 0. The precision is explicit because on some machines the default is bf16.
        self._config = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            **({"LP_TRANSFORMS_MODE": "NO"} if simulated else {}),
        }

    def __str__(self) -> str:
        return f"{self.precision}, blocks of {self.blocking}"

    def upscale(self, plane: Plane, depth: int, *, band_pixels: int) -> Plane:
        """(scale*H, scale*W) from (H, W), in bands of about `band_pixels`."""
        height, width = plane.shape
        halo, scale = self.weights.architecture.halo, self.weights.architecture.scale
        whole, columns = self.blocking.padded(plane.shape)
        rows, _ = self.blocking.padded((min(height, max(1, band_pixels // columns)), columns))
        margins = ((halo, halo + whole - height), (halo, halo + columns - width))
        padded = np.pad(np.ascontiguousarray(plane), margins, mode="edge")
        result = np.empty((height * scale, width * scale), plane.dtype)
        for top in _band_tops(whole, rows):
            band = result[top * scale : (top + rows) * scale]
            hr = self.upscale_tiles(padded[None, top : top + rows + 2 * halo], depth)
            band[:] = hr[0, : len(band), : width * scale]
        return result

    def upscale_tiles(self, tiles: Plane, depth: int) -> Plane:
        """(N, scale*H, scale*W) from (N, H + 2*halo, W + 2*halo); H and W are whole blocks."""
        key = (tiles.shape, tiles.dtype, depth)
        if key not in self._requests:
            self._requests[key] = self._compiled(*key)
            if len(self._requests) > _SHAPES_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(key)
        return self._infer(self._requests[key], tiles)

    def _compiled(self, shape: tuple[int, ...], dtype: np.dtype[np.generic], depth: int) -> ov.InferRequest:
        """The graph for tiles of that shape, with halo, that has passed its check."""
        count, *lengths = shape
        rows, columns = (length - 2 * self.weights.architecture.halo for length in lengths)

        @cache
        def request() -> ov.InferRequest:  # not compiled at all where it is known to be wrong
            with self._named_errors():
                model = self._model((rows, columns), dtype, depth, count)
                return openvino_core().compile_model(model, "CPU", self._config).create_infer_request()

        if self._check:
            fault = self._check.find_fault(
                lambda tiles, _: self._infer(request(), tiles),
                (count, rows, columns),
                dtype,
                depth,
                precision=self.precision,
                graph=f"{self}, {self._threads} threads",
            )
            if fault:
                raise InaccurateGraphError(fault)
        return request()

    def _model(self, shape: tuple[int, int], dtype: np.dtype[np.generic], depth: int, count: int) -> ov.Model:
        weights, quantization = self.weights, None
        with np.errstate(all="ignore"):  # calibrations may be absurd; the check finds what comes of it
            if self.precision in MAX_WEIGHT:
                weights, quantization = equalize_channels(weights, max_weight=MAX_WEIGHT[self.precision])
            return band_model(
                weights,
                shape,
                dtype=dtype,
                peak=2**depth - 1,
                blocking=self.blocking,
                quantization=quantization,
                count=count,
            )

    def _infer(self, request: ov.InferRequest, tiles: Plane) -> Plane:
        with self._named_errors():
            bands = ov.Tensor(np.ascontiguousarray(tiles), shared_memory=True)
            request.infer([bands], share_inputs=True, share_outputs=True)
        results = [tensor.data for tensor in request.output_tensors]
        return depth_to_space(results, self.blocking, self.weights.architecture.tail.stride)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Errors of OpenVINO, and of calibrations that cannot be computed, as one sentence."""
        try:
            yield
        except (RuntimeError, ArithmeticError, ValueError, ModelError) as error:
            limit = f"; ONEDNN_MAX_CPU_ISA is {isa_limit()}: unset it" if isa_limit() else ""
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            sentence = f"{self.weights.architecture} in {self} cannot be computed on {this_cpu()}: {reason}{limit}"
            raise (InaccurateGraphError if self._check else ModelError)(sentence) from error


def _band_tops(height: int, rows: int) -> Iterator[int]:
    """Where bands of equal height begin; the last one overlaps its neighbour, so that one shape serves all."""
    for top in range(0, height, rows):
        yield min(top, height - rows)
