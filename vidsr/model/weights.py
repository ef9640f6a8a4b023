"""The weights of a network: checked, in `.npz` files, and expanded to larger networks that compute the same.

A file is never a pickle; it holds the tensors by name, and a JSON header that describes them.
"""

import hashlib
import io
import json
import math
import operator
import stat
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vidsr.errors import ModelError
from vidsr.model.architecture import ACTIVATIONS, FAMILIES, Architecture, fsrcnn

MAX_BYTES = 64 << 20  # a network of this kind takes 50 kB; whatever is far larger is something else
_HEADER = "header"
_DESCRIPTION = ("family", "dimensions", "scale", "activation", "residual", "deconvolution", "long_skip")

Facts = dict[str, str | int | float | dict[str, float]]
Tensors = dict[str, NDArray[np.float32]]
"""By name."""
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


def _calibration(header: dict[str, object]) -> Calibration:
    ranges, losses = header["ranges"], header["losses"]
    if not isinstance(ranges, dict) or not isinstance(losses, dict):
        raise ModelError("its calibration has no names")
    return Calibration(ranges={name: np.array(ends, np.float32) for name, ends in ranges.items()}, losses=losses)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A trained network: its architecture, its tensors (float32, by name), and what is known about it."""

    architecture: Architecture
    tensors: dict[str, NDArray[np.float32]]
    facts: Facts = field(default_factory=dict)
    calibration: Calibration | None = None
    """Of these very tensors; without it the network cannot be computed in int8."""

    def __post_init__(self) -> None:
        """Raises ModelError unless every tensor is there, of its shape, float32 and finite, and every range."""
        expected = self.architecture.shapes
        if expected.keys() != self.tensors.keys():
            odd = sorted(expected.keys() ^ self.tensors.keys())
            raise ModelError(f"weights of {self.architecture} do not match its layers: {', '.join(odd)}")
        for name, tensor in self.tensors.items():
            if tensor.shape != expected[name] or tensor.dtype != np.float32:
                found = f"{tensor.dtype}{list(tensor.shape)}"
                raise ModelError(f"tensor {name} is {found}, {self.architecture} needs float32{list(expected[name])}")
            if not np.isfinite(tensor).all():
                raise ModelError(f"tensor {name} holds a value that is not finite")
        if self.calibration:
            self.calibration.check(self.architecture)


def save_weights(file: Path | BinaryIO, weights: Weights) -> None:
    """Write the file, given by its path or open; equal weights give equal bytes."""
    architecture = weights.architecture
    header: dict[str, object] = {
        "family": architecture.family,
        "dimensions": list(architecture.dimensions),
        "scale": architecture.scale,
        "activation": architecture.activation,
        "residual": architecture.residual,
        **({"long_skip": True} if architecture.long_skip else {}),
        "deconvolution": {"kernel": architecture.tail.kernel, "padding": architecture.tail.padding},
        "facts": weights.facts,
    }
    if calibration := weights.calibration:
        ranges = {
            name: [[float(f"{end:.6g}") for end in row] for row in ends] for name, ends in calibration.ranges.items()
        }
        header["calibration"] = {"ranges": ranges, "losses": calibration.losses}
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{_HEADER: text}, **weights.tensors)


def load_weights(path: Path) -> Weights:
    """Read and check a weight file. Raises ModelError, naming the file, for whatever is wrong with it."""
    try:
        return _parse(read_bytes(path))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:  # zipfile, zlib, numpy and json fail at hostile bytes each in ways of their own
        raise ModelError(f"{path}: not a weight file of vidsr ({error})") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file that may hold weights. Raises OSError, and ModelError for what cannot be such a file."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("not a file")
    if status.st_size > MAX_BYTES:
        raise ModelError(f"larger than {MAX_BYTES >> 20} MB")
    return path.read_bytes()


def _parse(data: bytes) -> Weights:
    if sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(data)).infolist()) > MAX_BYTES:
        raise ModelError(f"larger than {MAX_BYTES >> 20} MB when unpacked")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        tensors = {name: file[name] for name in file.files}
    header = json.loads(tensors.pop(_HEADER).tobytes())
    if not isinstance(header["facts"], dict):
        raise ModelError("its facts have no names")
    described = {name: header[name] for name in _DESCRIPTION if name in header}
    calibration = _calibration(header["calibration"]) if "calibration" in header else None
    architecture = _architecture(**described)
    return Weights(architecture=architecture, tensors=tensors, facts=header["facts"], calibration=calibration)


def _architecture(
    family: str,
    dimensions: list[int],
    scale: int,
    activation: str = "prelu",
    residual: bool = True,
    deconvolution: dict[str, int] | None = None,
    long_skip: bool = False,
) -> Architecture:
    """What a header describes. The first files said no more than family, dimensions and scale."""
    if family not in FAMILIES:
        raise ModelError(f"family {family!r} is not known")
    build, count = FAMILIES[family]
    numbers = [operator.index(number) for number in dimensions]
    if len(numbers) != count:
        raise ModelError(f"{family} has {count} dimensions, not {len(numbers)}")
    own = {**(deconvolution or {}), "long_skip": bool(long_skip)} if family == "fsrcnn" else {}
    return build(*numbers, operator.index(scale), activation=activation, residual=residual, **own)


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
    after = replace(after, residual=before.residual, tail=before.tail, long_skip=before.long_skip)
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

    Raises ValueError for another family, and for fewer taps, or a number of them in which the old ones have no middle.
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


def blend(first: Weights, second: Weights, share: float) -> Weights:
    """The mean of two networks, with a `share` of 0 to 1 of the second; the second was trained from the first.

    Their ranges for int8 are averaged as well, and the larger loss of each precision is taken; on Kodak int8 loses no
    more of a mean than of the two. Raises ModelError for networks of two architectures.
    """
    if first.architecture != second.architecture:
        raise ModelError(f"no mean of {first.architecture} and {second.architecture}")
    tensors = _mean(first.tensors, second.tensors, share)
    calibration = None
    if first.calibration and second.calibration:
        losses = {
            precision: max(loss, second.calibration.losses[precision])
            for precision, loss in first.calibration.losses.items()
            if precision in second.calibration.losses
        }
        ranges = _mean(first.calibration.ranges, second.calibration.ranges, share)
        calibration = Calibration(ranges=ranges, losses=losses)
    return Weights(architecture=first.architecture, tensors=tensors, calibration=calibration)


def with_strength(weights: Weights, strength: float) -> Weights:
    """The network with `strength` times what it adds to the bicubic frame: 0 is bicubic, 1 the network as trained.

    Only the last layer changes, so the ranges for int8 hold: they are those of its inputs. The recorded losses are
    those at 1; at 1.5 int8 loses up to 0.02 dB more on Kodak. Raises ModelError for a network that computes the whole
    frame, unless `strength` is 1.
    """
    architecture = weights.architecture
    if strength == 1:
        return weights
    if not architecture.residual:
        raise ModelError(f"{architecture} computes whole frames, not what a bicubic one lacks: its strength is 1")
    last = {name: weights.tensors[name] * np.float32(strength) for name in architecture.tail.shapes}
    return replace(weights, tensors={**weights.tensors, **last})


def _mean(first: Tensors, second: Tensors, share: float) -> Tensors:
    return {name: tensor + np.float32(share) * (second[name] - tensor) for name, tensor in first.items()}


def weights_hash(weights: Weights) -> str:
    """A hash of all that results depend on."""
    calibration = weights.calibration or Calibration(ranges={})
    total = hashlib.sha256(f"{weights.architecture!r} {sorted(calibration.losses.items())}".encode())
    for name, numbers in (*sorted(weights.tensors.items()), *sorted(calibration.ranges.items())):
        total.update(f"{name} {numbers.dtype} {numbers.shape}".encode())
        total.update(numbers.tobytes())
    return total.hexdigest()
