"""Pairs of patches lie on each other to the pixel."""

from pathlib import Path

import av
import numpy as np
import pytest
from made import scene

from vidsr.errors import TrainingError
from vidsr.metrics import psnr
from vidsr.model.architecture import Architecture, fsrcnn
from vidsr.quality.imresize import imresize
from vidsr.training.data import Folder, Pair, Patches, pair, read_pairs, training_luma


def shape(scale: int) -> Architecture:
    return fsrcnn(4, 2, 0, scale)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        av.VideoFrame.from_ndarray(scene(index, (90, 75)), format="rgb24").save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_patch_and_its_reduction_show_the_same_place(pictures: Path, scale: int) -> None:
    pairs = list(read_pairs(Folder(path=pictures, sizes=(1.0,)), scale))
    patches = Patches(pairs, shape(scale), patch=8, batch=16)
    halo = shape(scale).halo
    small, large = patches.draw(np.random.default_rng(0))
    assert small.shape == (16, 1, 8 + 2 * halo, 8 + 2 * halo)
    assert large.shape == (16, 1, 8 * scale, 8 * scale)
    for low, high in zip(small[:, 0].numpy(), large[:, 0].numpy(), strict=True):
        guess = imresize(low, scale)
        inner, side = halo * scale, 8 * scale
        at = {
            (y, x): psnr(high, guess[inner + y : inner + y + side, inner + x : inner + x + side], peak=1)
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        }
        assert max(at, key=at.__getitem__) == (0, 0)


def test_all_eight_ways_to_turn_a_patch_are_drawn(pictures: Path) -> None:
    luma = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32).astype(np.uint8)
    patches = Patches([pair(luma, 2)], shape(2), patch=8, batch=64)
    _, large = patches.draw(np.random.default_rng(0))
    assert len({patch.numpy().tobytes() for patch in large}) == 8


def test_every_size_of_every_picture_is_used(pictures: Path) -> None:
    pairs = list(read_pairs(Folder(path=pictures, sizes=(1.0, 0.6)), 2))
    assert [p.large.shape for p in pairs[:2]] == [(74, 90), (44, 54)]
    assert all(p.small.shape == (p.large.shape[0] // 2, p.large.shape[1] // 2) for p in pairs)


def test_grey_pictures_are_brought_to_the_range_of_video() -> None:
    assert training_luma(np.array([[0, 255]], np.uint8)).tolist() == [[16, 235]]


def test_a_folder_without_pictures_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=str(tmp_path)):
        list(read_pairs(Folder(path=tmp_path), 2))


def test_pictures_smaller_than_a_patch_are_refused() -> None:
    tiny = Pair(small=np.zeros((12, 12), np.float32), large=np.zeros((24, 24), np.uint8))
    with pytest.raises(TrainingError, match="32 pixels"):
        Patches([tiny], shape(2), patch=8, batch=1)
