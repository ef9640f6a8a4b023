"""FSRCNN and SRCNN as widely used projects lay them out, named layer by layer as theirs are."""

import torch
from torch import nn


def fsrcnn_parts(scale: int, d: int, s: int, m: int, slopes: bool = True) -> nn.Sequential:
    """Three parts: `first_part`, `mid_part`, `last_part` (yjn870)."""
    first, *middle, last = _stages(scale, d, s, m, slopes)
    return _named(
        first_part=first, mid_part=nn.Sequential(*(layer for stage in middle for layer in stage)), last_part=last
    )


def fsrcnn_stages(scale: int, d: int, s: int, m: int, slopes: bool = True) -> nn.Sequential:
    """A part for each step: `feature_extraction`, `shrink`, `map`, `expand`, `deconv` (Lornatang)."""
    feature, shrink, *mapping, expand, last = _stages(scale, d, s, m, slopes)
    layers = nn.Sequential(*(layer for stage in mapping for layer in stage))
    return _named(feature_extraction=feature, shrink=shrink, map=layers, expand=expand, deconv=last)


def fsrcnn_flat(scale: int, d: int, s: int, m: int, slopes: bool = True) -> nn.Sequential:
    """Convolutions and activations side by side, with names of their own."""
    *stages, last = _stages(scale, d, s, m, slopes)
    named = {
        f"{kind}_{number}": layer
        for number, stage in enumerate(stages)
        for kind, layer in zip(("conv", "act"), stage, strict=True)
    }
    return _named(**named, deconvolution=last)


def srcnn(k1: int, k2: int, k3: int, n1: int, n2: int) -> nn.Sequential:
    """`conv1`, `conv2`, `conv3`, on the enlarged plane (yjn870)."""
    shapes = [(1, n1, k1), (n1, n2, k2), (n2, 1, k3)]
    convolutions = [nn.Conv2d(inputs, outputs, k, padding=k // 2) for inputs, outputs, k in shapes]
    first, second, third = convolutions
    return _filled(_named(conv1=first, relu1=nn.ReLU(), conv2=second, relu2=nn.ReLU(), conv3=third))


def _stages(scale: int, d: int, s: int, m: int, slopes: bool) -> list[nn.Module]:
    shapes = [(1, d, 5), (d, s, 1), *[(s, s, 3)] * m, (s, d, 1)]
    stages = [
        nn.Sequential(nn.Conv2d(inputs, outputs, k, padding=k // 2), nn.PReLU(outputs if slopes else 1))
        for inputs, outputs, k in shapes
    ]
    last = nn.ConvTranspose2d(d, 1, 9, scale, padding=4, output_padding=scale - 1)
    return list(_filled(nn.Sequential(*stages, last)))


def _named(**layers: nn.Module) -> nn.Sequential:
    result = nn.Sequential()
    for name, layer in layers.items():
        result.add_module(name, layer)
    return result


@torch.no_grad()
def _filled(network: nn.Sequential) -> nn.Sequential:
    """With random numbers that make noise of about the brightness and contrast of the noise that goes in."""
    random = torch.Generator().manual_seed(1)
    for tensor in network.parameters():
        share = max(1, tensor[0].numel()) ** 0.5
        tensor.copy_(torch.randn(tensor.shape, generator=random) / share / 3 + (0.1 if tensor.ndim == 1 else 0))
    noise, last = torch.rand(1, 1, 60, 60, generator=random), network[-1]
    last.weight *= 0.2 / network(noise)[..., 20:-20, 20:-20].std()
    last.bias += 0.5 - network(noise).mean()
    return network
