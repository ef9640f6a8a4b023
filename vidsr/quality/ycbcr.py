"""Luma and chroma by the formula of the papers: BT.601 in studio range."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_OFFSET = np.array([16.0, 128.0, 128.0])


def studio_luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) luma: MATLAB's `rgb2ycbcr` of an (H, W, 3) image, range 16 to 235; an (H, W) image is unchanged."""
    if image.ndim == 2:
        return image
    luma: NDArray[np.uint8] = np.round(image @ _MATRIX[0] + _OFFSET[0]).astype(np.uint8)
    return luma


def studio_chroma(image: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """Cb and Cr of an (H, W, 3) image, both (H, W), range 16 to 240, not rounded."""
    return [image @ weights + 128 for weights in _MATRIX[1:]]


def studio_rgb(luma: NDArray[np.uint8], chroma: Sequence[NDArray[np.generic]]) -> NDArray[np.uint8]:
    """The (H, W, 3) image of studio-range luma and chroma."""
    planes = np.stack([luma, *chroma], axis=-1) - _OFFSET
    image: NDArray[np.uint8] = np.clip(np.round(planes @ np.linalg.inv(_MATRIX).T), 0, 255).astype(np.uint8)
    return image
