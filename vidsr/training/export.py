"""Export to a PyTorch program that runs without vidsr."""

import io
import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels
from vidsr.model.weights import Weights


class ReferenceNetwork(nn.Module):
    """An architecture in plain PyTorch operations: (N, 1, H, W) in 0..1 to (N, 1, scale*H, scale*W), not clipped."""

    bicubic: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.architecture = weights.architecture
        tensors = {name.replace(".", "_"): torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}
        self.tensors = nn.ParameterDict(tensors)
        self.register_buffer("bicubic", torch.from_numpy(bicubic_kernels(self.architecture.scale)))

    def forward(self, luma: Tensor) -> Tensor:
        """The upscaled plane."""
        architecture = self.architecture
        if architecture.upscales_first:
            upscaled = self._bicubic(luma, architecture.halo)
            margin = (architecture.halo - BICUBIC_RADIUS) * architecture.scale
            added = self._layers(_crop(upscaled, margin - architecture.reach, margin - architecture.reach))
            return _crop(upscaled, margin, margin) + added if architecture.residual else added
        added = self._layers(functional.pad(luma, (architecture.reach,) * 4, mode="replicate"))
        return self._bicubic(luma, BICUBIC_RADIUS) + added if architecture.residual else added

    def _layers(self, x: Tensor) -> Tensor:
        features = x
        for number, layer in enumerate(self.architecture.body):
            weight, bias, slope = (self.tensors[f"{layer.name}_{kind}"] for kind in ("weight", "bias", "slope"))
            x = functional.prelu(functional.conv2d(x, weight, bias), slope)
            features = x if number == 0 else features
        if self.architecture.long_skip:
            consumed = sum(layer.kernel // 2 for layer in self.architecture.body[1:])
            x = x + _crop(features, consumed, consumed)
        tail = self.architecture.tail
        weight, bias = (self.tensors[f"{tail.name}_{kind}"] for kind in ("weight", "bias"))
        surplus = (tail.reach - 1) * tail.stride - 2 * tail.padding + tail.kernel  # pixels below and to the right
        x = functional.conv_transpose2d(x, weight, bias, tail.stride, tail.padding, max(0, -surplus))
        return _crop(x, tail.reach * tail.stride, max(0, surplus))

    def _bicubic(self, luma: Tensor, padding: int) -> Tensor:
        """The bicubic upscaling of the edge-padded plane; two pixels per side are consumed."""
        padded = functional.pad(luma, (padding,) * 4, mode="replicate")
        return functional.pixel_shuffle(functional.conv2d(padded, self.bicubic), self.architecture.scale)


def export_program(weights: Weights, metadata: Mapping[str, str]) -> bytes:
    """Returns a file for `torch.export.load(path).module()`; it accepts any batch size, height and width.

    `torch.export.load(path, extra_files={"notes.json": ""})` reads the metadata.
    """
    sizes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(
            ReferenceNetwork(weights).eval(), (torch.rand(2, 1, 7, 9),), dynamic_shapes=sizes
        )
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"notes.json": json.dumps(metadata)})
    return file.getvalue()


def run_program(program: bytes, plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The output of an exported program for (N, 1, H, W)."""
    module = torch.export.load(io.BytesIO(program)).module()
    with torch.inference_mode():
        result: NDArray[np.float32] = module(torch.from_numpy(plane)).numpy()
    return result


def _crop(x: Tensor, before: int, after: int) -> Tensor:
    """The tensor without `before` rows and columns at the top left and `after` at the bottom right."""
    return x[..., before : x.shape[-2] - after, before : x.shape[-1] - after]
