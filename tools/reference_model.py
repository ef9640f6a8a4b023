"""A network of the zoo as an ordinary PyTorch module, run as most people would run it: what the engine is beside.

Both ways do the engine's whole job, bytes in and bytes out, and give its result to within a grey level.
"""

from collections.abc import Callable

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidsr.model.weights import Weights
from vidsr.training.export import ReferenceNetwork

Plane = NDArray[np.uint8]
Enlarge = Callable[[Plane], Plane]


class InBytes(nn.Module):
    """(1, 1, H, W) bytes in, (1, 1, scale*H, scale*W) bytes out."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.network = ReferenceNetwork(weights)

    def forward(self, luma: Tensor) -> Tensor:
        """The enlarged plane."""
        return (self.network(luma.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)


def eager(weights: Weights, threads: int) -> Enlarge:
    """The network in PyTorch, layer after layer; sets the threads of the whole process."""
    torch.set_num_threads(threads)
    network = InBytes(weights).eval()

    def enlarge(plane: Plane) -> Plane:
        with torch.inference_mode():
            return network(_batch(plane))[0, 0].numpy()

    return enlarge


def converted(weights: Weights, threads: int) -> Enlarge:
    """The same through openvino.convert_model, compiled for each size that comes."""
    network = InBytes(weights).eval()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    requests: dict[tuple[int, ...], ov.InferRequest] = {}

    def enlarge(plane: Plane) -> Plane:
        small = _batch(plane)
        if plane.shape not in requests:
            model = ov.convert_model(network, example_input=small, input=list(small.shape))
            requests[plane.shape] = ov.Core().compile_model(model, "CPU", config).create_infer_request()
        return requests[plane.shape].infer([small.numpy()])[0][0, 0]

    return enlarge


def _batch(plane: Plane) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane))[None, None]
