"""Writing a frame as a PNG or JPEG file."""

from fractions import Fraction
from pathlib import Path
from typing import Self

from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidsr.arrays import Luma
from vidsr.errors import TargetError
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import image_codec_for
from vidsr.media.encoders import video_encoder
from vidsr.media.error_text import target_errors
from vidsr.media.formats import depth_of, has_alpha
from vidsr.media.image_metadata import read_metadata, with_metadata
from vidsr.media.libav import set_frame_side_data
from vidsr.media.pixel_format_converter import RESAMPLING
from vidsr.media.side_data import FrameKind, side_data


class ImageWriter:
    """A PNG or JPEG file, by the suffix of `target`, with the metadata of `source`; closed by `with`.

    `dropped` names what it cannot hold. Leaving `with` without `write` deletes the file. Every fault of
    the target raises TargetError.
    """

    def __init__(self, target: Path, *, source: Path, first: VideoFrame, overwrite: bool) -> None:
        """`first` is the source's image."""
        self._codec = image_codec_for(target)
        if self._codec is None:
            raise TargetError(f"{target}: the name of an image must end in .png or .jpg")
        self._metadata = read_metadata(source)
        self.dropped = self._metadata.losses(self._codec)
        profile = side_data(first, FrameKind.ICC_PROFILE)
        self._drops_profile = bool(profile and profile[16:20] != _profile_space(self._codec, first.format.name))
        if self._drops_profile:
            self._metadata.chunks = [each for each in self._metadata.chunks if each[0] != b"iCCP"]
            self.dropped.append("the ICC profile, which is of another colour model")
        if self._codec == "mjpeg" and has_alpha(first.format.name):
            self.dropped.append("transparency")
        self._file = AtomicFile(target, source=source, overwrite=overwrite)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.discard()

    def write(self, frame: VideoFrame, scale: float) -> None:
        """Writes the source's image, turned upright and upscaled by `scale`, and commits the file."""
        assert self._codec
        metadata = self._metadata
        metadata.exif = metadata.exif or side_data(frame, FrameKind.EXIF)
        metadata.adjust((frame.width, frame.height), scale)
        set_frame_side_data(frame, FrameKind.EXIF)  # FFmpeg would write it, and move maker's notes
        if self._drops_profile:
            set_frame_side_data(frame, FrameKind.ICC_PROFILE)
        with target_errors(self._file.target):
            self._file.file.write(with_metadata(encode_image(frame, self._codec), metadata))
            self._file.commit()


def encode_png(luma: Luma) -> bytes:
    """A plane as the bytes of a grey PNG file."""
    return encode_image(VideoFrame.from_ndarray(luma, format="gray"), "png")


def encode_image(frame: VideoFrame, codec: str) -> bytes:
    """The frame as the bytes of a PNG ("png") or JPEG ("mjpeg") file."""
    stored = VideoReformatter().reformat(
        frame,
        format=_png_format(frame.format.name) if codec == "png" else _jpeg_format(frame.format.name),
        interpolation=RESAMPLING,
        dst_colorspace=None if codec == "png" else Colorspace.ITU601,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    context = video_encoder(codec)
    context.width, context.height, context.pix_fmt = stored.width, stored.height, stored.format.name
    context.time_base = Fraction(1, 25)
    context.color_range = ColorRange.JPEG
    if codec == "mjpeg":
        context.qmin = context.qmax = 2  # the best quality
    return b"".join(bytes(packet) for packet in [*context.encode(stored), *context.encode(None)])


def _profile_space(codec: str, name: str) -> bytes:
    """The colour model, as ICC profiles state it, of an image in pixel format `name` as the encoder stores it."""
    return b"GRAY" if codec == "png" and _png_format(name).startswith("gray") else b"RGB "


def _png_format(name: str) -> str:
    deep, alpha = depth_of(name) > 8, has_alpha(name)
    if name.startswith("gray"):
        return "gray16be" if deep else "gray"
    return {(0, 0): "rgb24", (0, 1): "rgba", (1, 0): "rgb48be", (1, 1): "rgba64be"}[deep, alpha]


def _jpeg_format(name: str) -> str:
    for sampling in ("420", "422"):
        if sampling in name:
            return f"yuvj{sampling}p"
    return "yuvj444p"
