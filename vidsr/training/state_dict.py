"""PyTorch state dicts, read as tensors only."""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.interop.state_dict_import import PADDING, weights_from_tensors
from vidsr.model.weights import MAX_BYTES, Weights, read_bytes

_WRAPPERS = ("state_dict", "model_state_dict", "model", "params")


def import_state_dict(path: Path, scale: int, *, padding: int = PADDING) -> Weights:
    """The weights of an FSRCNN or SRCNN in a PyTorch state dict. No code in the file is executed.

    `padding` is the padding of the deconvolution. Raises ModelError, which names the file.
    """
    try:
        return weights_from_tensors(_tensors(read_bytes(path)), scale, padding=padding, source=path.name)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _tensors(data: bytes) -> dict[str, NDArray[np.float32]]:
    """The tensors by name, in the order of the file."""
    try:
        return {name: tensor.detach().float().numpy() for name, tensor in _validated(_load(data)).items()}
    except ModelError:
        raise
    except Exception as error:  # torch, zipfile and pickle raise anything for hostile bytes
        raise ModelError("no state dict of PyTorch that holds only tensors; save `model.state_dict()`") from error


def _load(data: bytes) -> object:
    if data.startswith(b"PK"):
        unpacked = sum(member.file_size for member in zipfile.ZipFile(io.BytesIO(data)).infolist())
        if unpacked > MAX_BYTES:
            raise ModelError(f"larger than {MAX_BYTES >> 20} MB uncompressed")
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _validated(content: object) -> dict[str, Tensor]:
    """The tensors of a state dict, also of one nested in a checkpoint."""
    if not isinstance(content, dict):
        raise ModelError(f"holds a {type(content).__name__}, not a state dict")
    content = next((content[name] for name in _WRAPPERS if isinstance(content.get(name), dict)), content)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(f"no state dict: {name!r} is a {type(value).__name__}")
        if not value.is_floating_point():
            raise ModelError(f"tensor {name} is {value.dtype}, not floating point")
    if sum(value.numel() for value in content.values()) > MAX_BYTES // 4:  # expanded tensors repeat stored values
        raise ModelError(f"larger than {MAX_BYTES >> 20} MB in memory")
    return content
