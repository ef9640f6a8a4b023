"""The engine: a plane of grey levels in, the plane scale times as large out, on a few cores of one CPU."""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import openvino as ov  # type: ignore[import-untyped]

from vidsr.arrays import Plane
from vidsr.cpu_affinity import describe_machine
from vidsr.engine.autotune_cache import tuned_form
from vidsr.engine.blocking import Form, default_form
from vidsr.engine.depth_to_space import interleaved
from vidsr.engine.graph import band_model
from vidsr.engine.precision import TOPS, settled
from vidsr.engine.quantization import balanced
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model

__all__ = ["BAND_PIXELS", "Engine"]

BAND_PIXELS = 1 << 18  # 56 float32 maps of a band take 60 MB; larger bands are no faster
_Key = tuple[tuple[int, ...], np.dtype[np.generic], int]
_SHAPES_KEPT = 8  # compiled networks, one a shape and depth: four of tiles, and bands of a camera that switches two


class Engine:
    """A network compiled for this CPU.

    `engine(plane)` enlarges a (H, W) uint8 or uint16 plane of any size to (scale*H, scale*W) of the same type,
    band by band, so that memory does not grow with the picture; the bands give exactly what the whole would.
    `model` is a name of the zoo, the path of a weight file, or weights. `threads` 0 means every core allowed.
    `precision` is auto, f32, bf16 or int8 (see `engine.precision`); what it came to is the attribute of that name.
    A `simulated` one rounds as int8 or int7 does and computes in f32: slower, and the same on every CPU.
    `form` is by default what `vidsr tune` found, or what is good on CPUs of this kind; it changes the speed only.
    Not safe for two threads at once. Raises ModelError when the model cannot be read, or not be computed so.
    """

    def __init__(
        self,
        model: str | Weights,
        *,
        threads: int = 0,
        precision: str = "auto",
        simulated: bool = False,
        band_pixels: int = BAND_PIXELS,
        form: Form | None = None,
    ) -> None:
        self.weights = load_model(model) if isinstance(model, str) else model
        self.precision = settled(precision, self.weights, simulated=simulated)
        self._computed, self._steps = self.weights, None
        if self.precision in TOPS:
            self._computed, self._steps = balanced(self.weights, top=TOPS[self.precision])
        self.scale = self.weights.architecture.scale
        self.halo = self.weights.architecture.halo
        self.form = form or self._usual_form(threads)
        self._band_pixels = band_pixels
        self._core = ov.Core()
        self._requests: OrderedDict[_Key, ov.InferRequest] = OrderedDict()
        # One engine, one stream, no pinning: engines of one machine do not know each other and would all pin
        # from core 0. Precision is said because on some machines the default is bf16.
        self._config = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            **({"LP_TRANSFORMS_MODE": "NO"} if simulated else {}),
        }

    def __call__(self, plane: Plane, depth: int | None = None) -> Plane:
        """The enlarged plane. `depth` is the bits in use, by default all of the type: 10 for 10-bit video.

        Raises ValueError for an array of another kind, or an empty one.
        """
        if plane.ndim != 2 or plane.dtype not in (np.uint8, np.uint16) or not plane.size:
            raise ValueError(f"an engine takes (H, W) uint8 or uint16, not {plane.dtype}{list(plane.shape)}")
        bits = 8 * plane.dtype.itemsize
        depth = bits if depth is None else depth
        if not 1 <= depth <= bits:
            raise ValueError(f"{depth = } does not fit into {plane.dtype}")
        height, width = plane.shape
        halo, scale = self.halo, self.scale
        whole, columns = self.form.shape(plane.shape)
        rows, _ = self.form.shape((min(height, max(1, self._band_pixels // columns)), columns))
        margins = ((halo, halo + whole - height), (halo, halo + columns - width))
        padded = np.pad(np.ascontiguousarray(plane), margins, mode="edge")
        result = np.empty((height * scale, width * scale), plane.dtype)
        for top in _tops(whole, rows):
            band = result[top * scale : (top + rows) * scale]
            band[:] = self.parts(padded[None, top : top + rows + 2 * halo], depth)[0, : len(band), : width * scale]
        return result

    def parts(self, surrounded: Plane, depth: int) -> Plane:
        """(N, scale*H, scale*W) from (N, H + 2*halo, W + 2*halo), each as it is in the whole.

        H and W are whole blocks of the form: multiples of 16 always are. Each (N, H, W) is compiled when it first
        comes, which takes some 100 ms.
        """
        request = self._request(surrounded.shape, surrounded.dtype, depth)
        bands = ov.Tensor(np.ascontiguousarray(surrounded), shared_memory=True)
        request.infer([bands], share_inputs=True, share_outputs=True)
        results = [tensor.data for tensor in request.output_tensors]
        return interleaved(results, self.form, self.weights.architecture.tail.stride)

    def _usual_form(self, threads: int) -> Form:
        architecture, threads = self.weights.architecture, threads or len(describe_machine().cpus)
        return tuned_form(architecture, precision=self.precision, threads=threads) or default_form(architecture)

    def _request(self, shape: tuple[int, ...], dtype: np.dtype[np.generic], depth: int) -> ov.InferRequest:
        key = (shape, dtype, depth)
        if key not in self._requests:
            count, rows, columns = shape
            model = band_model(
                self._computed,
                (rows - 2 * self.halo, columns - 2 * self.halo),
                dtype=dtype,
                peak=2**depth - 1,
                form=self.form,
                steps=self._steps,
                count=count,
            )
            self._requests[key] = self._core.compile_model(model, "CPU", self._config).create_infer_request()
            if len(self._requests) > _SHAPES_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(key)
        return self._requests[key]


def _tops(height: int, rows: int) -> Iterator[int]:
    """Where bands of equal height begin; the last one overlaps its neighbour, so that one shape serves all."""
    for top in range(0, height, rows):
        yield min(top, height - rows)
