"""Pictures in, pictures out: what the main job does when the target is a picture file."""

from pathlib import Path

import numpy as np
import pytest
from commands import TARGET, Command, Ended, Refused
from oracles import read_with_av
from PIL import Image, ImageOps

import vidsr
from vidsr import PoolSettings, UpscaleSettings

HERE = PoolSettings(workers=0)


@pytest.fixture
def settings(tiny_model: str) -> UpscaleSettings:
    """The small network."""
    return UpscaleSettings(model=tiny_model)


def enlarged(source: Path, target: Path, settings: UpscaleSettings) -> Image.Image:
    """The picture that comes of a picture, which must be twice as large."""
    report = vidsr.upscale(source, target, settings=settings, pool=HERE)
    with Image.open(source) as before, Image.open(target) as after:
        assert after.size == report.size == (2 * before.width, 2 * before.height)
        return after.copy()


def difference(large: Image.Image, small: Image.Image) -> float:
    """In grey levels, on average; the small network leaves a pattern of two pixels, which shrinking takes out."""
    return float(abs(np.asarray(large.reduce(2), float) - np.asarray(small, float)).mean())


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_becomes_a_picture_that_looks_the_same(
    tmp_path: Path, settings: UpscaleSettings, mode: str, suffix: str
) -> None:
    colours = np.linspace((200, 30, 90), (40, 150, 220), 48 * 32).reshape(32, 48, 3).astype(np.uint8)
    before = Image.fromarray(colours).convert(mode)
    if "A" in mode:
        before.putalpha(Image.linear_gradient("L").resize((48, 32)))
    before.save(tmp_path / "before.png")
    after = enlarged(tmp_path / "before.png", tmp_path / f"after.{suffix}", settings)
    assert after.mode == {"P": "RGB", "LA": "RGBA"}.get(mode, mode) if suffix == "png" else "RGB"
    assert difference(after, before.convert(after.mode)) < 12


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path, settings: UpscaleSettings) -> None:
    levels = np.linspace(20_000, 21_000, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "before.png")
    after = np.asarray(enlarged(tmp_path / "before.png", tmp_path / "after.png", settings))
    assert after.dtype == np.uint16
    assert len(np.unique(after)) > 300


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_tag_says(tmp_path: Path, settings: UpscaleSettings, orientation: int) -> None:
    photo, tags = Image.new("L", (48, 32), 30), Image.Exif()
    photo.paste(220, (0, 0, 24, 16))
    tags[0x0112] = orientation
    photo.save(tmp_path / "photo.jpg", exif=tags)
    vidsr.upscale(tmp_path / "photo.jpg", tmp_path / "upright.png", settings=settings, pool=HERE)
    with Image.open(tmp_path / "photo.jpg") as stored, Image.open(tmp_path / "upright.png") as after:
        assert difference(after, ImageOps.exif_transpose(stored)) < 12


def test_a_picture_that_is_there_is_not_replaced_unless_asked(
    refused: Refused, upscale: Command, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (48, 32)).save(tmp_path / name)
    assert "exists already" in refused(TARGET, tmp_path / "a.png", tmp_path / "b.png")
    assert upscale("-q", "--overwrite", tmp_path / "a.png", tmp_path / "b.png") == Ended(0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(("count", "code"), [(1, 0), (2, TARGET)])
@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_of_one_frame_may_become_a_picture(
    upscale: Command, tmp_path: Path, suffix: str, count: int, code: int
) -> None:
    frames = [Image.new("RGB", (48, 32), (40 * number, 90, 90)) for number in range(count)]
    source = tmp_path / f"in.{suffix}"
    frames[0].save(source, save_all=True, append_images=frames[1:])
    assert upscale("-q", source, tmp_path / "out.png").code == code


def test_further_images_behind_the_first_are_named(tmp_path: Path, settings: UpscaleSettings) -> None:
    Image.new("RGB", (48, 32)).save(tmp_path / "one.jpg")
    (tmp_path / "two.jpg").write_bytes(2 * (tmp_path / "one.jpg").read_bytes())
    for name, dropped in (("one", []), ("two", ["further images in the file"])):
        report = vidsr.upscale(tmp_path / f"{name}.jpg", tmp_path / f"{name}.png", settings=settings, pool=HERE)
        assert report.left_out == dropped


def test_a_picture_may_become_a_video_of_one_frame(tmp_path: Path, settings: UpscaleSettings) -> None:
    Image.new("RGB", (48, 32)).save(tmp_path / "still.png")
    vidsr.upscale(tmp_path / "still.png", tmp_path / "out.mkv", settings=settings, pool=HERE)
    assert len(read_with_av(tmp_path / "out.mkv").pts) == 1
