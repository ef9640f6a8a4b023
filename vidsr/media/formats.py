"""Pixel formats: depth, subsampling, the planar working format of each, and the planes of frames as arrays."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from av import VideoFrame
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange

from vidsr.arrays import Luma, Plane

_SUBSAMPLINGS = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (4, 4): "410", (1, 2): "440"}
_DEPTHS = (8, 9, 10, 12, 14, 16)
_NEUTRAL_CHROMA = 128
_SIZE = 16  # pixels; any size that every subsampling divides


def is_rgb(name: str) -> bool:
    """Whether a format stores RGB, XYZ or a palette instead of luma and chroma."""
    form = VideoFormat(name, _SIZE, _SIZE)
    return form.is_rgb or form.has_palette or name.startswith("xyz")


def has_alpha(name: str) -> bool:
    """Whether a format stores transparency."""
    form = VideoFormat(name, _SIZE, _SIZE)
    return form.has_palette or any(component.is_alpha for component in form.components)


def is_readable(name: str) -> bool:
    """Whether samples are whole numbers of up to 16 bits: of others swscale would clip light above white."""
    return "f16" not in name and all(part.bits <= _DEPTHS[-1] for part in VideoFormat(name, _SIZE, _SIZE).components)


def depth_of(name: str) -> int:
    """Bits per luma sample."""
    return VideoFormat(name, _SIZE, _SIZE).components[0].bits


def chroma_subsampling(name: str) -> tuple[int, int]:
    """(horizontal, vertical) number of pixels per chroma sample; (1, 1) for formats without chroma."""
    form = VideoFormat(name, _SIZE, _SIZE)
    if len(form.components) < 3:
        return (1, 1)
    return (_SIZE // form.chroma_width(_SIZE), _SIZE // form.chroma_height(_SIZE))


def working_format(name: str, *, alpha: bool = True) -> str:
    """The planar little-endian YUV or grey format of the same depth and subsampling; 4:4:4 for RGB.

    With `alpha` the alpha channel is kept. Raises ValueError if FFmpeg has no such format, and for floating point.
    """
    form = VideoFormat(name, _SIZE, _SIZE)
    bits = max(8, max(component.bits for component in form.components))
    if not is_readable(name):
        raise ValueError(name)
    depth = "" if bits == 8 else f"{bits}le"
    alpha = alpha and has_alpha(name)
    if len(form.components) <= 1 + has_alpha(name) and not is_rgb(name) and not alpha:
        found = f"gray{depth}"
    else:
        sampling = (1, 1) if is_rgb(name) else chroma_subsampling(name)
        found = f"yuv{'a' if alpha else ''}{_SUBSAMPLINGS[sampling]}p{depth}"
    VideoFormat(found, _SIZE, _SIZE)
    return found


def wider_formats(name: str) -> Iterator[str]:
    """The working formats that hold all of a working format, without this one; those that add least come first."""
    bits, (across, down) = depth_of(name), chroma_subsampling(name)
    letter, grey = "a" if has_alpha(name) else "", name.startswith("gray")
    finer = [(-x * y, code) for (x, y), code in _SUBSAMPLINGS.items() if grey or across % x == down % y == 0]
    for depth, (_, code) in product([depth for depth in _DEPTHS if depth >= bits], sorted(finer)):
        wider = f"yuv{letter}{code}p{'' if depth == 8 else f'{depth}le'}"
        if wider != name:
            yield wider


def luma_of(frame: VideoFrame) -> Plane:
    """The (H, W) luma of a frame in a working format, as a view of its memory."""
    return samples_of(frame, 0)


def samples_of(frame: VideoFrame, index: int) -> Plane:
    """The (H, W) samples of plane `index` of a frame in a working format, as a view of its memory."""
    plane = frame.planes[index]
    data = memoryview(plane)
    samples: Plane = np.frombuffer(data, np.uint8)
    if depth_of(frame.format.name) > 8:
        samples = np.frombuffer(data, np.uint16)
    rows: Plane = samples.reshape(-1, plane.line_size // samples.itemsize)
    return rows[: plane.height, : plane.width]


def neutral_frame(size: tuple[int, int], pixel_format: str) -> VideoFrame:
    """A frame of `size`, (width, height), at 8 bits per sample: its chroma is neutral, and its luma undefined."""
    frame = VideoFrame(*size, pixel_format)
    for chroma in frame.planes[1:]:
        chroma.update(bytes([_NEUTRAL_CHROMA]) * chroma.buffer_size)
    return frame


def luma_8bit(frame: VideoFrame) -> Luma:
    """The (H, W) luma of a frame in a working format: a view at 8 bits, else rounded to 8 bits."""
    luma = luma_of(frame)
    if luma.dtype == np.uint8:
        return luma.astype(np.uint8, copy=False)
    step = 1 << depth_of(frame.format.name) - 8
    return np.minimum((luma.astype(np.uint32) + step // 2) // step, 255).astype(np.uint8)


def is_full_range(frame: VideoFrame) -> bool:
    """Whether the frame is tagged as full range (0 to 255 at 8 bits), not as limited range."""
    return frame.color_range == ColorRange.JPEG
