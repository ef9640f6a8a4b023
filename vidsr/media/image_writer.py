"""Writing a frame as a PNG or JPEG file."""

from fractions import Fraction

import av
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidsr.errors import TargetError
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import image_codec_for
from vidsr.media.encoders import video_encoder
from vidsr.media.formats import depth_of, has_alpha
from vidsr.media.pixel_format_converter import RESAMPLING


def write_image(output: AtomicFile, frame: VideoFrame) -> None:
    """Writes the frame as PNG or JPEG, by the suffix of the target, and commits the file. Raises TargetError."""
    codec = image_codec_for(output.target)
    if codec is None:
        raise TargetError(f"{output.target}: the name of an image must end in .png or .jpg")
    try:
        output.file.write(encode_image(frame, codec))
        output.commit()
    except (av.FFmpegError, OSError) as error:
        raise TargetError(f"{output.target}: {error.strerror or error}") from error


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
