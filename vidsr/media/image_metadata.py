"""Metadata of image files: Exif, XMP, profiles, texts; read from one file, written into another."""

import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vidsr.media.exif import adjusted_exif, adjusted_xmp
from vidsr.media.heif import heif_metadata
from vidsr.media.tiff import SIGNATURES as TIFF_SIGNATURES
from vidsr.media.tiff import first_directory

_EXIF, _XMP, _IPTC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_EXTENDED_XMP, _MPF = b"http://ns.adobe.com/xmp/extension/\0", b"MPF\0"
_XMP_TEXT = b"XML:com.adobe.xmp\0"
_PNG, _SOI, _SOS, _EOI = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", 0xDA, b"\xff\xd9"
_APP0, _APP1, _APP2, _APP13, _COM = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
_MAX_SEGMENT = 65_533  # bytes of a JPEG segment
_MAX_TEXT = 1 << 24  # bytes of a text when it is unpacked
_COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")


@dataclass
class ImageMetadata:
    """The content of an image file besides the pixels."""

    exif: bytes | None = None
    """From the TIFF header on."""
    xmp: bytes | None = None
    chunks: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Type and data of a PNG's chunks: colour, resolution, texts."""
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    """Marker and data of a JPEG's segments: resolution, IPTC, comments."""
    others: list[str] = field(default_factory=list)
    """Names of the metadata that no target receives."""

    def losses(self, codec: str) -> list[str]:
        """The names of what an image encoded by "png" or "mjpeg" cannot hold; of all of it with a video's codec."""
        lost = list(self.others)
        markers = set() if codec == "mjpeg" else {marker for marker, _ in self.segments}
        if _APP13 in markers:
            lost.append("IPTC metadata")
        if _COM in markers:
            lost.append("the comment")
        if codec != "png" and any(kind in _TEXT_CHUNKS for kind, _ in self.chunks):
            lost.append("PNG's texts")
        longest = {"png": sys.maxsize, "mjpeg": _MAX_SEGMENT}.get(codec, 0)
        for name, data, head in (("EXIF metadata", self.exif, _EXIF), ("XMP metadata", self.xmp, _XMP)):
            if data and len(head + data) > longest:
                lost.append(name)
        return lost

    def adjust(self, size: tuple[int, int], scale: float) -> None:
        """Adjust Exif and XMP to an upright image of `size`, (width, height), which was upscaled by `scale`."""
        self.exif = self.exif and adjusted_exif(self.exif, size)
        self.xmp = self.xmp and adjusted_xmp(self.xmp, size, scale)


def read_metadata(path: Path) -> ImageMetadata:
    """The metadata of a JPEG, PNG, WebP, TIFF or HEIF file; of others, and where they are damaged, less or none."""
    data = path.read_bytes()
    try:
        if data.startswith(_SOI):
            return _read_jpeg(data)
        if data.startswith(_PNG):
            return _read_png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _read_webp(data)
        if data[:4] in TIFF_SIGNATURES:
            return _read_tiff(data)
        if data[4:8] == b"ftyp":
            return _read_heif(data)
    except (struct.error, zlib.error, IndexError, KeyError):
        pass
    return ImageMetadata()


def with_metadata(image: bytes, metadata: ImageMetadata) -> bytes:
    """A PNG or JPEG file with the metadata that its format holds."""
    return _png_with(image, metadata) if image.startswith(_PNG) else _jpeg_with(image, metadata)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and data of the segments before the pixels."""
    at = 2
    while data[at] == 0xFF and data[at + 1] != _SOS:
        marker, length = struct.unpack_from(">xBH", data, at)
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length


def _read_jpeg(data: bytes) -> ImageMetadata:
    found = ImageMetadata()
    for marker, content in _segments(data):
        if marker == _APP1 and content.startswith(_EXIF):
            found.exif = found.exif or content[len(_EXIF) :]
        elif marker == _APP1 and content.startswith(_XMP):
            found.xmp = content[len(_XMP) :]
        elif content.startswith(_EXTENDED_XMP):
            found.others = ["extended XMP metadata"]
        elif marker == _APP2 and content.startswith(_MPF):
            found.others.append("further images in the file (MPF)")
        elif marker in (_APP0, _COM) or (marker == _APP13 and content.startswith(_IPTC)):
            found.segments.append((marker, content))
    pixels = data[2 + sum(4 + len(content) for _, content in _segments(data)) :]
    if not found.others and _EOI + _SOI + b"\xff" in pixels:
        found.others.append("further images in the file")
    end = data.rfind(b"ftyp") - 4
    if end > 0 and data[:end].rstrip(b"\0").endswith(_EOI):
        found.others.append("the film behind the photo")
    return found


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of the chunks of a PNG."""
    at = len(_PNG)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _read_png(data: bytes) -> ImageMetadata:
    found = ImageMetadata()
    for kind, content in _chunks(data):
        if kind == b"eXIf":
            found.exif = content
        elif kind == b"iTXt" and content.startswith(_XMP_TEXT):
            found.xmp = _international_text(content[len(_XMP_TEXT) :])
        elif kind in (*_COLOUR_CHUNKS, *_TEXT_CHUNKS, b"pHYs"):
            found.chunks.append((kind, content))
    return found


def _international_text(content: bytes) -> bytes:
    """The text of an iTXt chunk behind its keyword."""
    compressed, text = content[0], content[2:].split(b"\0", 2)[-1]
    return zlib.decompressobj().decompress(text, _MAX_TEXT) if compressed else text


def _read_webp(data: bytes) -> ImageMetadata:
    found, at = ImageMetadata(), 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            found.exif = content.removeprefix(_EXIF)
        elif kind == b"XMP ":
            found.xmp = content
        at += 8 + length + length % 2
    return found


def _read_tiff(data: bytes) -> ImageMetadata:
    """The XMP; the whole file would be its Exif."""
    directory = first_directory(data)
    return ImageMetadata(xmp=directory.xmp, others=["further pages"] * directory.has_next)


def _read_heif(data: bytes) -> ImageMetadata:
    exif, xmp, has_auxiliary = heif_metadata(data)
    others = ["further images in the file (gain or depth maps)"] if has_auxiliary else []
    return ImageMetadata(exif=exif, xmp=xmp, others=others)


def _jpeg_with(image: bytes, metadata: ImageMetadata) -> bytes:
    blocks = [(_APP1, _EXIF + metadata.exif)] if metadata.exif else []
    blocks += [(_APP1, _XMP + metadata.xmp)] if metadata.xmp else []
    blocks = [each for each in [*blocks, *metadata.segments] if len(each[1]) <= _MAX_SEGMENT]
    replaced = {marker for marker, _ in metadata.segments} & {_APP0} | {_COM}
    own = [each for each in _segments(image) if each[0] not in replaced]
    pixels = image[2 + sum(4 + len(content) for _, content in _segments(image)) :]
    order = sorted([*blocks, *own], key=lambda each: each[0] != _APP0)  # which must be the first
    parts = (struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content for marker, content in order)
    return _SOI + b"".join(parts) + pixels


def _png_with(image: bytes, metadata: ImageMetadata) -> bytes:
    added = list(metadata.chunks)
    if metadata.exif:
        added.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        added.append((b"iTXt", _XMP_TEXT + bytes(4) + metadata.xmp))
    header, *rest = _chunks(image)
    replaced = {b"pHYs"}  # FFmpeg writes a resolution of 0
    if any(kind in _COLOUR_CHUNKS for kind, _ in added):
        replaced.update(_COLOUR_CHUNKS)  # and a cICP of what it made of them
    parts = [header, *added, *(each for each in rest if each[0] not in replaced)]
    return _PNG + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
