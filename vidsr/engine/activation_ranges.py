"""How far the inputs of a network's layers reach on given planes: what int8 is calibrated by."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray

from vidsr.engine.graph import band_model
from vidsr.engine.openvino_core import openvino_core
from vidsr.model.weights import Ranges, Weights, input_widths

CLIPPED_PERCENT = 0.002
"""Of the values of a channel, at each end. Of 0, 0.002, 0.005 and 0.01 it loses the least on Kodak."""


def measure_ranges(weights: Weights, planes: Iterable[NDArray[np.uint8]]) -> Ranges:
    """The ranges of a `Calibration`, over all pixels of (H, W) planes: 32 of 128x128 take 1 GB."""
    seen: defaultdict[str, list[NDArray[np.float32]]] = defaultdict(list)
    taps: dict[tuple[int, ...], ov.CompiledModel] = {}
    for plane in planes:
        if plane.shape not in taps:
            taps[plane.shape] = _taps(weights, plane.shape)
        results = taps[plane.shape]([np.pad(plane, weights.architecture.halo, mode="edge")[None]])
        for number, name in enumerate(input_widths(weights.architecture)):
            values = results[number]
            seen[name].append(values.reshape(values.shape[1], -1))
    return {name: _ends(np.concatenate(values, axis=1)) for name, values in seen.items()}


def _taps(weights: Weights, shape: tuple[int, int]) -> ov.CompiledModel:
    """For bands of that shape, what goes into each layer but the first: (1, inputs, H, W)."""
    model = band_model(weights, shape, dtype=np.dtype(np.uint8), peak=255)
    layers = {node.get_friendly_name(): node for node in model.get_ops()}
    names = list(input_widths(weights.architecture))
    taps = ov.Model([layers[name].input_value(0) for name in names], model.get_parameters(), "taps")
    return openvino_core().compile_model(taps, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _ends(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, channels) from (channels, values), 0 always between them."""
    low, high = np.percentile(values, [CLIPPED_PERCENT, 100 - CLIPPED_PERCENT], axis=1)
    ends = np.stack([np.minimum(low, 0), np.maximum(high, 0)]).astype(np.float32)
    if not ends.any():  # nothing comes through this layer: any range will do
        ends[1] = 1
    return ends
