"""Pairs of patches lie on each other to the pixel."""

from pathlib import Path

import av
import numpy as np
import pytest
from made import make_clip, scene
from oracles import read_with_av, samples

from vidsr.errors import SourceError
from vidsr.media.probe import probe
from vidsr.model.architecture import Architecture, fsrcnn
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.training.data.clips import video_clip
from vidsr.training.data.pairs import Pair, floats_of, make_pair, read_pairs
from vidsr.training.data.patches import MixedSampler, PatchSampler
from vidsr.training.data.sources import Footage, Source, find_footage, read_lumas, training_luma
from vidsr.training.data.split import split_files


def read(path: Path, scale: int, sizes: tuple[float, ...] = (1.0,), frames: int = 4) -> list[Pair]:
    """The pairs of a folder in which everything can be read."""

    def on_warning(sentence: str) -> None:
        raise AssertionError(sentence)

    return read_pairs(find_footage([Source(path=path, sizes=sizes)]), scale, frames=frames, on_warning=on_warning)


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
    pairs = read(pictures, scale)
    patches = PatchSampler(pairs, shape(scale), patch=8, batch=16)
    halo = shape(scale).halo
    lr, hr = patches.draw(np.random.default_rng(0))
    assert lr.shape == (16, 1, 8 + 2 * halo, 8 + 2 * halo)
    assert hr.shape == (16, 1, 8 * scale, 8 * scale)
    for low, high in zip(lr[:, 0].numpy(), hr[:, 0].numpy(), strict=True):
        guess = imresize(low, scale)
        inner, side = halo * scale, 8 * scale
        at = {
            (y, x): psnr(high, guess[inner + y : inner + y + side, inner + x : inner + x + side], peak=1)
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
        }
        assert max(at, key=at.__getitem__) == (0, 0)


def test_all_eight_ways_to_turn_a_patch_are_drawn(pictures: Path) -> None:
    luma = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    patches = PatchSampler([make_pair(luma, 2)], shape(2), patch=8, batch=64)
    _, hr = patches.draw(np.random.default_rng(0))
    assert len({patch.numpy().tobytes() for patch in hr}) == 8


def test_every_size_of_every_image_is_used(pictures: Path) -> None:
    pairs = read(pictures, 2, (1.0, 0.6))
    assert [p.hr.shape for p in pairs[:2]] == [(74, 90), (44, 54)]
    assert all(p.lr.shape == (p.hr.shape[0] // 2, p.hr.shape[1] // 2) for p in pairs)


def test_grey_images_are_brought_to_the_range_of_video() -> None:
    assert training_luma(np.array([[0, 255]], np.uint8)).tolist() == [[16, 235]]


def test_a_folder_with_nothing_to_train_on_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(SourceError, match=str(tmp_path)):
        find_footage([Source(path=tmp_path)])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])  # one says how many frames it holds, one how long it is
def test_frames_are_taken_evenly_from_a_video(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", pts=[512 * i for i in range(20)])
    lumas = [luma for _, luma in read_lumas(find_footage([Source(path=clip)]), 4, pytest.fail)]
    exact = [samples(picture)[0] for picture in read_with_av(clip).pictures]
    assert len(lumas) == 4
    assert all(np.array_equal(luma, exact[number]) for luma, number in zip(lumas, (0, 5, 10, 15), strict=True))


def test_deep_video_is_rounded_to_the_same_eight_bits_in_clean_pairs_and_in_degraded_clips(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mkv", pts=[0, 512], pixel_format="yuv420p10le", codec="ffv1")
    (_, luma), _ = read_lumas(find_footage([Source(path=path)]), 2, pytest.fail)
    assert luma.dtype == np.uint8
    assert np.array_equal(luma, np.floor(samples(read_with_av(path).pictures[0])[0] / 4 + 0.5))
    assert np.array_equal(
        luma, video_clip(Footage(path=path, sizes=()), probe(path), position=0.0, frames=1).planes[0]
    )


def test_decoded_luma_stays_in_bytes_until_a_batch_is_drawn() -> None:
    decoded = np.random.default_rng(0).integers(0, 256, (24, 24), dtype=np.uint8)
    hr = np.kron(decoded, np.ones((2, 2), np.uint8))
    pair = Pair(lr=decoded, hr=hr)
    assert pair.lr_luma is decoded
    in_floats = Pair(lr=floats_of(pair.lr), hr=hr)
    assert in_floats.lr.dtype == np.float32
    assert np.array_equal(in_floats.lr_luma, decoded)
    drawn = [
        PatchSampler([each], shape(2), patch=8, batch=4).draw(np.random.default_rng(1)) for each in (pair, in_floats)
    ]
    assert bool((drawn[0][0] == drawn[1][0]).all() and (drawn[0][1] == drawn[1][1]).all())


def test_what_cannot_be_read_or_is_too_small_is_skipped_with_a_warning(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    av.VideoFrame.from_ndarray(scene(0, (31, 64)), format="rgb24").save(tmp_path / "small.png")
    sources = [Source(path=tmp_path, sizes=(1.0,)), Source(path=pictures, sizes=(1.0,))]
    warnings: list[str] = []
    pairs = read_pairs(find_footage(sources), 2, frames=2, on_warning=warnings.append)
    assert len(pairs) == 3
    assert [on_warning.partition(":")[0] for on_warning in warnings] == [
        str(tmp_path / f"{name}") for name in ("broken.mp4", "broken.png", "small.png")
    ]


@pytest.mark.parametrize(
    ("files", "share", "held_out"), [(20, 0.1, 2), (2, 0.05, 1), (1, 0.5, 0), (3, 0.9, 2), (5, 0.0, 0)]
)
def test_whole_files_are_held_out_and_never_the_last(files: int, share: float, held_out: int) -> None:
    footage = [Footage(path=Path(f"{number}.png"), sizes=(1.0, 0.7)) for number in range(files)]
    training, validation = split_files(footage, share, seed=1)
    assert len(validation) == held_out
    assert {file.path for file in training} | {file.path for file in validation} == {file.path for file in footage}
    assert len(training) + len(validation) == files
    assert split_files(footage, share, seed=1) == (training, validation)


def test_images_smaller_than_a_patch_are_counted_and_refused_when_there_is_nothing_else() -> None:
    tiny = Pair(lr=np.zeros((7, 12), np.float32), hr=np.zeros((14, 24), np.uint8))
    larger = make_pair(np.zeros((64, 64), np.uint8), 2)
    assert PatchSampler([tiny, larger, tiny], shape(2), patch=8, batch=1).skipped == 2
    with pytest.raises(SourceError, match="16 pixels"):
        PatchSampler([tiny], shape(2), patch=8, batch=1)


def test_patches_reach_the_edges_of_the_image_and_those_of_a_still_camera_lie_as_they_were() -> None:
    rows, columns = np.mgrid[:40, :48].astype(np.uint8)
    hr = np.kron(4 * rows + columns, np.ones((2, 2), np.uint8))  # each place of its own level, or nearly
    each = Pair(lr=((4 * rows + columns) / 255).astype(np.float32), hr=hr)
    architecture = shape(2)
    patches = PatchSampler([each], architecture, patch=8, batch=4000, still_camera=True)
    lr, drawn = patches.draw(np.random.default_rng(0))
    halo, inner = architecture.halo, slice(architecture.halo, architecture.halo + 8)
    assert np.array_equal(drawn[:, 0, ::2, ::2].numpy(), lr[:, 0, inner, inner].numpy())
    assert bool((drawn[:, 0, -1, 0] > drawn[:, 0, 0, 0]).all())
    assert bool((drawn[:, 0, 0, -1] > drawn[:, 0, 0, 0]).all())
    corners = {round(255 * float(level)) for level in (drawn.min(), drawn.max())}
    assert corners == {0, int(hr.max())}
    upper = lr[drawn.amin(dim=(1, 2, 3)) == 0][0, 0]
    assert bool((upper[:halo] == upper[halo]).all()), "what lies beyond the edge repeats it"


def test_a_mixture_draws_from_each_stock_as_often_as_its_share_says() -> None:
    black = Pair(lr=np.zeros((40, 40), np.float32), hr=np.zeros((80, 80), np.uint8))
    white = Pair(lr=np.ones((40, 40), np.float32), hr=np.full((80, 80), 255, np.uint8))
    stocks = [PatchSampler([each], shape(2), patch=8, batch=200) for each in (black, white)]
    lr, hr = MixedSampler([(stocks[0], 0.5), (stocks[1], 1.5)]).draw(np.random.default_rng(0))
    assert np.array_equal(lr.amax(dim=(1, 2, 3)).numpy(), hr.amax(dim=(1, 2, 3)).numpy())
    assert 0.7 < float(lr.mean()) < 0.8
