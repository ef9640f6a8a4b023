"""An architecture as a PyTorch module, in the form that trains well; and the initial network of a training.

- Every k×k convolution trains as a k×k expansion to `EXPANDED_CHANNELS` channels followed by a 1×1 projection, with an
  identity added where the channels match (SESR's collapsible linear block). Both are linear, so they collapse
  to one kernel, here at every step: the network computes, and exports, plain convolutions.
- Convolutions are valid: (N, 1, H + 2*halo, W + 2*halo) in, (N, 1, scale*H, scale*W) out, values in 0..1.
- The result is the bicubic upscaling plus the output of the layers, unless the architecture is not residual.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidsr.model.architecture import (
    ACTIVATIONS,
    PAPER_KERNEL,
    Activation,
    Architecture,
    Convolution,
    Deconvolution,
    fsrcnn,
    srcnn,
)
from vidsr.model.subpixel import BICUBIC_RADIUS, bicubic_kernels, centred_padding, phase_index
from vidsr.model.weights import with_mapping_layers, with_tail_kernel
from vidsr.model.zoo import load_model
from vidsr.settings import NetworkSettings, TrainSettings

EXPANDED_CHANNELS = 256


class CollapsibleKernel(nn.Module):
    """A (outputs, inputs, k, k) kernel as the product of an expansion and a projection."""

    start: Tensor

    def __init__(self, outputs: int, inputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__()
        self.expand = nn.Parameter(
            torch.randn(EXPANDED_CHANNELS, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2)
        )
        self.project = nn.Parameter(torch.randn(outputs, EXPANDED_CHANNELS) * gain / math.sqrt(EXPANDED_CHANNELS))
        start = torch.zeros(outputs, inputs, kernel, kernel)
        if outputs == inputs and kernel > 1:
            start[range(outputs), range(outputs), kernel // 2, kernel // 2] = 1
        self.register_buffer("start", start)

    def forward(self) -> Tensor:
        """The collapsed kernel: an einsum on weights, in float32 also under autocast; cheap beside a convolution."""
        with torch.autocast(self.start.device.type, enabled=False):
            return self.start + torch.einsum("ow,wiyx->oiyx", self.project, self.expand)

    def set_kernel(self, kernel: Tensor) -> None:
        """Set the collapsed kernel to `kernel`; the trainable part on top of it begins at zero."""
        self.start.copy_(kernel)
        nn.init.zeros_(self.project)


class Layer(nn.Module):
    """A collapsible convolution, its bias and its activation."""

    def __init__(self, shape: Convolution, activation: Activation) -> None:
        super().__init__()
        self.kernel = CollapsibleKernel(shape.outputs, shape.inputs, shape.kernel)
        self.bias = nn.Parameter(torch.zeros(shape.outputs))
        slope = torch.full((shape.slopes,), activation.slope)
        self.slope = nn.Parameter(slope, requires_grad=activation.trainable)

    def forward(self, x: Tensor) -> Tensor:
        """(N, outputs, H - k + 1, W - k + 1) from (N, inputs, H, W)."""
        return functional.prelu(functional.conv2d(x, self.kernel(), self.bias), self.slope)


class Tail(nn.Module):
    """The deconvolution, computed as stride² sub-pixel convolutions."""

    index: Tensor

    def __init__(self, shape: Deconvolution) -> None:
        super().__init__()
        self.kernel = CollapsibleKernel(1, shape.inputs, shape.kernel, gain=0.1)
        self.bias = nn.Parameter(torch.zeros(1))
        self.stride = shape.stride
        self.register_buffer("index", torch.from_numpy(phase_index(shape.stride, shape.kernel, shape.padding)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, stride*H, stride*W) from (N, inputs, H + 2*reach, W + 2*reach)."""
        taps = functional.pad(self.kernel()[0].flatten(1), (0, 1))  # the last tap is the zero that missing taps index
        kernels = taps[:, self.index].transpose(0, 1)
        return functional.pixel_shuffle(functional.conv2d(x, kernels, self.bias.expand(self.stride**2)), self.stride)


class Network(nn.Module):
    """A trainable `Architecture`; with `mixed`, all layers but the first compute in bfloat16.

    The first layer reads grey levels, which eight bits of precision would blur; the others read features.
    """

    bicubic: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture, self.mixed = architecture, False
        activation = ACTIVATIONS[architecture.activation]
        self.body = nn.ModuleDict({layer.name: Layer(layer, activation) for layer in architecture.body})
        self.tail = Tail(architecture.tail)
        self.register_buffer("bicubic", torch.from_numpy(bicubic_kernels(architecture.scale)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, scale*H, scale*W) from (N, 1, H + 2*halo, W + 2*halo)."""
        architecture = self.architecture
        base = functional.pixel_shuffle(functional.conv2d(x, self.bicubic), architecture.scale)
        excess = (architecture.halo - BICUBIC_RADIUS) * architecture.scale
        seen = base if architecture.upscales_first else x
        margin = excess if architecture.upscales_first else architecture.halo
        added = self.layers(_trim(seen, margin - architecture.reach))
        return _trim(base, excess) + added if architecture.residual else added

    def layers(self, x: Tensor) -> Tensor:
        """The output of the layers for a plane that is `reach` pixels larger on every side than the result."""
        (_, first), *others = self._layers
        x = features = first(x)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            for _, layer in others:
                x = layer(x)
            if self.architecture.long_skip:
                x = x + _trim(features, (features.shape[-1] - x.shape[-1]) // 2)
            return cast(Tensor, self.tail(x).float())

    def select_trainable(self, part: str) -> list[nn.Parameter]:
        """Makes "all", the "tail" or the "mapping" layers trainable, but no fixed slope; returns the parameters."""
        mapping = [layer for name, layer in self._layers if name.startswith("mapping")]
        parts: dict[str, list[nn.Module]] = {"all": [self], "tail": [self.tail], "mapping": [*mapping]}
        self.requires_grad_(False)
        fixed = not ACTIVATIONS[self.architecture.activation].trainable
        for module in parts[part]:
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(not (fixed and name.endswith("slope")))
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @property
    def _layers(self) -> Iterable[tuple[str, Layer]]:
        return cast(Iterable[tuple[str, Layer]], self.body.items())

    @torch.no_grad()
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The collapsed weights, named as in `Architecture.shapes`."""
        result: dict[str, Tensor] = {}
        for name, layer in self._layers:
            result |= {f"{name}.weight": layer.kernel(), f"{name}.bias": layer.bias, f"{name}.slope": layer.slope}
        name = self.architecture.tail.name
        result |= {f"{name}.weight": self.tail.kernel().transpose(0, 1), f"{name}.bias": self.tail.bias}
        return {name: tensor.numpy(force=True).copy() for name, tensor in result.items()}

    @torch.no_grad()
    def load_tensors(self, tensors: dict[str, NDArray[np.float32]]) -> None:
        """Load collapsed weights; layers missing from `tensors` keep their initial weights."""
        weights = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
        for name, layer in self._layers:
            if f"{name}.weight" in weights:
                layer.kernel.set_kernel(weights[f"{name}.weight"])
                layer.bias.copy_(weights[f"{name}.bias"])
                layer.slope.copy_(weights[f"{name}.slope"])
        name = self.architecture.tail.name
        if f"{name}.weight" in weights:
            self.tail.kernel.set_kernel(weights[f"{name}.weight"].transpose(0, 1))
            self.tail.bias.copy_(weights[f"{name}.bias"])


def _trim(x: Tensor, pixels: int) -> Tensor:
    return x[..., pixels : x.shape[-2] - pixels, pixels : x.shape[-1] - pixels]


def build_architecture(network: NetworkSettings, scale: int) -> Architecture:
    """The architecture that the settings describe. Raises ValueError for impossible numbers."""
    if network.family == "srcnn":
        kernels, widths = network.kernels or "9-1-5", network.widths or "64-32"
        k1, k2, k3 = map(int, kernels.split("-"))
        n1, n2 = map(int, widths.split("-"))
        return srcnn(k1, k2, k3, n1, n2, scale, activation=network.activation or "relu")
    d, s, m, kernel = (
        default if number is None else number
        for number, default in ((network.d, 56), (network.s, 12), (network.m, 4), (network.kernel, PAPER_KERNEL))
    )
    activation = network.activation or "prelu"
    return fsrcnn(d, s, m, scale, activation=activation, kernel=kernel, long_skip=network.long_skip)


def rescale(architecture: Architecture, scale: int) -> Architecture:
    """The same layers for another scale; a deconvolution kernel other than PAPER_KERNEL keeps its LR extent."""
    if architecture.upscales_first or architecture.scale == scale:
        return replace(architecture, scale=scale)
    kernel = architecture.tail.kernel
    if kernel != PAPER_KERNEL:
        kernel = -(-kernel // architecture.scale) * scale
    tail = replace(architecture.tail, stride=scale, kernel=kernel, padding=centred_padding(scale, kernel))
    return replace(architecture, scale=scale, tail=tail)


def initial_network(network: NetworkSettings, settings: TrainSettings) -> tuple[Network, bool]:
    """Returns the network to train, and whether a fresh tail follows a trained body.

    Raises ModelError for an initial model that does not exist; ValueError for settings that exclude each other.
    """
    if settings.initial_model is None:
        if settings.layers != "all":
            raise ValueError(
                f"layers={settings.layers} needs an initial model: the other layers would keep their random weights"
            )
        if settings.mapping_layers is not None:
            raise ValueError("mapping_layers expands an initial model; without one, set m")
        if settings.tail_kernel is not None:
            raise ValueError("tail_kernel expands an initial model; without one, set kernel")
        return _to_device(Network(build_architecture(network, settings.scale)), settings), False
    if network != NetworkSettings():
        raise ValueError("initial_model has its own architecture; remove the options of the network")
    start = load_model(settings.initial_model, usual_scale=settings.scale)
    if settings.mapping_layers is not None:
        start = with_mapping_layers(start, settings.mapping_layers)
    if settings.tail_kernel is not None:
        start = with_tail_kernel(start, settings.tail_kernel)
    learner = Network(rescale(start.architecture, settings.scale))
    fresh_tail = learner.architecture.tail != start.architecture.tail
    tail = f"{start.architecture.tail.name}."
    learner.load_tensors({n: t for n, t in start.tensors.items() if not (fresh_tail and n.startswith(tail))})
    return _to_device(learner, settings), fresh_tail


def _to_device(network: Network, settings: TrainSettings) -> Network:
    # channels_last is a third faster than the default memory format.
    return network.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
