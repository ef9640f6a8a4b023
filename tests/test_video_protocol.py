"""Video protocol: encoder round trip, scores per frame, and flicker of still parts."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made import make_clip, still_clip
from numpy.typing import NDArray
from oracles import double, read_with_av, samples

from vidsr.errors import SourceError, TargetError
from vidsr.media.codec_roundtrip import roundtrip
from vidsr.quality.matlab import imresize
from vidsr.quality.metrics import PERFECT_DB, ClipProtocol, psnr, score_clip, still_mask
from vidsr.quality.upscalers import Upscaler, make_upscalers, to_uint8
from vidsr.settings import EncodeSettings

Luma = NDArray[np.uint8]


def lumas(clip: Path) -> list[Luma]:
    return [samples(picture)[0].astype(np.uint8) for picture in read_with_av(clip).pictures]


def replay(planes: list[Luma]) -> Upscaler:
    """An oracle that returns the planes in order, whatever its input."""
    coming = iter(planes)
    return lambda small: next(coming)


def numbered(count: int, shape: tuple[int, int] = (46, 63)) -> list[Luma]:
    """Textured planes whose level encodes their number."""
    texture = np.random.default_rng(0).integers(0, 20, shape)
    return [(40 + 5 * number + texture).astype(np.uint8) for number in range(count)]


# The codec


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_frames_return_from_a_codec_in_order_size_and_quality(codec: str) -> None:
    planes = numbered(40)
    back = list(roundtrip(planes, EncodeSettings(codec=codec, crf=20), Fraction(30)))
    assert [plane.shape for plane in back] == [(46, 63)] * 40
    assert [round((plane.mean() - planes[0].mean()) / 5) for plane in back] == list(range(40))
    assert 30 < min(psnr(before, after) for before, after in zip(planes, back, strict=True)) < PERFECT_DB


def test_a_lossless_codec_returns_identical_frames() -> None:
    planes = numbered(12)
    for encode in (EncodeSettings(crf=0), EncodeSettings(codec="ffv1")):
        assert all(map(np.array_equal, planes, roundtrip(planes, encode, Fraction(25))))


def test_no_frames_in_are_no_frames_out() -> None:
    assert list(roundtrip([], EncodeSettings(), Fraction(25))) == []


@pytest.mark.parametrize(
    ("encode", "sentence"),
    [
        (EncodeSettings(codec="banana"), "no encoder named 'banana'"),
        (EncodeSettings(codec="ffv1", crf=3), "ffv1 has no --crf"),
        (EncodeSettings(codec="mjpeg"), "mjpeg refuses 64x46 in yuv420p"),
    ],
)
def test_settings_that_an_encoder_refuses_are_reported(encode: EncodeSettings, sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence):
        list(roundtrip(numbered(1), encode, Fraction(25)))


def test_the_number_of_frames_in_memory_is_bounded() -> None:
    sent = 0

    def planes() -> Iterator[Luma]:
        nonlocal sent
        for plane in numbered(30) * 10:
            sent += 1
            yield plane

    back = roundtrip(planes(), EncodeSettings(preset="ultrafast"), Fraction(30))
    next(back)
    assert sent < 80


# The protocol


def test_an_oracle_is_perfect_on_every_frame(clip: Path) -> None:
    planes = [plane[:63, :96] for plane in lumas(clip)]
    found = score_clip(clip, 3, {"oracle": replay(planes)}, ClipProtocol())["oracle"]
    assert (found.psnr, found.ssim, found.frames) == (PERFECT_DB, pytest.approx(1), 24)
    assert found.flicker == found.original_flicker


def test_scores_are_means_over_frames_without_borders(clip: Path) -> None:
    given, expected = [], []
    for plane in lumas(clip)[:7]:
        given.append(to_uint8(imresize(plane, 1 / 2)))
        expected.append(psnr(plane[2:-2, 2:-2], double(given[-1])[2:-2, 2:-2]))
    seen: list[Luma] = []

    def doubled(small: Luma) -> Luma:
        seen.append(small)
        return double(small)

    found = score_clip(clip, 2, {"double": doubled}, ClipProtocol(frames=7))["double"]
    assert all(map(np.array_equal, seen, given))
    assert (found.psnr, found.frames) == (pytest.approx(np.mean(expected)), 7)


def test_a_lossless_codec_changes_no_score_and_a_coarse_one_does(clip: Path) -> None:
    ways = make_upscalers({}, 2)
    plain, lossless, coarse = (
        score_clip(clip, 2, ways, ClipProtocol(frames=9, encode=encode))
        for encode in (None, EncodeSettings(crf=0), EncodeSettings(crf=40))
    )
    assert lossless == plain
    assert coarse["lanczos"].psnr < plain["lanczos"].psnr - 2


def test_deep_luma_is_scored_in_eight_bits(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "deep.mkv", pts=[0, 512], pixel_format="yuv420p10le", codec="ffv1")
    deep = [samples(picture)[0] for picture in read_with_av(path).pictures]
    planes = [np.floor(plane / 4 + 0.5).astype(np.uint8) for plane in deep]
    assert score_clip(path, 2, {"oracle": replay(planes)}, ClipProtocol())["oracle"].psnr == PERFECT_DB


def test_a_missing_clip_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.mp4"):
        score_clip(tmp_path / "none.mp4", 2, make_upscalers({}, 2), ClipProtocol())


# Flicker


def test_still_pixels_have_no_change_over_a_level_within_two_pixels() -> None:
    before = np.full((9, 12), 100, np.uint8)
    after = before + np.uint8(1)
    after[4, 6] = 102
    moving = np.zeros((9, 12), bool)
    moving[2:7, 4:9] = True
    assert np.array_equal(still_mask(before, after), ~moving)


def test_a_still_clip_does_not_flicker(tmp_path: Path) -> None:
    scores = score_clip(still_clip(tmp_path, noise=0), 2, make_upscalers({}, 2), ClipProtocol())
    assert {(score.flicker, score.original_flicker) for score in scores.values()} == {(0.0, 0.0)}


def test_flicker_is_the_change_of_still_pixels(tmp_path: Path) -> None:
    clip = still_clip(tmp_path, noise=0)
    restless = [plane + np.uint8(3 * (number % 2)) for number, plane in enumerate(lumas(clip))]
    score = score_clip(clip, 2, {"restless": replay(restless)}, ClipProtocol())["restless"]
    assert (score.flicker, score.original_flicker) == (3.0, 0.0)


def test_noise_of_one_level_is_flicker_of_the_original_and_stronger_noise_is_motion(tmp_path: Path) -> None:
    faint = score_clip(still_clip(tmp_path, noise=1), 2, make_upscalers({}, 2), ClipProtocol())["lanczos"]
    assert faint.original_flicker == pytest.approx(0.5, abs=0.02)
    assert faint.flicker is not None
    assert 0 < faint.flicker < 1
    strong = score_clip(still_clip(tmp_path, noise=40), 2, make_upscalers({}, 2), ClipProtocol())["lanczos"]
    assert (strong.flicker, strong.original_flicker) == (None, None)
