"""Networks with more mapping layers or a wider deconvolution than the one they start from, which compute the same."""

from dataclasses import replace

import numpy as np

from vidsr.model.architecture import ACTIVATIONS, fsrcnn
from vidsr.model.weights import Weights


def with_mapping_layers(weights: Weights, count: int) -> Weights:
    """The FSRCNN with `count` mapping layers: the first ones of `weights`, and new ones that change nothing.

    With more layers the network still computes exactly what it did. Raises ValueError for another family, for a
    number that makes no network, and for an activation that no layer can undo.
    """
    before = weights.architecture
    if before.family != "fsrcnn":
        raise ValueError(f"mapping_layers can be set for FSRCNN alone, not for {before}")
    d, s, m = before.dimensions
    if count > m and before.activation == "leaky-relu":
        raise ValueError(
            "mapping_layers can only become fewer with leaky-relu, for a new layer would change the picture"
        )
    after = fsrcnn(d, s, count, before.scale, activation=before.activation, kernel=before.tail.kernel)
    after = replace(after, residual=before.residual, tail=before.tail)
    kept = {name: tensor for name, tensor in weights.tensors.items() if name in after.shapes}
    new = [layer for layer in after.body if f"{layer.name}.weight" not in kept]
    slope = 1.0 if ACTIVATIONS[before.activation].trainable else 0.0  # a ReLU's output passes the next unchanged
    identity = np.zeros((s, s, 3, 3), np.float32)
    identity[range(s), range(s), 1, 1] = 1
    for layer in new:
        kept |= {
            f"{layer.name}.weight": identity,
            f"{layer.name}.bias": np.zeros(s, np.float32),
            f"{layer.name}.slope": np.full(layer.slopes, slope, np.float32),
        }
    return Weights(architecture=after, tensors=kept, facts=weights.facts)


def with_tail_kernel(weights: Weights, kernel: int) -> Weights:
    """The FSRCNN with a deconvolution of `kernel` taps a side, those around the old ones zero.

    Raises ValueError for another family, and for fewer taps, or so many that the old ones have no middle to lie in.
    """
    before = weights.architecture
    more, rest = divmod(kernel - before.tail.kernel, 2)
    if before.family != "fsrcnn" or more < 0 or rest:
        raise ValueError(
            f"tail_kernel must be {before.tail.kernel} and an even number more, of an FSRCNN, not {kernel}"
        )
    after = replace(before, tail=replace(before.tail, kernel=kernel, padding=before.tail.padding + more))
    name = f"{before.tail.name}.weight"
    widened = np.pad(weights.tensors[name], ((0, 0), (0, 0), (more, more), (more, more)))
    return Weights(architecture=after, tensors={**weights.tensors, name: widened}, facts=weights.facts)
