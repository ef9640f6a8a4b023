"""The arrays that the parts of vidsr hand to each other, each under one name."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) samples of one component of a frame, as they are stored: 8 bits, or up to 16."""
Luma: TypeAlias = NDArray[np.uint8]
"""(H, W) luma, 0 to 255."""
Mask: TypeAlias = NDArray[np.bool_]
"""(H, W): whether a pixel belongs to an area."""
Floats: TypeAlias = NDArray[np.float64]
"""Numbers to compute with; the shape is said where it matters."""
