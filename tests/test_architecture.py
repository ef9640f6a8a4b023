"""Networks as data: their layers, and the sub-pixel form of the deconvolution."""

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import deconvolution

from vidsr.model.architecture import fsrcnn, srcnn
from vidsr.model.subpixel import bicubic_kernels, centred_padding, deconvolution_radius, phase_kernels
from vidsr.quality.matlab import imresize


def shuffled(x: NDArray[np.float64], kernels: NDArray[np.floating]) -> NDArray[np.float64]:
    """The (s², inputs, K, K) kernels over (inputs, H, W), valid, each result in the place of its phase."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernels.shape[2:], axis=(1, 2))
    phases = np.einsum("ihwyx,piyx->phw", windows, kernels)
    scale = round(len(kernels) ** 0.5)
    rows, columns = phases.shape[1:]
    return phases.reshape(scale, scale, rows, columns).transpose(2, 0, 3, 1).reshape(rows * scale, columns * scale)


# Architecture


def test_the_reference_network_has_the_size_of_the_paper() -> None:
    reference = fsrcnn(56, 12, 4, scale=2)
    assert str(reference) == "fsrcnn(56,12,4) x2"
    assert reference.multiplies == 12464
    assert reference.halo == 2 + 4 + 2


def test_a_network_as_narrow_as_it_is_deep_neither_shrinks_nor_expands() -> None:
    assert [layer.name for layer in fsrcnn(16, 16, 1, scale=2).body] == ["feature", "mapping0"]
    assert [layer.name for layer in fsrcnn(16, 8, 1, scale=2).body] == ["feature", "shrink", "mapping0", "expand"]


@pytest.mark.parametrize(
    "wrong", [(0, 4, 1, 2), (8, 0, 1, 2), (8, 4, -1, 2), (8, 4, 1, 5), (8, 4, 65, 2), (513, 4, 1, 2)]
)
def test_dimensions_that_make_no_network_are_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        fsrcnn(*wrong)


def test_srcnn_has_the_sizes_of_the_paper_and_the_same_at_every_scale() -> None:
    network = srcnn(9, 1, 5, 64, 32, scale=3)
    kernels = [shape for name, shape in network.shapes.items() if name.endswith("weight")]
    assert [int(np.prod(shape)) for shape in kernels] == [5184, 2048, 800]
    assert network.weights == 5184 + 2048 + 800
    assert network.multiplies == 9 * network.weights
    assert network.shapes == srcnn(9, 1, 5, 64, 32, scale=2).shapes


def test_the_small_network_of_the_paper_has_its_size() -> None:
    assert fsrcnn(32, 5, 1, scale=2).weights == 3937


@pytest.mark.parametrize("wrong", [(8, 1, 5, 4, 4), (9, 0, 5, 4, 4), (9, 1, 5, 0, 4), (9, 1, 513, 4, 4)])
def test_dimensions_that_make_no_srcnn_are_refused(wrong: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"must be|odd"):
        srcnn(*wrong, scale=2)


@pytest.mark.parametrize(("activation", "slopes"), [("prelu", 8), ("prelu-shared", 1), ("leaky-relu", 1), ("relu", 1)])
def test_an_activation_has_a_slope_a_channel_or_one_for_all(activation: str, slopes: int) -> None:
    assert fsrcnn(8, 4, 1, 2, activation=activation).shapes["feature.slope"] == (slopes,)


def test_an_activation_or_a_padding_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="prelu-shared"):
        fsrcnn(8, 4, 1, 2, activation="swish")
    with pytest.raises(ValueError, match="padding"):
        fsrcnn(8, 4, 1, 2, padding=9)


# Sub-pixel kernels


@pytest.mark.parametrize("size", [5, 6, 9, 12])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_phase_kernels_compute_the_deconvolution(stride: int, size: int) -> None:
    random = np.random.default_rng(stride)
    kernel = random.standard_normal((5, 1, size, size)).astype(np.float32)
    x = random.standard_normal((5, 28, 26))
    for padding in (centred_padding(stride, size), 4):
        reach = deconvolution_radius(stride, size, padding)
        inner = slice(reach * stride, -reach * stride)
        expected = deconvolution(x, kernel, stride, padding)[inner, inner]
        assert np.allclose(shuffled(x, phase_kernels(kernel, stride, padding)), expected)


@pytest.mark.parametrize(
    ("stride", "size", "padding"), [(2, 9, 4), (3, 9, 3), (4, 9, 3), (2, 6, 2), (4, 12, 4), (1, 5, 2)]
)
def test_a_kernel_is_centred_as_well_as_it_can_be(stride: int, size: int, padding: int) -> None:
    assert centred_padding(stride, size) == padding


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_kernels_enlarge_as_imresize_does(scale: int) -> None:
    plane = np.random.default_rng(0).uniform(0, 255, (16, 14))
    inner = slice(2 * scale, -2 * scale)
    assert np.allclose(shuffled(plane[None], bicubic_kernels(scale)), imresize(plane, scale)[inner, inner], atol=1e-3)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_kernels_keep_a_constant(scale: int) -> None:
    assert np.allclose(bicubic_kernels(scale).sum(axis=(1, 2, 3)), 1, atol=1e-6)
