"""Products of parameters of which a half, the rest marked slow, still has every pair of values."""

from collections.abc import Sequence
from itertools import product

import pytest


def half_of_product(*axes: Sequence[object]) -> list[object]:
    """All combinations of three axes or more; those whose indexes add up to an odd number are marked slow.

    The others hold every pair of values of two axes, since each other axis has an even and an odd index.
    """
    assert len(axes) > 2
    assert all(len(axis) > 1 for axis in axes)
    result: list[object] = []
    for indexes in product(*(range(len(axis)) for axis in axes)):
        values = [axis[index] for axis, index in zip(axes, indexes, strict=True)]
        result.append(pytest.param(*values, marks=pytest.mark.slow if sum(indexes) % 2 else ()))
    return result
