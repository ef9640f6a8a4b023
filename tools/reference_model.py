"""A network of the zoo as an ordinary PyTorch module, the reference of the engine's speed.

Run by PyTorch or by OpenVINO, bytes in and bytes out, it agrees with the engine to within a grey level.
"""

from collections.abc import Callable

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidsr.engine.openvino_core import openvino_core
from vidsr.model.weights import Weights
from vidsr.training.export import ReferenceNetwork

Plane = NDArray[np.uint8]
Upscaler = Callable[[Plane], Plane]


class Uint8Network(nn.Module):
    """(1, 1, H, W) bytes in, (1, 1, scale*H, scale*W) bytes out."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.network = ReferenceNetwork(weights)

    def forward(self, luma: Tensor) -> Tensor:
        """The upscaled plane."""
        return (self.network(luma.float() / 255) * 255).round().clamp(0, 255).to(torch.uint8)


def pytorch_upscaler(weights: Weights, threads: int) -> Upscaler:
    """The network in eager PyTorch; sets the threads of the whole process."""
    torch.set_num_threads(threads)
    network = Uint8Network(weights).eval()

    def upscale(plane: Plane) -> Plane:
        with torch.inference_mode():
            return network(_batch(plane))[0, 0].numpy()

    return upscale


def openvino_upscaler(weights: Weights, threads: int) -> Upscaler:
    """The network by openvino.convert_model, compiled once per plane size."""
    network = Uint8Network(weights).eval()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    requests: dict[tuple[int, ...], ov.InferRequest] = {}

    def upscale(plane: Plane) -> Plane:
        batch = _batch(plane)
        if plane.shape not in requests:
            model = ov.convert_model(network, example_input=batch, input=list(batch.shape))
            requests[plane.shape] = openvino_core().compile_model(model, "CPU", config).create_infer_request()
        return requests[plane.shape].infer([batch.numpy()])[0][0, 0]

    return upscale


def _batch(plane: Plane) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(plane))[None, None]
