"""State dicts of PyTorch, read as tensors and nothing else."""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.interop.state_dict_import import PADDING, recognise
from vidsr.model.weights import MAX_BYTES, Weights, read_bytes

_WRAPPERS = ("state_dict", "model_state_dict", "model", "params")


def import_state_dict(path: Path, scale: int, *, padding: int = PADDING) -> Weights:
    """The weights of an FSRCNN or SRCNN that PyTorch saved. Nothing in the file is run.

    `padding` is that of its deconvolution. Raises ModelError, naming the file, for whatever is wrong with it.
    """
    try:
        return recognise(_tensors(read_bytes(path)), scale, padding=padding, source=path.name)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _tensors(data: bytes) -> dict[str, NDArray[np.float32]]:
    """By name, in the order of the file."""
    try:
        return {name: tensor.detach().float().numpy() for name, tensor in _checked(_unpickled(data)).items()}
    except ModelError:
        raise
    except Exception as error:  # torch, zipfile and pickle fail at hostile bytes each in ways of their own
        raise ModelError("no state dict of PyTorch that holds tensors alone; nothing else is read") from error


def _unpickled(data: bytes) -> object:
    if data.startswith(b"PK"):
        unpacked = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(data)).infolist())
        if unpacked > MAX_BYTES:
            raise ModelError(f"larger than {MAX_BYTES >> 20} MB when unpacked")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _checked(content: object) -> dict[str, Tensor]:
    """The tensors, which some projects save with other things around them."""
    if not isinstance(content, dict):
        raise ModelError(f"holds a {type(content).__name__}, not a state dict")
    content = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), dict)), content)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(f"no state dict: {name!r} is a {type(value).__name__}")
        if not value.is_floating_point():
            raise ModelError(f"tensor {name} is {value.dtype}, not of real numbers")
    if sum(value.numel() for value in content.values()) > MAX_BYTES // 4:  # one may repeat what is stored once
        raise ModelError(f"larger than {MAX_BYTES >> 20} MB in memory")
    return content
