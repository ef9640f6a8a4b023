"""Export to a PyTorch program that runs without vidsr."""

import io
import json
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels
from vidsr.model.weights import Weights

Conv = TypeVar("Conv", nn.Conv2d, nn.ConvTranspose2d)


class ReferenceNetwork(nn.Module):
    """An architecture in standard PyTorch layers: (N, 1, H, W) in 0..1 to (N, 1, scale*H, scale*W), not clipped."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.architecture = weights.architecture
        tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}
        self.body = nn.Sequential()
        for layer in self.architecture.body:
            self.body.append(_with_weights(nn.Conv2d(layer.inputs, layer.outputs, layer.kernel), tensors, layer.name))
            activation = nn.PReLU(layer.slopes)
            activation.weight = nn.Parameter(tensors[f"{layer.name}.slope"])
            self.body.append(activation)
        tail = self.architecture.tail
        excess = self._excess
        deconvolution = nn.ConvTranspose2d(
            tail.inputs, 1, tail.kernel, tail.stride, tail.padding, output_padding=max(0, -excess)
        )
        self.tail = _with_weights(deconvolution, tensors, tail.name)
        self.bicubic = nn.Conv2d(1, self.architecture.scale**2, 2 * BICUBIC_RADIUS + 1, bias=False)
        self.bicubic.weight = nn.Parameter(torch.from_numpy(bicubic_kernels(self.architecture.scale)))

    @property
    def _excess(self) -> int:
        """Surplus pixels below and to the right that the deconvolution of the padded plane produces."""
        tail = self.architecture.tail
        return (tail.reach - 1) * tail.stride - 2 * tail.padding + tail.kernel

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
        tail = self.architecture.tail
        return _crop(self.tail(self.body(x)), tail.reach * tail.stride, max(0, self._excess))

    def _bicubic(self, luma: Tensor, padding: int) -> Tensor:
        """The bicubic upscaling of the edge-padded plane; two pixels per side are consumed."""
        padded = functional.pad(luma, (padding,) * 4, mode="replicate")
        return functional.pixel_shuffle(self.bicubic(padded), self.architecture.scale)


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


def _with_weights(layer: Conv, tensors: dict[str, Tensor], name: str) -> Conv:
    layer.weight, layer.bias = nn.Parameter(tensors[f"{name}.weight"]), nn.Parameter(tensors[f"{name}.bias"])
    return layer


def _crop(x: Tensor, before: int, after: int) -> Tensor:
    """The tensor without `before` rows and columns at the top left and `after` at the bottom right."""
    return x[..., before : x.shape[-2] - after, before : x.shape[-1] - after]
