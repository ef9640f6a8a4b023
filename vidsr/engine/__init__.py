"""The engine: a plane of grey levels in, the plane scale times as large out, on a few cores of one CPU."""

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray

from vidsr.engine.graph import band_model, group_size
from vidsr.engine.precision import TOPS, settled
from vidsr.engine.quantised import balanced
from vidsr.model.weights import Weights
from vidsr.model.zoo import load_model

Plane = NDArray[np.uint8] | NDArray[np.uint16]

BAND_PIXELS = 1 << 18  # 56 float32 maps of a band take 60 MB; larger bands are no faster
_Key = tuple[tuple[int, int], np.dtype[np.generic], int]
_SHAPES_KEPT = 8  # compiled networks, one a shape and depth: four of tiles, and bands of a camera that switches two


class Engine:
    """A network compiled for this CPU.

    `engine(plane)` enlarges a (H, W) uint8 or uint16 plane of any size to (scale*H, scale*W) of the same type,
    band by band, so that memory does not grow with the picture; the bands give exactly what the whole would.
    `model` is a name of the zoo, the path of a weight file, or weights. `threads` 0 means every core allowed.
    `precision` is auto, f32, bf16 or int8 (see `engine.precision`); what it came to is the attribute of that name.
    A `simulated` one rounds as int8 or int7 does and computes in f32: slower, and the same on every CPU.
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
    ) -> None:
        self.weights = load_model(model) if isinstance(model, str) else model
        self.precision = settled(precision, self.weights, simulated=simulated)
        self._form, self._steps = self.weights, None
        if self.precision in TOPS:
            self._form, self._steps = balanced(self.weights, top=TOPS[self.precision])
        self.scale = self.weights.architecture.scale
        self.halo = self.weights.architecture.halo
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
        architecture = self.weights.architecture
        group, halo, scale = group_size(architecture), self.halo, self.scale
        columns = -(-width // group) * group
        rows = min(height, max(1, self._band_pixels // columns))
        padded = np.pad(np.ascontiguousarray(plane), ((halo, halo), (halo, halo + columns - width)), mode="edge")
        result = np.empty((height * scale, width * scale), plane.dtype)
        for top in _tops(height, rows):
            band = self.part(padded[top : top + rows + 2 * halo], depth)
            result[top * scale : (top + rows) * scale] = band[:, : width * scale]
        return result

    def part(self, surrounded: Plane, depth: int) -> Plane:
        """(scale*H, scale*W) from (H + 2*halo, W + 2*halo), as it is in the whole; W is a multiple of `group_size`.

        Holds until the next call. Each (H, W) is compiled when it first comes, which takes some 30 ms.
        """
        rows, columns = (length - 2 * self.halo for length in surrounded.shape)
        request = self._request((rows, columns), surrounded.dtype, depth)
        band = ov.Tensor(np.ascontiguousarray(surrounded), shared_memory=True)
        request.infer([band], share_inputs=True, share_outputs=True)
        return _interleaved(request.get_output_tensor().data[0], self.weights.architecture.tail.stride)

    def _request(self, shape: tuple[int, int], dtype: np.dtype[np.generic], depth: int) -> ov.InferRequest:
        key = (shape, dtype, depth)
        if key not in self._requests:
            model = band_model(self._form, shape, dtype=dtype, peak=2**depth - 1, steps=self._steps)
            self._requests[key] = self._core.compile_model(model, "CPU", self._config).create_infer_request()
            if len(self._requests) > _SHAPES_KEPT:
                self._requests.popitem(last=False)
        self._requests.move_to_end(key)
        return self._requests[key]


def _tops(height: int, rows: int) -> Iterator[int]:
    """Where bands of equal height begin; the last one overlaps its neighbour, so that one shape serves all."""
    for top in range(0, height, rows):
        yield min(top, height - rows)


def _interleaved(places: Plane, stride: int) -> Plane:
    """(stride*rows, stride*columns) from (rows, columns/group, stride * group*stride), moved in whole words."""
    rows, groups, channels = places.shape
    run = channels // stride * places.itemsize  # bytes of neighbouring pixels in one output row
    word = np.dtype(f"u{min(run & -run, 8)}")  # the largest that divides the run
    words = places.view(word).reshape(rows, groups, stride, run // word.itemsize)
    lines = words.transpose(0, 2, 1, 3).reshape(rows * stride, -1)
    return np.ascontiguousarray(lines).view(places.dtype)  # a single row may come as a view, not as a copy
