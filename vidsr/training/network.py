"""The torch reading of an architecture, in the form that trains well.

- Every k×k convolution trains as a k×k expansion to `WIDTH` channels followed by a 1×1 projection, with an
  identity added where the channels match (SESR's collapsible linear block). Both are linear, so they collapse
  to one kernel, here at every step: the network computes, and ships, plain convolutions.
- Convolutions are valid: (N, 1, H + 2*halo, W + 2*halo) in, (N, 1, scale*H, scale*W) out, values in 0..1.
- The result is the bicubic enlargement plus what the network adds.
"""

import math
from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidsr.model.architecture import Architecture, Convolution
from vidsr.model.subpixel import BICUBIC_REACH, bicubic_kernels, deconvolution_reach, phase_index

WIDTH = 256


class CollapsibleKernel(nn.Module):
    """A (outputs, inputs, k, k) kernel as the product of an expansion and a projection."""

    start: Tensor

    def __init__(self, outputs: int, inputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__()
        self.expand = nn.Parameter(torch.randn(WIDTH, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2))
        self.project = nn.Parameter(torch.randn(outputs, WIDTH) * gain / math.sqrt(WIDTH))
        start = torch.zeros(outputs, inputs, kernel, kernel)
        if outputs == inputs and kernel > 1:
            start[range(outputs), range(outputs), kernel // 2, kernel // 2] = 1
        self.register_buffer("start", start)

    def forward(self) -> Tensor:
        """The kernel: a few einsums on weights, cheap beside one convolution."""
        return self.start + torch.einsum("ow,wiyx->oiyx", self.project, self.expand)

    def collapse_to(self, kernel: Tensor) -> None:
        """Make the kernel exactly `kernel`: it becomes the start, and what is learnt on top begins at zero."""
        self.start.copy_(kernel)
        nn.init.zeros_(self.project)


class Layer(nn.Module):
    """A collapsible convolution, its bias and its PReLU."""

    def __init__(self, shape: Convolution) -> None:
        super().__init__()
        self.kernel = CollapsibleKernel(shape.outputs, shape.inputs, shape.kernel)
        self.bias = nn.Parameter(torch.zeros(shape.outputs))
        self.slope = nn.Parameter(torch.full((shape.outputs,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """(N, outputs, H - k + 1, W - k + 1) from (N, inputs, H, W)."""
        return functional.prelu(functional.conv2d(x, self.kernel(), self.bias), self.slope)


class Tail(nn.Module):
    """The deconvolution, computed as s² sub-pixel convolutions."""

    index: Tensor

    def __init__(self, inputs: int, scale: int, kernel: int) -> None:
        super().__init__()
        self.kernel = CollapsibleKernel(1, inputs, kernel, gain=0.1)
        self.bias = nn.Parameter(torch.zeros(1))
        self.scale = scale
        self.register_buffer("index", torch.from_numpy(phase_index(scale, kernel)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, s², H, W), one channel a phase."""
        taps = functional.pad(self.kernel()[0].flatten(1), (0, 1))  # the last tap is the one that does not exist
        kernels = taps[:, self.index].transpose(0, 1)
        return functional.conv2d(x, kernels, self.bias.expand(self.scale**2))


class Network(nn.Module):
    """An `Architecture` that learns."""

    bicubic: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        tail = architecture.tail
        self.body = nn.ModuleDict({layer.name: Layer(layer) for layer in architecture.body})
        kernel = architecture.shapes[f"{tail.name}.weight"][-1]
        self.tail = Tail(tail.inputs, tail.scale, kernel)
        # How many pixels more the body's features reach than the tail needs, and the input than bicubic needs.
        reach = sum(layer.kernel // 2 for layer in architecture.body) + deconvolution_reach(tail.scale, kernel)
        self.surplus = architecture.halo - reach
        self.register_buffer("bicubic", torch.from_numpy(bicubic_kernels(architecture.scale)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, scale*H, scale*W) from (N, 1, H + 2*halo, W + 2*halo)."""
        base = functional.conv2d(_trim(x, self.architecture.halo - BICUBIC_REACH), self.bicubic)
        x = _trim(x, self.surplus)
        for _, layer in self._layers:
            x = layer(x)
        return functional.pixel_shuffle(base + self.tail(x), self.architecture.scale)

    @property
    def _layers(self) -> Iterable[tuple[str, Layer]]:
        return cast(Iterable[tuple[str, Layer]], self.body.items())

    @torch.no_grad()
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The collapsed weights, by the names of `Architecture.shapes`."""
        result: dict[str, Tensor] = {}
        for name, layer in self._layers:
            result |= {f"{name}.weight": layer.kernel(), f"{name}.bias": layer.bias, f"{name}.slope": layer.slope}
        name = self.architecture.tail.name
        result |= {f"{name}.weight": self.tail.kernel().transpose(0, 1), f"{name}.bias": self.tail.bias}
        return {name: tensor.numpy(force=True).copy() for name, tensor in result.items()}

    @torch.no_grad()
    def load_tensors(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        """Continue from collapsed weights; layers that `tensors` does not name keep their start."""
        weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        for name, layer in self._layers:
            if f"{name}.weight" in weights:
                layer.kernel.collapse_to(weights[f"{name}.weight"])
                layer.bias.copy_(weights[f"{name}.bias"])
                layer.slope.copy_(weights[f"{name}.slope"])
        name = self.architecture.tail.name
        if f"{name}.weight" in weights:
            self.tail.kernel.collapse_to(weights[f"{name}.weight"].transpose(0, 1))
            self.tail.bias.copy_(weights[f"{name}.bias"])


def _trim(x: Tensor, pixels: int) -> Tensor:
    return x[..., pixels : x.shape[-2] - pixels, pixels : x.shape[-1] - pixels]
