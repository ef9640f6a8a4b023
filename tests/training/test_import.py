"""Networks of other projects give here what they give there; what is no such network is refused, and nothing runs."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from ports import fsrcnn_flat, fsrcnn_parts, fsrcnn_stages, srcnn
from torch import Tensor, nn

from vidsr.engine import Engine
from vidsr.errors import ModelError
from vidsr.model.architecture import fsrcnn
from vidsr.model.weights import load_weights, save_weights
from vidsr.quality.matlab import imresize
from vidsr.training.state_dict_import import import_state_dict

Build = Callable[..., nn.Sequential]
LAYOUTS = [fsrcnn_parts, fsrcnn_stages, fsrcnn_flat]


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def plane(shape: tuple[int, int] = (31, 27)) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def given(port: nn.Module, x: NDArray[np.generic]) -> NDArray[np.float64]:
    """What the port makes of grey levels of 255."""
    with torch.inference_mode():
        result = port(torch.from_numpy(x.astype(np.float32) / np.float32(255))[None, None])[0, 0]
    return np.clip(result.double().numpy() * 255, 0, 255)


def assert_same_inside(result: NDArray[np.generic], expected: NDArray[np.float64], margin: int) -> None:
    """Within the rounding, where the edge, at which ports see zeros, is out of sight."""
    inner = (slice(margin, -margin),) * 2
    assert result.shape == expected.shape
    assert np.abs(result - expected)[inner].max() < 0.51
    assert expected[inner].std() > 5, "nothing much to compare"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_fsrcnn_gives_what_the_port_gives(scale: int, layout: Build, tmp_path: Path) -> None:
    port = layout(scale, 10, 4, 2)
    weights = import_state_dict(saved(tmp_path / "theirs.pth", port.state_dict()), scale)
    assert weights.architecture == fsrcnn(10, 4, 2, scale, padding=4, residual=False)
    assert_same_inside(Engine(weights)(plane()), given(port, plane()), weights.architecture.halo * scale)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_slope_for_all_channels_is_kept_as_one(layout: Build, tmp_path: Path) -> None:
    port = layout(2, 10, 4, 2, slopes=False)
    weights = import_state_dict(saved(tmp_path / "theirs.pth", port.state_dict()), 2)
    assert weights.architecture.activation == "prelu-shared"
    assert_same_inside(Engine(weights)(plane()), given(port, plane()), 2 * weights.architecture.halo)


@pytest.mark.parametrize("kernels", [(9, 5, 5), (9, 1, 5), (5, 3, 7)])
@pytest.mark.parametrize("scale", [2, 3])
def test_an_srcnn_gives_what_the_port_gives(scale: int, kernels: tuple[int, int, int], tmp_path: Path) -> None:
    port = srcnn(*kernels, 8, 4)
    weights = import_state_dict(saved(tmp_path / "theirs.pth", port.state_dict()), scale)
    assert weights.architecture.dimensions == (*kernels, 8, 4)
    expected = given(port, imresize(plane(), scale))
    assert_same_inside(Engine(weights)(plane()), expected, weights.architecture.halo * scale)


def test_another_padding_of_the_deconvolution_can_be_said(tmp_path: Path) -> None:
    port = fsrcnn_parts(3, 10, 4, 1)
    port.last_part = nn.ConvTranspose2d(10, 1, 9, 3, padding=3)
    path = saved(tmp_path / "theirs.pth", port.state_dict())
    weights = import_state_dict(path, 3, padding=3)
    assert_same_inside(Engine(weights)(plane()), given(port, plane()), 3 * weights.architecture.halo)
    with pytest.raises(ModelError, match="padding must be"):
        import_state_dict(path, 3, padding=9)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "params"])
def test_what_is_wrapped_up_is_found(wrapper: str, tmp_path: Path) -> None:
    tensors = fsrcnn_parts(2, 10, 4, 1).state_dict()
    content = {"epoch": 7, wrapper: {f"module.{name}": tensor for name, tensor in tensors.items()}}
    plain = import_state_dict(saved(tmp_path / "plain.pth", tensors), 2)
    wrapped = import_state_dict(saved(tmp_path / "wrapped.pth", content), 2)
    assert wrapped.architecture == plain.architecture
    assert all(np.array_equal(wrapped.tensors[name], plain.tensors[name]) for name in plain.tensors)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    path = saved(tmp_path / "theirs.pth", fsrcnn_parts(2, 10, 4, 1).to(dtype).state_dict())
    assert {tensor.dtype for tensor in import_state_dict(path, 2).tensors.values()} == {np.dtype(np.float32)}


def test_layers_without_a_bias_have_one_of_zero(tmp_path: Path) -> None:
    tensors = fsrcnn_parts(2, 10, 4, 1).state_dict()
    del tensors["last_part.bias"]
    weights = import_state_dict(saved(tmp_path / "theirs.pth", tensors), 2)
    assert weights.tensors["deconvolution.bias"] == 0


def test_the_old_format_of_torch_is_read_too_and_the_facts_say_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(fsrcnn_parts(2, 10, 4, 1).state_dict(), path, _use_new_zipfile_serialization=False)
    save_weights(tmp_path / "mine.npz", import_state_dict(path, 2))
    assert load_weights(tmp_path / "mine.npz").facts == {"start": "import", "source": "old.pth"}


# What is refused


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """A good state dict with some of it changed; None takes it out."""
    content = dict(fsrcnn_parts(2, 10, 4, 1).state_dict()) | changes
    return {name: tensor for name, tensor in content.items() if tensor is not None}


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "a list": (lambda: [torch.ones(1)], "holds a list, not a state dict"),
    "nothing": (dict, "the state dict has no tensors"),
    "other things": (lambda: {"epoch": 3}, "no state dict: 'epoch' is a int"),
    "whole numbers": (
        lambda: changed(**{"last_part.bias": torch.ones(1, dtype=torch.int64)}),
        r"tensor last_part\.bias is torch\.int64",
    ),
    "a NaN": (lambda: changed(**{"last_part.bias": torch.tensor([torch.nan])}), "not finite"),
    "more than float32 holds": (
        lambda: changed(**{"last_part.bias": torch.tensor([1e300], dtype=torch.float64)}),
        "not finite",
    ),
    "three channels": (
        lambda: changed(**{"first_part.0.weight": torch.ones(10, 3, 5, 5)}),
        r"for 3 channels \(first_part\.0 10x3x5x5 with slopes\)",
    ),
    "another kernel in the middle": (
        lambda: changed(**{"mid_part.2.weight": torch.ones(4, 4, 5, 5)}),
        r"tensor mapping0\.weight is float32\[4, 4, 5, 5\]",
    ),
    "a kernel that is not square": (
        lambda: changed(**{"last_part.weight": torch.ones(10, 1, 7, 9)}),
        r"tensor deconvolution\.weight is float32\[10, 1, 7, 9\]",
    ),
    "slopes of another number": (
        lambda: changed(**{"mid_part.3.weight": torch.ones(3)}),
        r"tensor mapping0\.slope is float32\[3\]",
    ),
    "a slope missing": (lambda: changed(**{"mid_part.3.weight": None}), "neither an FSRCNN nor an SRCNN: first_part"),
    "as narrow as deep": (
        lambda: fsrcnn_parts(2, 8, 8, 3).state_dict(),
        r"an FSRCNN\(8,8,3\) with a shrinking and an expanding layer",
    ),
    "another network": (lambda: nn.Linear(3, 4).state_dict(), r"tensor weight \[4, 3\] does not fit"),
    "batch norm": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4, track_running_stats=False)).state_dict(),
        r"tensor 1\.bias \[4\] does not fit",
    ),
    "sub-pixel convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 5), nn.Conv2d(8, 4, 3), nn.Conv2d(4, 4, 3)).state_dict(),
        r"tensor reconstruction\.weight is",
    ),
    "an even kernel": (
        lambda: nn.Sequential(nn.Conv2d(1, 8, 4), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 1, 5)).state_dict(),
        "not a valid SRCNN: SRCNN needs odd kernels",
    ),
    "a terabyte of the same": (
        lambda: changed(**{"last_part.weight": torch.ones(1).expand(1 << 38)}),
        "larger than 64 MB in memory",
    ),
    "a tensor that is not stored": (
        lambda: changed(**{"last_part.bias": torch.ones(1, device="meta")}),
        "no state dict",
    ),
    "a sparse tensor": (lambda: changed(**{"last_part.bias": torch.ones(1).to_sparse()}), "no state dict"),
    "a whole module": (lambda: nn.Conv2d(1, 4, 5), "no state dict of PyTorch that holds only tensors"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_is_no_such_network_is_refused_by_its_name(fault: str, tmp_path: Path) -> None:
    content, sentence = BAD[fault]
    path = saved(tmp_path / "theirs.pth", content())
    with pytest.raises(ModelError, match=sentence) as refused:
        import_state_dict(path, 2)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"PK\x03\x04 and no more", pickle.dumps({"a": 1})[:-3], b"\x80\x02."]
)
def test_bytes_that_are_nothing_are_refused_by_their_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^{path}: no state dict of PyTorch"):
        import_state_dict(path, 2)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "theirs.pth", changed())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ModelError, match="no state dict of PyTorch"):
        import_state_dict(path, 2)


def test_a_zip_that_unpacks_to_far_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(65 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=f"^{path}: larger than 64 MB uncompressed"):
        import_state_dict(path, 2)


def test_what_is_no_file_is_refused_by_its_name(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "none.pth", "No such file"),
        (tmp_path, "not a file"),
        (Path("/dev/zero"), "not a"),
    ):
        with pytest.raises(ModelError, match=f"^{path}: {reason}"):
            import_state_dict(path, 2)


class Bomb:
    """Whoever unpickles it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_ever_run(zipped: bool, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "theirs.pth"
    for content in (Bomb(marker), {"state_dict": Bomb(marker)}, changed() | {"last_part.bias": Bomb(marker)}):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(ModelError, match=f"^{path}: no state dict of PyTorch"):
            import_state_dict(path, 2)
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ModelError, match=f"^{path}: no state dict of PyTorch"):
        import_state_dict(path, 2)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the bomb is no bomb: this proved nothing"
