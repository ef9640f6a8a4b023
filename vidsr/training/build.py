"""The initial network of a training: random weights, or a start model, perhaps expanded or at another scale."""

from dataclasses import replace

import torch

from vidsr.model.architecture import PAPER_KERNEL, Architecture, fsrcnn, srcnn
from vidsr.model.subpixel import centred_padding
from vidsr.model.weights import with_mapping_layers, with_tail_kernel
from vidsr.model.zoo import load_model
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.network import Network


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
    return fsrcnn(d, s, m, scale, activation=network.activation or "prelu", kernel=kernel)


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

    Raises ModelError for a start that does not exist; ValueError for settings that exclude each other.
    """
    if settings.start is None:
        if settings.train != "all":
            raise ValueError(f"train={settings.train} needs a start: the other layers would keep their random weights")
        if settings.mapping_layers is not None:
            raise ValueError("mapping_layers changes a start; without a start, set m")
        if settings.tail_kernel is not None:
            raise ValueError("tail_kernel changes a start; without a start, set kernel")
        return _to_device(Network(build_architecture(network, settings.scale)), settings), False
    if network != NetworkSettings():
        raise ValueError("start has its own architecture; remove the options of the network")
    start = load_model(settings.start, usual_scale=settings.scale)
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
