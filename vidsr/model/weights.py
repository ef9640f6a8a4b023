"""Weight files: one `.npz`, never a pickle; the tensors by name and a JSON header that says what they are."""

import io
import json
import operator
import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsr.errors import ModelError
from vidsr.model.architecture import Architecture, fsrcnn

MAX_BYTES = 64 << 20  # a network of this kind takes 50 kB; whatever is far larger is something else
_HEADER = "header"

Facts = dict[str, str | int | float | dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A trained network: its architecture, its tensors (float32, by name), and what is known about it."""

    architecture: Architecture
    tensors: dict[str, NDArray[np.float32]]
    facts: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ModelError unless every tensor is there, of its shape, float32 and finite."""
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


def save_weights(path: Path, weights: Weights) -> None:
    """Write the file; equal weights give equal bytes."""
    architecture = weights.architecture
    header = {
        "family": architecture.family,
        "dimensions": list(architecture.dimensions),
        "scale": architecture.scale,
        "facts": weights.facts,
    }
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
    np.savez_compressed(path, allow_pickle=False, **{_HEADER: text}, **weights.tensors)


def load_weights(path: Path) -> Weights:
    """Read and check a weight file. Raises ModelError, naming the file, for whatever is wrong with it."""
    try:
        return _parse(_read(path))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    except Exception as error:  # zipfile, zlib, numpy and json fail at hostile bytes each in ways of their own
        raise ModelError(f"{path}: not a weight file of vidsr ({error})") from error


def _read(path: Path) -> bytes:
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
    if header["family"] != "fsrcnn":
        raise ModelError(f"family {header['family']!r} is not known")
    d, s, m, scale = map(operator.index, [*header["dimensions"], header["scale"]])
    return Weights(architecture=fsrcnn(d, s, m, scale), tensors=tensors, facts=header["facts"])
