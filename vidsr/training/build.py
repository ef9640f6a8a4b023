"""The initial network of a training: random weights, or a start model, perhaps expanded or at another scale."""

import torch

from vidsr.model.expand_network import with_mapping_layers, with_tail_kernel
from vidsr.model.zoo import load_model
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.network import Network
from vidsr.training.stages import build_architecture, rescale


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
