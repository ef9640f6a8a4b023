"""What is done to a clip is drawn by chance, decided by its seed, and moves nothing."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from made import scene
from numpy.typing import NDArray

from vidsr.media.codec_roundtrip import EncoderPreset, mjpeg, preset_roundtrip, x264, x264_at_rate, x265
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import psnr
from vidsr.settings import CODINGS, REDUCTIONS, DegradeSettings
from vidsr.training.data.clips import moving_clip, shifted_view, still_clip
from vidsr.training.data.degradation import (
    CodecPass,
    Recipe,
    add_noise,
    blur,
    degrade,
    denoise,
    downscale,
    draw_count,
    draw_recipe,
    sharpen,
)

Luma = NDArray[np.uint8]
CLEAN = Recipe(kernel="bicubic")
LEVELS = {"x264": 23, "x265": 26, "mjpeg": 80, "rate": 3}


def clip(frames: int = 8, size: tuple[int, int] = (192, 144)) -> list[Luma]:
    return [scene(index, size)[..., 0] for index in range(frames)]


def degraded(planes: list[Luma], recipe: Recipe, scale: int = 2, seed: int = 0) -> list[Luma]:
    return list(degrade(planes, recipe, scale=scale, random=np.random.default_rng(seed)))


def encode(kind: str) -> CodecPass:
    return CodecPass(kind=kind, level=LEVELS[kind], gop=50, preset="veryfast")


def drawn(count: int, settings: DegradeSettings) -> list[Recipe]:
    return [draw_recipe(settings, np.random.default_rng([settings.seed, number])) for number in range(count)]


def lost_by_a_shift(hr: Luma, lr: Luma) -> float:
    """How many dB the enlarged plane loses, at the least, when it is moved by one full-size pixel."""
    guess, inner = imresize(lr, len(hr) // len(lr)), slice(8, -8)
    moves = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    at = {move: psnr(hr[inner, inner], np.roll(guess, move, (0, 1))[inner, inner]) for move in moves}
    return at.pop((0, 0)) - max(at.values())


# Alignment


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kernel", REDUCTIONS)
def test_a_pair_lies_on_itself_to_the_pixel_by_every_kernel(kernel: str, scale: int) -> None:
    (hr, *_), (lr, *_) = clip(1), degraded(clip(1), replace(CLEAN, kernel=kernel), scale)
    assert lr.shape == (144 // scale, 192 // scale)
    assert lost_by_a_shift(hr, lr) > 0.5


@pytest.mark.parametrize("kind", CODINGS)
def test_a_pair_lies_on_itself_to_the_pixel_behind_every_codec(kind: str) -> None:
    planes = clip()
    lr = degraded(planes, replace(CLEAN, encodes=(encode(kind),)))
    assert len(lr) == len(planes)
    assert min(map(lost_by_a_shift, planes, lr)) > 0.5


def test_a_pair_lies_on_itself_to_the_pixel_when_everything_is_done_to_it() -> None:
    recipe = Recipe(kernel="lanczos", blur=1.4, noise=5, denoise=12, sharpen=1, encodes=(encode("x264"),) * 2)
    planes = clip()
    assert min(map(lost_by_a_shift, planes, degraded(planes, recipe))) > 0.5


@pytest.mark.parametrize("kind", CODINGS)
def test_every_frame_comes_back_in_its_place(kind: str) -> None:
    planes = clip()
    enlarged = [imresize(lr, 2) for lr in degraded(planes, replace(CLEAN, encodes=(encode(kind),)))]
    for number, plane in enumerate(enlarged):
        assert max(range(len(planes)), key=lambda other: psnr(planes[other], plane)) == number


# The camera


def test_area_is_the_mean_of_the_pixels_and_plain_lets_them_alias() -> None:
    plane = clip(1)[0][:48, :60]
    assert np.allclose(downscale(plane, 3, "area"), plane.reshape(16, 3, 20, 3).mean(axis=(1, 3)))
    stripes = np.tile(np.array([0, 0, 0, 255], np.uint8), (48, 12))
    spread = {kernel: downscale(stripes, 3, kernel)[4:-4, 4:-4].std() for kernel in REDUCTIONS}
    assert spread.pop("plain") > 1.5 * max(spread.values())


@pytest.mark.parametrize("kernel", REDUCTIONS)
def test_no_kernel_changes_how_bright_it_is(kernel: str) -> None:
    assert np.allclose(downscale(np.full((24, 36), 77, np.uint8), 2, kernel), 77)


def test_noise_is_as_strong_as_asked_at_white_and_half_of_that_at_black() -> None:
    for level, sigma in ((235, 4.0), (16, 2.0)):
        noisy = add_noise(np.full((200, 200), float(level)), 4.0, np.random.default_rng(0))
        assert (noisy - level).std() == pytest.approx(sigma, rel=0.03)


def test_smoothing_takes_the_noise_and_leaves_the_edge() -> None:
    edge = np.where(np.arange(64) < 32, 60.0, 180.0) * np.ones((64, 1))
    smooth = denoise(edge + np.random.default_rng(0).normal(0, 3, edge.shape), 12)
    assert (smooth - edge).std() < 1.2
    assert np.abs(blur(edge, 1.0) - edge).max() > 20


def test_sharpening_makes_an_edge_steeper_and_leaves_the_even_parts() -> None:
    edge = np.where(np.arange(64) < 32, 60.0, 180.0) * np.ones((64, 1))
    sharp = sharpen(edge, 0.5)
    assert sharp.max() > 190
    assert np.allclose(sharp[:, :20], 60)


# Chance


def test_the_seed_and_the_number_of_a_clip_decide_everything() -> None:
    settings, planes = DegradeSettings(noise_share=1, second_share=1), clip(3, (96, 64))

    def whole(seed: int, number: int) -> bytes:
        random = np.random.default_rng([seed, number])
        recipe = draw_recipe(settings, random)
        return b"".join(plane.tobytes() for plane in degrade(planes, recipe, scale=2, random=random))

    assert whole(1, 5) == whole(1, 5)
    assert len({whole(1, 5), whole(1, 6), whole(2, 5)}) == 3


def test_recipes_hold_to_the_shares_and_the_ranges_that_are_set() -> None:
    asked = DegradeSettings(
        blur_share=0.5,
        blur="0.2-1.4",
        kernels="bicubic:45,area:20,bilinear:15,lanczos:15,plain:5",
        noise_share=0.6,
        noise="0.5-5",
        sharpen_share=0.3,
        sharpen="0.2-1",
        codec_share=0.85,
        codecs="x264:55,x265:20,mjpeg:10,rate:15",
        x264_crf="18-35",
        second_share=0.15,
    )
    recipes = drawn(1000, asked)
    encodes = [recipe.encodes[0] for recipe in recipes if recipe.encodes]
    assert len(encodes) == pytest.approx(850, abs=50)
    assert sum(len(recipe.encodes) == 2 for recipe in recipes) == pytest.approx(0.15 * len(encodes), abs=40)
    for kind, share, low, high in (
        ("x264", 0.55, 18, 35),
        ("x265", 0.2, 22, 36),
        ("mjpeg", 0.1, 40, 90),
        ("rate", 0.15, 0.3, 3),
    ):
        levels = [each.level for each in encodes if each.kind == kind]
        assert len(levels) / len(encodes) == pytest.approx(share, abs=0.06)
        assert low <= min(levels) < low + (high - low) / 5 < high - (high - low) / 5 < max(levels) <= high
    for name, share, low, high in (("blur", 0.5, 0.2, 1.4), ("noise", 0.6, 0.5, 5), ("sharpen", 0.3, 0.2, 1)):
        amounts = [amount for recipe in recipes if (amount := getattr(recipe, name))]
        assert len(amounts) == pytest.approx(1000 * share, abs=60)
        assert low <= min(amounts) < max(amounts) <= high
    assert {recipe.kernel for recipe in recipes} == set(REDUCTIONS)
    assert {draw_count("8-12", np.random.default_rng(seed)) for seed in range(50)} == {8, 9, 10, 11, 12}


def test_one_share_that_is_changed_leaves_all_other_draws() -> None:
    without = drawn(20, DegradeSettings(noise_share=0))
    assert without == [replace(recipe, noise=0.0) for recipe in drawn(20, DegradeSettings(noise_share=1))]


# Clips made of a picture


def test_a_still_clip_is_still_and_a_moving_one_moves() -> None:
    plane = clip(1, (320, 240))[0]
    for seed in range(6):
        still = still_clip(plane, (96, 128), 8, np.random.default_rng(seed))
        moving = moving_clip(plane, (96, 128), 8, np.random.default_rng(seed))
        assert {(p.shape, p.dtype, p.tobytes()) for p in still} == {((96, 128), np.dtype("u1"), still[0].tobytes())}
        assert len({p.tobytes() for p in moving}) == len(moving) == 8
        assert all((p.shape, p.dtype) == ((96, 128), np.dtype("u1")) for p in moving)


def test_a_view_on_whole_pixels_is_a_cut_and_one_between_them_lies_between() -> None:
    plane = blur(clip(1, (120, 100))[0], 1.5)
    grey = np.round(plane).astype(np.uint8)
    assert np.allclose(shifted_view(grey, np.array([7.0, 11.0]), (40, 50)), grey[7:47, 11:61])
    between = shifted_view(grey, np.array([7.5, 11.0]), (40, 50))
    assert np.abs(between - (plane[7:47, 11:61] + plane[8:48, 11:61]) / 2).mean() < 1
    assert np.array_equal(shifted_view(grey, np.array([-3.0, 0.0]), (40, 50))[:3], grey[:3, :50][::-1].astype(float))


# Codecs


@pytest.mark.parametrize(
    "coding",
    [
        x264(23, gop=4, preset="medium"),
        x264_at_rate(1e5, gop=4, preset="medium"),
        x265(26, gop=4, preset="medium"),
    ],
    ids=["x264", "rate", "x265"],
)
def test_key_frames_come_as_often_as_asked_and_there_are_no_b_frames(coding: EncoderPreset) -> None:
    still = clip(1, (64, 64)) * 9
    assert [kind == "I" for kind in picture_types(coding, still)] == [True, *[False] * 3] * 2 + [True]
    assert "B" not in picture_types(coding, clip(9, (64, 64)))


def picture_types(coding: EncoderPreset, planes: list[Luma]) -> list[str]:
    """The kind of every picture that the encoder makes of the planes."""
    encoder = av.CodecContext.create(coding.codec, "w")
    encoder.height, encoder.width = planes[0].shape
    encoder.pix_fmt, encoder.time_base, encoder.options = coding.pixel_format, Fraction(1, 25), dict(coding.options)
    decoder = av.CodecContext.create(encoder.codec.canonical_name, "r")
    packets = []
    for number, plane in enumerate(planes):
        frame = av.VideoFrame.from_ndarray(plane, format="gray").reformat(format=coding.pixel_format)
        frame.pts = number
        packets += encoder.encode(frame)
    frames = [frame for packet in [*packets, *encoder.encode(None), None] for frame in decoder.decode(packet)]
    return [PictureType(frame.pict_type).name for frame in frames]


@pytest.mark.parametrize("size", [(32, 32), (48, 40), (96, 54)])
def test_x265_takes_frames_whose_size_would_make_it_write_beyond_its_memory(size: tuple[int, int]) -> None:
    planes = clip(4, size)
    results = set()
    for _ in range(5):  # once is often survived
        back = list(preset_roundtrip(planes, x265(20, gop=50, preset="fast"), Fraction(25)))
        assert [plane.shape for plane in back] == [plane.shape for plane in planes]
        results.add(b"".join(plane.tobytes() for plane in back))
    assert len(results) == 1
    assert min(psnr(before, after) for before, after in zip(planes, back, strict=True)) > 30


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        (x264(18, gop=50, preset="fast"), x264(35, gop=50, preset="fast")),
        (x264_at_rate(3e6, gop=50, preset="fast"), x264_at_rate(1e5, gop=50, preset="fast")),
        (x265(22, gop=50, preset="fast"), x265(36, gop=50, preset="fast")),
        (mjpeg(90), mjpeg(40)),
    ],
    ids=["x264", "rate", "x265", "mjpeg"],
)
def test_a_coarser_level_loses_more(fine: EncoderPreset, coarse: EncoderPreset) -> None:
    planes = clip()

    def quality(coding: EncoderPreset) -> float:
        back = preset_roundtrip(planes, coding, Fraction(25))
        return float(np.mean([psnr(before, after) for before, after in zip(planes, back, strict=True)]))

    assert 22 < quality(coarse) < quality(fine) - 3


def test_a_rate_is_for_640x360_and_shared_out_by_area() -> None:
    held = CodecPass(kind="rate", level=2, gop=50, preset="fast")
    assert held.coding((360, 640)).options["b"] == "2000000"
    assert held.coding((180, 320)).options["b"] == "500000"
