"""The int8 calibration of a network: the ranges of its layers' inputs, and the loss of each precision."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vidsr.errors import ModelError
from vidsr.model.architecture import Architecture

Ranges = dict[str, NDArray[np.float32]]
"""By the name of a layer, (2, inputs): the lowest and the highest value of each of its input channels."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Measured on images, for a network whose grey levels are 0 to 1."""

    ranges: Ranges
    """Of every layer but the first, which is not computed in integers. Values outside are clipped."""
    losses: dict[str, float] = field(default_factory=dict)
    """The loss of PSNR in dB on images that were held out, by precision."""

    def check(self, architecture: Architecture) -> None:
        """Raises ModelError unless there is a finite range around 0 for every channel, and every loss is a number."""
        widths = input_widths(architecture)
        if self.ranges.keys() != widths.keys():
            odd = sorted(self.ranges.keys() ^ widths.keys())
            raise ModelError(f"ranges of {architecture} do not match its layers: {', '.join(odd)}")
        for name, ends in self.ranges.items():
            if ends.shape != (2, widths[name]) or ends.dtype != np.float32:
                raise ModelError(f"ranges of {name} must be float32[2, {widths[name]}], not {ends.dtype}{ends.shape}")
            if not np.isfinite(ends).all() or (ends[0] > 0).any() or (ends[1] < 0).any() or not ends.any():
                raise ModelError(f"ranges of {name} must be finite and reach from 0 or below to 0 or above")
        for precision, loss in self.losses.items():
            if type(loss) not in (int, float) or not math.isfinite(loss):
                raise ModelError(f"the loss of {precision} must be a number of dB, not {loss!r}")


def input_widths(architecture: Architecture) -> dict[str, int]:
    """The input channels of each layer but the first, in the order of the layers."""
    widths = {layer.name: layer.inputs for layer in architecture.body[1:]}
    return {**widths, architecture.tail.name: architecture.tail.inputs}


def as_header(calibration: Calibration) -> dict[str, object]:
    """Its JSON form."""
    ranges = {
        name: [[float(f"{end:.6g}") for end in row] for row in ends] for name, ends in calibration.ranges.items()
    }
    return {"ranges": ranges, "losses": calibration.losses}


def from_header(told: dict[str, object]) -> Calibration:
    """The inverse of `as_header`. Raises ModelError, ValueError or TypeError for anything else."""
    ranges, losses = told["ranges"], told["losses"]
    if not isinstance(ranges, dict) or not isinstance(losses, dict):
        raise ModelError("its calibration has no names")
    return Calibration(ranges={name: np.array(ends, np.float32) for name, ends in ranges.items()}, losses=losses)
