"""A network as a PyTorch program that runs where vidsr is not."""

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

Kernels = TypeVar("Kernels", nn.Conv2d, nn.ConvTranspose2d)


class PlainNetwork(nn.Module):
    """An architecture in ordinary layers: (N, 1, H, W) in 0..1 to (N, 1, scale*H, scale*W), not clipped."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.architecture = weights.architecture
        tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}
        self.body = nn.Sequential()
        for layer in self.architecture.body:
            self.body.append(_filled(nn.Conv2d(layer.inputs, layer.outputs, layer.kernel), tensors, layer.name))
            activation = nn.PReLU(layer.slopes)
            activation.weight = nn.Parameter(tensors[f"{layer.name}.slope"])
            self.body.append(activation)
        tail = self.architecture.tail
        missing = self._missing
        deconvolution = nn.ConvTranspose2d(
            tail.inputs, 1, tail.kernel, tail.stride, tail.padding, output_padding=max(0, -missing)
        )
        self.tail = _filled(deconvolution, tensors, tail.name)
        self.bicubic = nn.Conv2d(1, self.architecture.scale**2, 2 * BICUBIC_RADIUS + 1, bias=False)
        self.bicubic.weight = nn.Parameter(torch.from_numpy(bicubic_kernels(self.architecture.scale)))

    @property
    def _missing(self) -> int:
        """How many pixels below and right of the result a deconvolution of the padded plane gives too many."""
        tail = self.architecture.tail
        return (tail.reach - 1) * tail.stride - 2 * tail.padding + tail.kernel

    def forward(self, luma: Tensor) -> Tensor:
        """The enlarged plane."""
        architecture = self.architecture
        if architecture.upscales_first:
            large = self._enlarged(luma, architecture.halo)
            margin = (architecture.halo - BICUBIC_RADIUS) * architecture.scale
            added = self._layers(_cut(large, margin - architecture.reach, margin - architecture.reach))
            return _cut(large, margin, margin) + added if architecture.residual else added
        added = self._layers(functional.pad(luma, (architecture.reach,) * 4, mode="replicate"))
        return self._enlarged(luma, BICUBIC_RADIUS) + added if architecture.residual else added

    def _layers(self, x: Tensor) -> Tensor:
        tail = self.architecture.tail
        return _cut(self.tail(self.body(x)), tail.reach * tail.stride, max(0, self._missing))

    def _enlarged(self, luma: Tensor, padding: int) -> Tensor:
        """The bicubic enlargement of the plane with its edge repeated, two pixels less on every side."""
        padded = functional.pad(luma, (padding,) * 4, mode="replicate")
        return functional.pixel_shuffle(self.bicubic(padded), self.architecture.scale)


def program_bytes(weights: Weights, notes: Mapping[str, str]) -> bytes:
    """A file for `torch.export.load(path).module()`, which takes any number of planes of any size.

    `torch.export.load(path, extra_files={"notes.json": ""})` reads the notes.
    """
    sizes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(PlainNetwork(weights).eval(), (torch.rand(2, 1, 7, 9),), dynamic_shapes=sizes)
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={"notes.json": json.dumps(notes)})
    return file.getvalue()


def run_program(program: bytes, plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """What such a file makes of (N, 1, H, W)."""
    module = torch.export.load(io.BytesIO(program)).module()
    with torch.inference_mode():
        result: NDArray[np.float32] = module(torch.from_numpy(plane)).numpy()
    return result


def _filled(layer: Kernels, tensors: dict[str, Tensor], name: str) -> Kernels:
    layer.weight, layer.bias = nn.Parameter(tensors[f"{name}.weight"]), nn.Parameter(tensors[f"{name}.bias"])
    return layer


def _cut(x: Tensor, before: int, behind: int) -> Tensor:
    """What lies so far inside: above and left, below and right."""
    return x[..., before : x.shape[-2] - behind, before : x.shape[-1] - behind]
