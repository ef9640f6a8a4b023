"""Import of FSRCNN and SRCNN state dicts of other projects; files are read as tensors only.

Projects differ only in the names of the layers. A state dict keeps the order in which the layers were created: kernel,
bias, PReLU slopes. So layers are recognised by order and shape, and names are ignored. No file states the scale, the
padding of the deconvolution, or the positions of ReLU, which has no tensors.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.model.architecture import PAPER_PADDING, Architecture, fsrcnn, srcnn
from vidsr.model.weights import MAX_BYTES, Facts, Weights, read_bytes

_WRAPPERS = ("state_dict", "model_state_dict", "model", "params")
Array = NDArray[np.float32]


def import_state_dict(
    path: Path,
    scale: int,
    *,
    padding: int = PAPER_PADDING,
    read: Callable[[bytes], dict[str, Array]] | None = None,
) -> Weights:
    """The weights of an FSRCNN or SRCNN in a PyTorch state dict. No code in the file is executed.

    `padding` is the padding of the deconvolution, `read` takes the tensors from a file of another format. Raises
    ModelError, which names the file.
    """
    try:
        return _weights_from_tensors((read or _tensors)(read_bytes(path)), scale, padding, path.name)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _tensors(data: bytes) -> dict[str, Array]:
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


@dataclass(kw_only=True)
class _Layer:
    name: str
    weight: Array
    bias: Array | None = None
    slope: Array | None = None

    def __str__(self) -> str:
        return f"{self.name} {'x'.join(map(str, self.weight.shape))}" + (
            " with slopes" if self.slope is not None else ""
        )


def _weights_from_tensors(tensors: dict[str, Array], scale: int, padding: int, source: str) -> Weights:
    """The weights of an FSRCNN (slopes after every layer but the last) or an SRCNN (three layers, ReLU, no slopes).

    `source` goes into the facts. Raises ModelError, listing the layers, for any other network.
    """
    layers = _layers(tensors)
    if (channels := layers[0].weight.shape[1]) != 1:
        raise ModelError(f"a network for {channels} channels ({layers[0]}); vidsr needs one, the luma")
    *body, last = layers
    slopes = [layer.slope is not None for layer in body]
    is_fsrcnn, is_srcnn = len(body) >= 3 and all(slopes), len(body) == 2 and not any(slopes)
    if last.slope is not None or not (is_fsrcnn or is_srcnn):
        raise ModelError(f"neither an FSRCNN nor an SRCNN: {'; '.join(map(str, layers))}")
    try:
        architecture = _fsrcnn(body, last, scale, padding) if is_fsrcnn else _srcnn(layers, scale)
    except ValueError as error:
        raise ModelError(f"not a valid {'FSRCNN' if is_fsrcnn else 'SRCNN'}: {error}") from error
    if is_srcnn:  # ours is a deconvolution of stride 1
        last.weight = np.ascontiguousarray(last.weight.transpose(1, 0, 2, 3)[..., ::-1, ::-1])
    own_tensors: dict[str, Array] = {}
    for name, theirs in zip(
        [*(layer.name for layer in architecture.body), architecture.tail.name], layers, strict=True
    ):
        bias = np.zeros(architecture.shapes[f"{name}.bias"], np.float32) if theirs.bias is None else theirs.bias
        own_tensors |= {f"{name}.weight": theirs.weight, f"{name}.bias": bias}
    for ours, theirs in zip(architecture.body, body, strict=True):
        slope = np.zeros(1, np.float32) if theirs.slope is None else theirs.slope
        own_tensors[f"{ours.name}.slope"] = np.repeat(slope, ours.slopes) if slope.size == 1 else slope
    facts: Facts = {"start": "import", "source": source}
    return Weights(architecture=architecture, tensors=own_tensors, facts=facts)


def _layers(tensors: dict[str, Array]) -> list[_Layer]:
    layers: list[_Layer] = []
    for name, tensor in tensors.items():
        owner, _, kind = name.rpartition(".")
        last = layers[-1] if layers else None
        if kind == "weight" and tensor.ndim == 4:
            layers.append(_Layer(name=owner, weight=tensor))
        elif last and kind == "bias" and owner == last.name:
            last.bias = tensor
        elif last and kind == "weight" and tensor.ndim == 1 and last.slope is None:
            last.slope = tensor
        else:
            raise ModelError(f"tensor {name} {list(tensor.shape)} does not fit an FSRCNN or SRCNN here")
    if not layers:
        raise ModelError("the state dict has no tensors")
    return layers


def _fsrcnn(body: list[_Layer], last: _Layer, scale: int, padding: int) -> Architecture:
    d, s, m, kernel = len(body[0].weight), len(body[1].weight), len(body) - 3, last.weight.shape[-1]
    if d == s:
        raise ModelError(
            f"an FSRCNN({d},{s},{m}) with a shrinking and an expanding layer for d = s = {d}; "
            "vidsr omits both layers when d = s"
        )
    shared = all(layer.slope is not None and layer.slope.size == 1 for layer in body)
    activation = "prelu-shared" if shared else "prelu"
    return fsrcnn(d, s, m, scale, activation=activation, kernel=kernel, padding=padding, residual=False)


def _srcnn(layers: list[_Layer], scale: int) -> Architecture:
    k1, k2, k3 = (layer.weight.shape[-1] for layer in layers)
    n1, n2, _ = (len(layer.weight) for layer in layers)
    return srcnn(k1, k2, k3, n1, n2, scale, residual=False)
