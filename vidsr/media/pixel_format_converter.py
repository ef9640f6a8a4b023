"""Bringing pictures to the form they are worked in: planar, little-endian, luma apart from chroma."""

from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidsr.media.formats import has_alpha, is_rgb, working_format

RESAMPLING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class WorkingForm:
    """The working format of a source's `first` picture, and whatever brings others to it.

    RGB becomes 4:4:4: by JFIF's rules in a picture file (`still`), as players expect in a video.
    Raises ValueError when its pixel format has no such form.
    """

    def __init__(self, first: VideoFrame, *, still: bool) -> None:
        self.format = working_format(first.format.name, alpha=_is_transparent(first))
        self._still = still
        self._stored = (first.format.name, first.color_range)
        self._reformatter = VideoReformatter()
        self._range = self(first).color_range or ColorRange.MPEG

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """The picture in that format and range; the same object when it is in them already."""
        name = picture.format.name
        matrix: int | None = None
        levels: int | None = ColorRange.JPEG if name.startswith("yuvj") else None
        if is_rgb(name):
            matrix = Colorspace.ITU601 if self._still else Colorspace.ITU709
            levels = ColorRange.JPEG if self._still else ColorRange.MPEG
        if (name, picture.color_range) != self._stored:  # the source changes on its way
            levels = self._range
        return self._reformatter.reformat(
            picture,
            format=self.format,
            interpolation=RESAMPLING,
            dst_colorspace=matrix,
            dst_color_range=levels,
            threads=1,
        )


def _is_transparent(picture: VideoFrame) -> bool:
    """Whether a pixel of the picture lets through what is behind it: many formats that could are opaque."""
    return has_alpha(picture.format.name) and bool((picture.to_ndarray(format="rgba")[..., 3] < 255).any())
