"""Luma as the papers measure it."""

import numpy as np
from numpy.typing import NDArray


def studio_luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) luma: MATLAB's `rgb2ycbcr` of an (H, W, 3) picture, range 16 to 235; a grey one as it is."""
    if image.ndim == 2:
        return image
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.round(image @ weights + 16).astype(np.uint8)
