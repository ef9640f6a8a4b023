"""HEIC and AVIF images: of tiles, with transparency, turned and mirrored; Pillow says what they look like."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from commands import SOURCE, Command, Refused
from made import make_clip, scene
from oracles import samples
from PIL import Image, ImageCms, ImageOps

import vidsr
from vidsr import PoolSettings, UpscaleSettings
from vidsr.errors import SourceError
from vidsr.media.image_reader import read_image, rgb_of
from vidsr.media.reader import Reader

TILE, SIZE = (96, 64), (180, 120)
ROTATED, MIRRORED = b"irot", b"imir"


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *parts)


def box_of(data: bytes, kind: bytes) -> bytes:
    """The first box of a kind, with its head."""
    at = data.index(kind) - 4
    return data[at : at + int.from_bytes(data[at : at + 4], "big")]


def coded_tiles() -> list[bytes]:
    """Four tiles, each as an AVIF file."""
    whole = Image.fromarray(scene(0, (2 * TILE[0], 2 * TILE[1])))
    coded = []
    for y in (0, TILE[1]):
        for x in (0, TILE[0]):
            file = io.BytesIO()
            whole.crop((x, y, x + TILE[0], y + TILE[1])).save(file, "AVIF", quality=95)
            coded.append(file.getvalue())
    return coded


def tiled_avif(*turns: tuple[bytes, int], exif: bytes = b"", profile: bytes = b"") -> bytes:
    """An AVIF image of 2x2 tiles, cropped to SIZE, with the transformations in that order."""
    coded = coded_tiles()
    media = [*(box_of(data, b"mdat")[8:] for data in coded), bytes(4) + exif]
    grid = struct.pack(">BBBBHH", 0, 0, 1, 1, *SIZE)
    items = [(1, b"grid"), *((number, b"av01") for number in range(2, 6)), (6, b"Exif")]
    infos = [full_box(b"infe", struct.pack(">HH4sB", number, 0, kind, 0), version=2) for number, kind in items]
    properties = [
        full_box(b"ispe", struct.pack(">II", *SIZE)),
        full_box(b"ispe", struct.pack(">II", *TILE)),
        box_of(coded[0], b"av1C"),
        full_box(b"pixi", bytes([3, 8, 8, 8])),
        *(box(kind, bytes([value])) for kind, value in turns),
        *([box(b"colr", b"prof", profile)] if profile else []),
    ]
    owned = {1: [1, 4, *(0x80 | 5 + index for index in range(len(properties) - 4))]} | {
        n: [2, 0x83, 4] for n in range(2, 6)
    }
    associations = [struct.pack(">HB", number, len(indices)) + bytes(indices) for number, indices in owned.items()]
    parts = [
        full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", struct.pack(">H", 1)),
        full_box(b"iinf", struct.pack(">H", len(items)), *infos),
        full_box(b"iref", box(b"dimg", struct.pack(">6H", 1, 4, 2, 3, 4, 5))),
        box(b"iprp", box(b"ipco", *properties), full_box(b"ipma", struct.pack(">I", 5), *associations)),
        box(b"idat", grid),
    ]
    head = box(b"ftyp", b"avif", bytes(4), b"avifmif1miafMA1B")

    def meta(start: int) -> bytes:
        places = [struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(grid))]
        for number, data in enumerate(media, 2):
            places.append(struct.pack(">HHHHII", number, 0, 0, 1, start, len(data)))
            start += len(data)
        return full_box(
            b"meta", *parts, full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), *places, version=1)
        )

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *media)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_exif_and_profile_of_an_image_of_tiles_arrive(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x10F] = "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = tiled_avif(exif=tags.tobytes().removeprefix(b"Exif\0\0"), profile=profile)
    (tmp_path / "in.avif").write_bytes(data)
    settings = UpscaleSettings(model=tiny_model)
    vidsr.upscale(
        tmp_path / "in.avif",
        tmp_path / f"out.{suffix}",
        settings=settings,
        pool=PoolSettings(workers=0, threads=1),
    )
    with Image.open(tmp_path / f"out.{suffix}") as image:
        image.load()
        assert (image.getexif()[0x10F], image.info["icc_profile"]) == ("Maker", profile)


def check_against_pillow(path: Path) -> None:
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGBA"), float)
    with Reader(path, upright=True) as reader:
        assert reader.info.still
        (frame,) = reader
        transparent = bool((expected[..., 3] < 255).any())
        assert frame.av_frame.format.name == ("yuva420p" if transparent else "yuv420p")
        alpha = samples(frame.av_frame)[3].astype(float) if transparent else expected[..., 3]
        rgb = rgb_of(frame.av_frame).astype(float)
        assert reader.truncation is None
    assert rgb.shape[:2] == expected.shape[:2]
    assert np.abs(rgb - expected[..., :3]).mean() < 6
    assert np.abs(alpha - expected[..., 3]).max() <= 2


@pytest.mark.parametrize(
    "turns",
    [(), *[((ROTATED, quarters),) for quarters in (1, 2, 3)], *[((MIRRORED, axis),) for axis in (0, 1)],
     ((ROTATED, 1), (MIRRORED, 1))],
)  # fmt: skip
def test_an_image_of_tiles_is_put_together(tmp_path: Path, turns: tuple[tuple[bytes, int], ...]) -> None:
    (tmp_path / "in.avif").write_bytes(tiled_avif(*turns))
    check_against_pillow(tmp_path / "in.avif")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_one_image_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(scene(0)).save(tmp_path / "in.avif", exif=tags, quality=95)
    check_against_pillow(tmp_path / "in.avif")


@pytest.mark.parametrize("orientation", [1, 6])
def test_transparency_is_kept(tmp_path: Path, orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    picture = Image.fromarray(scene(0))
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / "in.avif", exif=tags, quality=95)
    check_against_pillow(tmp_path / "in.avif")


def test_an_image_of_tiles_is_upscaled_and_what_cannot_read_it_says_so(upscale: Command, tmp_path: Path) -> None:
    (tmp_path / "in.heic").write_bytes(tiled_avif((ROTATED, 3)))
    for target in ("out.png", "out.mkv"):
        assert upscale(tmp_path / "in.heic", tmp_path / target).code == 0
    with Image.open(tmp_path / "out.png") as after:
        assert after.size == (2 * SIZE[1], 2 * SIZE[0])
    with pytest.raises(SourceError, match="of several parts"):
        read_image(tmp_path / "in.heic")


def test_a_missing_part_is_one_sentence(refused: Refused, tmp_path: Path) -> None:
    whole = tiled_avif()
    for name, data in (
        ("cut.avif", whole[:-300]),
        ("no-reference.avif", whole.replace(b"dimg", b"gone")),
        ("no-tile.avif", whole.replace(struct.pack(">6H", 1, 4, 2, 3, 4, 5), struct.pack(">6H", 1, 4, 2, 3, 4, 9))),
        ("too-large.avif", whole.replace(struct.pack(">HH", *SIZE), struct.pack(">HH", 4000, 4000))),
        ("bomb.avif", whole.replace(struct.pack(">HH", *SIZE), struct.pack(">HH", 60000, 60000))),
    ):
        (tmp_path / name).write_bytes(data)
        assert name in refused(SOURCE, tmp_path / name, tmp_path / "out.png")


def test_the_video_of_a_film_in_an_image_is_read(upscale: Command, tmp_path: Path) -> None:
    """Brands alone do not make a film an image."""
    source = make_clip(tmp_path / "in.mp4", pts=[0, 512])
    source.write_bytes(source.read_bytes().replace(b"avc1mp41", b"mif1heic"))
    assert upscale(source, tmp_path / "out.mp4").code == 0
