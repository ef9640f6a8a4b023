"""Conversion of decoded frames to their working format: planar, little-endian, with luma in a plane of its own."""

from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidsr.media.formats import has_alpha, is_rgb, working_format

RESAMPLING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class PixelFormatConverter:
    """Converts all frames of a source to the working format of its `first` frame.

    `flattened` counts frames that lost their transparency, because the first one has none.
    RGB becomes YUV 4:4:4: BT.601 full range (JFIF) for an image (`still`), BT.709 limited range for a video.
    Raises ValueError if the pixel format has no working format.
    """

    def __init__(self, first: VideoFrame, *, still: bool) -> None:
        self.format = working_format(first.format.name, alpha=_is_transparent(first))
        self.flattened = 0
        self._still = still
        if still:
            _set_range(first)
        self._stored = (first.format.name, first.color_range)
        self._reformatter = VideoReformatter()
        self._range = self(first).color_range or ColorRange.MPEG

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame in the working format and range; the same object if it is in them already."""
        name = frame.format.name
        if self._still:
            _set_range(frame)
        colorspace: int | None = None
        color_range: int | None = ColorRange.JPEG if name.startswith("yuvj") else None
        if is_rgb(name):
            colorspace = Colorspace.ITU601 if self._still else Colorspace.ITU709
            color_range = ColorRange.JPEG if self._still else ColorRange.MPEG
        self.flattened += not has_alpha(self.format) and _is_transparent(frame)
        if (name, frame.color_range) != self._stored:  # the source changes its format
            color_range = self._range
        converted = self._reformatter.reformat(
            frame,
            format=self.format,
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
