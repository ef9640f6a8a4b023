"""Pixel formats: the planar one each is worked in, and how to see its luma."""

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from vidsr.arrays import Plane

_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (4, 4): "410", (1, 2): "440"}
_SIZE = 16  # any that every subsampling divides


def is_rgb(name: str) -> bool:
    """Whether a format stores colours other than as luma and chroma."""
    form = VideoFormat(name, _SIZE, _SIZE)
    return form.is_rgb or form.has_palette or name.startswith("xyz")


def has_alpha(name: str) -> bool:
    """Whether a format stores transparency."""
    form = VideoFormat(name, _SIZE, _SIZE)
    return form.has_palette or any(component.is_alpha for component in form.components)


def depth_of(name: str) -> int:
    """Bits of a luma sample."""
    return VideoFormat(name, _SIZE, _SIZE).components[0].bits


def chroma_groups(name: str) -> tuple[int, int]:
    """How many pixels beside and below each other share a chroma sample; (1, 1) where there is no chroma."""
    form = VideoFormat(name, _SIZE, _SIZE)
    if len(form.components) < 3:
        return (1, 1)
    return (_SIZE // form.chroma_width(_SIZE), _SIZE // form.chroma_height(_SIZE))


def working_format(name: str, *, alpha: bool = True) -> str:
    """The planar little-endian YUV or grey format of the same depth and subsampling; RGB becomes 4:4:4.

    Transparency is kept, unless `alpha` is False. Raises ValueError for a format that has no such form.
    """
    form = VideoFormat(name, _SIZE, _SIZE)
    bits = max(8, max(component.bits for component in form.components))
    depth = "" if bits == 8 else f"{bits}le"
    alpha = alpha and has_alpha(name)
    if len(form.components) <= 1 + has_alpha(name) and not is_rgb(name) and not alpha:
        found = f"gray{depth}"
    else:
        sampling = (1, 1) if is_rgb(name) else chroma_groups(name)
        found = f"yuv{'a' if alpha else ''}{_SUBSAMPLINGS[sampling]}p{depth}"
    VideoFormat(found, _SIZE, _SIZE)
    return found


def luma_of(picture: VideoFrame) -> Plane:
    """The (H, W) luma of a frame in a working format, as a view of its memory."""
    return samples_of(picture, 0)


def samples_of(picture: VideoFrame, number: int) -> Plane:
    """The (H, W) samples of a plane, by its number, of a frame in a working format, as a view of its memory."""
    plane = picture.planes[number]
    data = memoryview(plane)
    samples: Plane = np.frombuffer(data, np.uint8)
    if depth_of(picture.format.name) > 8:
        samples = np.frombuffer(data, np.uint16)
    rows: Plane = samples.reshape(-1, plane.line_size // samples.itemsize)
    return rows[: plane.height, : plane.width]


def luma_in_bytes(picture: VideoFrame) -> NDArray[np.uint8]:
    """The (H, W) luma of a frame in a working format: a view where it has 8 bits, else rounded to them."""
    luma = luma_of(picture)
    if luma.dtype == np.uint8:
        return luma.astype(np.uint8, copy=False)
    step = 1 << depth_of(picture.format.name) - 8
    return np.minimum((luma.astype(np.uint32) + step // 2) // step, 255).astype(np.uint8)


def is_full_range(picture: VideoFrame) -> bool:
    """Whether the picture says that its levels span all there are; video's do not, as a rule."""
    return picture.color_range == ColorRange.JPEG
