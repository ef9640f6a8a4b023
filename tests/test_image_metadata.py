"""Metadata of images: it arrives in PNG and JPEG, and says that the image is upright and how large it is."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin

import vidsr
from vidsr import PoolSettings, UpscaleSettings
from vidsr.media.exif import adjusted_exif, adjusted_xmp
from vidsr.media.image_metadata import read_metadata
from vidsr.report import Report

ORIENTATION, MAKE, MAKER_NOTE = 0x112, 0x10F, 0x927C
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOTE = b"a maker's note" * 9
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" tiff:Make="Maker">
<GPano:FullPanoWidthPixels>4000</GPano:FullPanoWidthPixels></rdf:Description></rdf:RDF></x:xmpmeta>"""


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION], tags[MAKE] = orientation, "Maker"
    inner = tags.get_ifd(ExifTags.IFD.Exif)
    inner[0xA002], inner[0xA003], inner[MAKER_NOTE] = 48, 32, NOTE
    return tags


def photo(path: Path, orientation: int = 6) -> Path:
    image = Image.new("RGB", (48, 32), (30, 30, 30))
    image.paste((220, 60, 60), (0, 0, 24, 16))
    facts = {"exif": exif(orientation), "icc_profile": PROFILE}
    if path.suffix == ".png":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Author", "Somebody")
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
        image.save(path, pnginfo=texts, dpi=(300, 300), **facts)
    elif path.suffix == ".tiff":
        image.save(path, **facts)
    else:
        image.save(path, xmp=XMP, quality=95, **facts)
    return path


def enlarged(source: Path, target: Path, model: str) -> Report:
    settings = UpscaleSettings(model=model)
    return vidsr.upscale(source, target, settings=settings, pool=PoolSettings(workers=0, threads=1))


@pytest.mark.parametrize("target", ["png", "jpg"])
@pytest.mark.parametrize("source", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_metadata_arrives_and_says_that_the_image_is_upright(
    source: str, target: str, orientation: int, tiny_model: str, tmp_path: Path
) -> None:
    before, after = photo(tmp_path / f"in.{source}", orientation), tmp_path / f"out.{target}"
    report = enlarged(before, after, tiny_model)
    with Image.open(after) as image:
        image.load()
        tags, inner = image.getexif(), image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert image.size == ((96, 64) if orientation in (1, 3) else (64, 96))
        assert (tags[ORIENTATION], tags[MAKE], inner[MAKER_NOTE]) == (1, "Maker", NOTE)
        assert (inner[0xA002], inner[0xA003]) == image.size
        assert image.info["icc_profile"] == PROFILE
        xmp = image.info["xmp"]
        assert b'tiff:Orientation="1"' in xmp
        assert b"<GPano:FullPanoWidthPixels>8000<" in xmp
        with Image.open(before) as stored:
            upright = ImageOps.exif_transpose(stored).convert("L")
        shown = ImageOps.exif_transpose(image).convert("L")
        bright = [
            (x, y) for x in (8, upright.width - 8) for y in (8, upright.height - 8) if upright.getpixel((x, y)) > 60
        ]
        assert len(bright) == 1
        assert shown.getpixel((2 * bright[0][0], 2 * bright[0][1])) > 60
    assert report.left_out == (["PNG's texts"] if (source, target) == ("png", "jpg") else [])


def test_texts_and_resolution_of_a_png_arrive(tiny_model: str, tmp_path: Path) -> None:
    enlarged(photo(tmp_path / "in.png"), tmp_path / "out.png", tiny_model)
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert (image.info["Author"], round(image.info["dpi"][0])) == ("Somebody", 300)


def test_a_tiff_gives_its_facts_but_not_how_it_stores_pixels(tiny_model: str, tmp_path: Path) -> None:
    enlarged(photo(tmp_path / "in.tiff"), tmp_path / "out.jpg", tiny_model)
    with Image.open(tmp_path / "out.jpg") as image:
        tags = image.getexif()
    assert (image.size, tags[MAKE], tags.get(ORIENTATION, 1)) == ((64, 96), "Maker", 1)
    assert not {0x102, 0x111, 0x115, 0x117} & set(tags)


def test_xmp_of_an_avif_arrives(tiny_model: str, tmp_path: Path) -> None:
    assert enlarged(photo(tmp_path / "in.avif"), tmp_path / "out.png", tiny_model).left_out == []
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert b'tiff:Orientation="1"' in image.info["xmp"]
        assert (image.getexif()[MAKE], image.info["icc_profile"]) == ("Maker", PROFILE)


def test_transparency_that_a_jpeg_cannot_hold_is_reported(tiny_model: str, tmp_path: Path) -> None:
    for level, lost in ((128, ["transparency"]), (255, [])):
        Image.new("RGBA", (48, 32), (30, 90, 30, level)).save(tmp_path / "in.png")
        report = enlarged(tmp_path / "in.png", tmp_path / f"{level}.jpg", tiny_model)
        assert report.left_out == lost


def test_further_pages_of_a_tiff_are_reported(tiny_model: str, tmp_path: Path) -> None:
    page = Image.new("RGB", (48, 32))
    page.save(tmp_path / "in.tiff", save_all=True, append_images=[page])
    assert enlarged(tmp_path / "in.tiff", tmp_path / "out.png", tiny_model).left_out == ["further pages"]


def test_comments_and_iptc_of_a_jpeg_arrive_or_are_named(tiny_model: str, tmp_path: Path) -> None:
    data = photo(tmp_path / "plain.jpg").read_bytes()
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03abc"
    added = [(0xED, iptc), (0xFE, b"a comment")]
    segments = b"".join(struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content for marker, content in added)
    film = struct.pack(">I", 16) + b"ftypisom" + bytes(4)
    (tmp_path / "in.jpg").write_bytes(data[:2] + segments + data[2:] + film)
    report = enlarged(tmp_path / "in.jpg", tmp_path / "out.jpg", tiny_model)
    with Image.open(tmp_path / "out.jpg") as image:
        assert (image.info["comment"], bytes(image.info["photoshop"][0x404])) == (
            b"a comment",
            b"\x1c\x02\x78\0\x03abc",
        )
    assert report.left_out == ["the film behind the photo"]
    report = enlarged(tmp_path / "in.jpg", tmp_path / "out.png", tiny_model)
    assert report.left_out == ["the film behind the photo", "IPTC metadata", "the comment"]


@pytest.mark.parametrize("cut", range(8, 60, 3))
def test_exif_that_is_cut_off_does_no_harm(cut: int) -> None:
    whole = exif(6).tobytes().removeprefix(b"Exif\0\0")
    assert len(adjusted_exif(whole[:cut], (64, 96))) == cut


def test_the_thumbnail_of_a_turned_image_is_cut_off() -> None:
    entry = struct.pack("<HHII", ORIENTATION, 3, 1, 6)
    block = b"II*\0\x08\0\0\0" + b"\1\0" + entry + struct.pack("<I", 99)
    assert adjusted_exif(block, (1, 1))[-4:] == bytes(4)
    upright = block.replace(entry, struct.pack("<HHII", ORIENTATION, 3, 1, 1))
    assert adjusted_exif(upright, (1, 1)) == upright


def test_xmp_says_that_the_film_of_a_motion_photo_is_gone() -> None:
    text = b'GCamera:MotionPhoto="1" exif:PixelXDimension="48" tiff:Model="12"'
    assert adjusted_xmp(text, (96, 64), 2) == b'GCamera:MotionPhoto="0" exif:PixelXDimension="96" tiff:Model="12"'


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 45455))],
        [(b"cICP", bytes([9, 16, 0, 1]))],
        [],
    ],
)
def test_a_png_says_of_its_colours_what_the_source_says(
    chunks: list[tuple[bytes, bytes]], tiny_model: str, tmp_path: Path
) -> None:
    with_chunks(tmp_path / "in.png", chunks)
    enlarged(tmp_path / "in.png", tmp_path / "out.png", tiny_model)
    found = chunks_of(tmp_path / "out.png")
    assert [each for each in found if each[0] not in (b"IHDR", b"IDAT", b"IEND")] == chunks


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def with_chunks(path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    Image.new("RGB", (48, 32), (120, 60, 30)).save(path)
    data = path.read_bytes()
    added = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(data[:33] + added + data[33:])


@pytest.mark.parametrize(("target", "kept"), [("png", True), ("jpg", False)])
def test_a_profile_of_another_colour_model_is_named(target: str, kept: bool, tiny_model: str, tmp_path: Path) -> None:
    """vidsr writes grey JPEGs in colour."""
    profile = bytearray(PROFILE)
    profile[16:20] = b"GRAY"
    Image.new("L", (48, 32), 90).save(tmp_path / "in.png", icc_profile=bytes(profile))
    report = enlarged(tmp_path / "in.png", tmp_path / f"out.{target}", tiny_model)
    with Image.open(tmp_path / f"out.{target}") as image:
        assert image.info.get("icc_profile") == (bytes(profile) if kept else None)
    assert report.left_out == ([] if kept else ["the ICC profile, which is of another colour model"])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "avif"])
def test_metadata_of_a_file_that_is_cut_off_or_damaged_is_read_as_far_as_it_goes(suffix: str, tmp_path: Path) -> None:
    whole = photo(tmp_path / f"in.{suffix}").read_bytes()
    chance = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole[: chance.integers(1, len(whole))])
        data[chance.integers(len(data))] = chance.integers(256)
        (tmp_path / "cut").write_bytes(data)
        metadata = read_metadata(tmp_path / "cut")
        metadata.adjust((96, 64), 2)
        assert len(metadata.exif or b"") <= len(whole)
