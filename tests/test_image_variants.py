"""Variants of image formats: as an independent reader shows them, or refused where FFmpeg gets them wrong."""

import struct
from pathlib import Path

import numpy as np
import pytest
from commands import SOURCE, Command, Refused
from made import scene
from PIL import Image
from test_heif import tiled_avif

import vidsr
from vidsr import PoolSettings, UpscaleSettings
from vidsr.errors import SourceError
from vidsr.media.image_reader import read_image, rgb_of
from vidsr.media.reader import Reader

SIZE = (48, 32)
SHORT, LONG, RATIONAL = 3, 4, 5


def tiff(samples: bytes, **tags: tuple[int, ...]) -> bytes:
    """A TIFF file of one strip; `tags` are named t and their number."""
    numbers = {
        256: (SIZE[0],), 257: (SIZE[1],), 258: (8, 8, 8), 259: (1,), 262: (2,), 273: (8,), 277: (3,), 278: (SIZE[1],),
        279: (len(samples),),
    } | {int(name[1:]): values for name, values in tags.items()}  # fmt: skip
    start = 8 + len(samples)
    behind, entries = start + 6 + 12 * len(numbers), b""
    values = b""
    for tag, each in sorted(numbers.items()):
        kind = RATIONAL if tag == 532 else SHORT
        packed = b"".join(struct.pack("<II", v, 1) if kind == RATIONAL else struct.pack("<H", v) for v in each)
        entries += struct.pack("<HHI", tag, kind, len(each))
        if len(packed) > 4:
            entries += struct.pack("<I", behind + len(values))
            values += packed
        else:
            entries += packed.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<I", start) + samples
    return head + struct.pack("<H", len(numbers)) + entries + bytes(4) + values


def picture(mode: str) -> Image.Image:
    image = Image.fromarray(scene(0, SIZE))
    if mode == "RGBa":
        image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("variant", "tags"),
    [
        ("JPEG within TIFF", {"t259": (7,)}),
        ("JPEG within TIFF", {"t259": (6,), "t262": (6,)}),
        ("tiles", {"t322": (16,), "t323": (16,)}),
        ("12 bits per sample", {"t258": (12, 12, 12)}),
        ("signed samples", {"t339": (2, 2, 2)}),
        ("floating point of 16 bits", {"t258": (16, 16, 16), "t339": (3, 3, 3)}),
        ("CMYK of 16 bits", {"t258": (16, 16, 16, 16), "t262": (5,), "t277": (4,)}),
        ("YCbCr of limited range", {"t262": (6,), "t532": (15, 235, 128, 240, 128, 240)}),
        ("its colour model", {"t262": (8,)}),
        ("a raw photo", {"t50706": (1, 4)}),
        ("a raw photo", {"t254": (1,)}),
    ],
)
def test_a_tiff_that_would_get_false_colours_is_refused(
    variant: str, tags: dict[str, tuple[int, ...]], refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "in.tif").write_bytes(tiff(bytes(8 * SIZE[0] * SIZE[1]), **tags))
    sentence = f"this kind of image ({variant}) is not read; use a PNG of it"
    assert sentence in refused(SOURCE, tmp_path / "in.tif", tmp_path / "out.png")
    with pytest.raises(SourceError):
        read_image(tmp_path / "in.tif")


@pytest.mark.parametrize(
    ("mode", "suffix", "tags"),
    [
        ("RGB", "tif", {"compression": "tiff_lzw"}),
        ("RGB", "tif", {"compression": "packbits"}),
        ("L", "tif", {"tiffinfo": {262: 0}}),
        ("1", "tif", {"compression": "group4"}),
        ("P", "tif", {}),
        ("CMYK", "tif", {}),
        ("YCbCr", "tif", {}),
        ("YCbCr", "jp2", {}),
        ("RGB", "jp2", {}),
        ("CMYK", "jpg", {"quality": 95}),
        ("RGB", "jpg", {"quality": 95, "keep_rgb": True}),
        ("RGB", "webp", {"lossless": True}),
        ("RGB", "bmp", {}),
        ("RGB", "tga", {"compression": "tga_rle"}),
        ("P", "pcx", {}),
    ],
)
def test_an_image_has_the_colours_that_pillow_shows(
    mode: str, suffix: str, tags: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / f"in.{suffix}"
    picture(mode).save(path, **tags)
    with Reader(path, upright=True) as reader, Image.open(path) as shown:
        assert abs(rgb_of(reader.first.av_frame).astype(int) - np.asarray(shown.convert("RGB"))).mean() < 2


@pytest.mark.parametrize("suffix", ["tif", "avif"])
def test_colours_that_are_multiplied_by_the_alpha_are_divided_by_it(suffix: str, tmp_path: Path) -> None:
    path, image = tmp_path / f"in.{suffix}", picture("RGBa")
    if suffix == "tif":
        path.write_bytes(tiff(image.tobytes(), t258=(8, 8, 8, 8), t277=(4,), t338=(1,)))
    else:
        image.convert("RGBA").save(path, alpha_premultiplied=True, quality=95, subsampling="4:4:4")
    with Reader(path, upright=True) as reader, Image.open(path) as shown:
        before = np.asarray(shown.convert("RGBA"))
        seen = before[..., 3] > 64
        after = rgb_of(reader.first.av_frame)
        assert abs(after.astype(int) - before[..., :3])[seen].mean() < 2


@pytest.mark.parametrize("mask", [0, 0xF000])
def test_a_bmp_whose_transparency_ffmpeg_ignores_is_refused(mask: int, upscale: Command, tmp_path: Path) -> None:
    header = struct.pack("<IiiHHIIiiII", 108, *SIZE, 1, 16, 3, 2 * SIZE[0] * SIZE[1], 0, 0, 0, 0)
    header += struct.pack("<4I", 0xF00, 0xF0, 0xF, mask) + bytes(52)
    pixels = bytes(2 * SIZE[0] * SIZE[1])
    start = 14 + len(header)
    (tmp_path / "in.bmp").write_bytes(b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels)
    ended = upscale("-q", tmp_path / "in.bmp", tmp_path / "out.png")
    assert ended.code == (SOURCE if mask else 0)
    assert ("(transparency of 16 bits)" in ended.err) == bool(mask)


@pytest.mark.parametrize("target", ["out.mkv", "out.mp4"])
@pytest.mark.parametrize("source", ["in.jpg", "in.avif", "tiles.avif"])
def test_what_a_video_cannot_hold_of_a_photo_is_named(
    source: str, target: str, tiny_model: str, tmp_path: Path
) -> None:
    tags = Image.Exif()
    tags[0x10F] = "Maker"
    path = tmp_path / source
    if source == "tiles.avif":
        path.write_bytes(tiled_avif(exif=tags.tobytes().removeprefix(b"Exif\0\0")))
    else:
        picture("RGB").save(path, exif=tags, xmp=b"<x:xmpmeta/>")
    settings, pool = UpscaleSettings(model=tiny_model), PoolSettings(workers=0)
    report = vidsr.upscale(path, tmp_path / target, settings=settings, pool=pool)
    assert report.left_out == ["EXIF metadata", "XMP metadata"][: 1 + (source != "tiles.avif")]


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_an_animated_png_has_the_frames_that_pillow_shows_or_is_refused(disposal: int, tmp_path: Path) -> None:
    frames = [Image.new("RGBA", SIZE) for _ in range(5)]
    for number, frame in enumerate(frames):
        frame.paste((200, 40 * number, 90, 255), (6 * number, 4, 6 * number + 12, 20))
    path = tmp_path / "in.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], disposal=disposal, blend=1)
    if disposal == 2:  # which FFmpeg does not follow
        with pytest.raises(SourceError, match="frames that restore the one before"):
            Reader(path)
        return
    with Reader(path) as reader, Image.open(path) as shown:
        for number, frame in enumerate(reader):
            shown.seek(number)
            expected = np.asarray(shown.convert("RGBA")).astype(int)
            assert abs(frame.av_frame.to_ndarray(format="rgba") - expected)[expected[..., 3] > 0].mean() < 2
        assert number == 4
