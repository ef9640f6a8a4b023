"""The network that a training begins with: random, or a start, perhaps grown or brought to another scale."""

import torch

from vidsr.model.expand_network import with_mapping_layers, with_tail_kernel
from vidsr.model.zoo import load_model
from vidsr.settings import NetworkSettings, TrainSettings
from vidsr.training.network import Network
from vidsr.training.stages import architecture_of, rescaled


def learner_of(network: NetworkSettings, settings: TrainSettings) -> tuple[Network, bool]:
    """What learns, and whether its tail begins anew below a body that has learnt.

    Raises ModelError for a start that is not there; ValueError for settings that do not fit each other.
    """
    if settings.start is None:
        if settings.train != "all":
            raise ValueError(f"train {settings.train} needs a start, or the rest would stay as random as it begins")
        if settings.mapping_layers is not None:
            raise ValueError("mapping_layers changes a start; without one, m is their number")
        if settings.tail_kernel is not None:
            raise ValueError("tail_kernel changes a start; without one, kernel is its size")
        return _placed(Network(architecture_of(network, settings.scale)), settings), False
    if network != NetworkSettings():
        raise ValueError("start brings its own network; the numbers of another cannot be given as well")
    start = load_model(settings.start, usual_scale=settings.scale)
    if settings.mapping_layers is not None:
        start = with_mapping_layers(start, settings.mapping_layers)
    if settings.tail_kernel is not None:
        start = with_tail_kernel(start, settings.tail_kernel)
    learner = Network(rescaled(start.architecture, settings.scale))
    fresh_tail = learner.architecture.tail != start.architecture.tail
    tail = f"{start.architecture.tail.name}."
    learner.load_tensors({n: t for n, t in start.tensors.items() if not (fresh_tail and n.startswith(tail))})
    return _placed(learner, settings), fresh_tail


def _placed(network: Network, settings: TrainSettings) -> Network:
    # Channels last is a third faster than the usual order.
    return network.to(settings.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
