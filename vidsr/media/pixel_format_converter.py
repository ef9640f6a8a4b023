"""Conversion of decoded frames to their working format: planar, little-endian, with luma in a plane of its own."""

from dataclasses import dataclass, replace

import av
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidsr.media.formats import has_alpha, is_readable, is_rgb, working_format

RESAMPLING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True, kw_only=True)
class WorkingFormat:
    """The working format of a source, and what its conversion depends on: facts of the first frame."""

    name: str
    stored: tuple[str, int]
    """Pixel format and colour range."""
    still: bool
    color_range: int = ColorRange.MPEG


def find_working_format(first: VideoFrame, *, still: bool) -> WorkingFormat:
    """The working format of a source by its first frame.

    Raises ValueError if there is none for its pixel format, or swscale does not convert it.
    """
    stored = first.format.name
    name = working_format(stored, alpha=is_readable(stored) and _is_transparent(first))
    if still:
        _set_range(first)
    working = WorkingFormat(name=name, stored=(stored, first.color_range), still=still)
    try:
        converted = PixelFormatConverter(working)(first)
    except av.FFmpegError as error:
        raise ValueError(stored) from error
    return replace(working, color_range=converted.color_range or ColorRange.MPEG)


class PixelFormatConverter:
    """Converts all frames of a source to its working format.

    `flattened` counts frames that lost their transparency, because the first one has none.
    RGB becomes YUV 4:4:4: BT.601 full range (JFIF) for an image, BT.709 limited range for a video.
    """

    def __init__(self, working: WorkingFormat) -> None:
        self.flattened = 0
        self._working = working
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame in the working format and range; the same object if it is in them already."""
        name = frame.format.name
        if self._working.still:
            _set_range(frame)
        colorspace: int | None = None
        color_range: int | None = ColorRange.JPEG if name.startswith("yuvj") else None
        if is_rgb(name):
            colorspace = Colorspace.ITU601 if self._working.still else Colorspace.ITU709
            color_range = ColorRange.JPEG if self._working.still else ColorRange.MPEG
        self.flattened += not has_alpha(self._working.name) and _is_transparent(frame)
        if (name, frame.color_range) != self._working.stored:  # the source changes its format
            color_range = self._working.color_range
        converted = self._reformatter.reformat(
            frame,
            format=self._working.name,
            interpolation=RESAMPLING,
            dst_colorspace=colorspace,
            dst_color_range=color_range,
            threads=1,
        )
        if colorspace is None:  # PyAV writes 6 for 5
            converted.colorspace = frame.colorspace
        return converted


def _set_range(frame: VideoFrame) -> None:
    """Sets the range of an image that states none to full, as the standards of images say, against those of video."""
    if "yuv" in frame.format.name and not frame.color_range:
        frame.color_range = ColorRange.JPEG


def _is_transparent(frame: VideoFrame) -> bool:
    """Whether any pixel is not opaque: many sources have an alpha channel and do not use it."""
    return has_alpha(frame.format.name) and bool((frame.to_ndarray(format="rgba")[..., 3] < 255).any())
