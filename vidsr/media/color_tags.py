"""Colour tags: what frames and encoders say of their colours."""

from dataclasses import dataclass, replace
from typing import Self

from av import VideoFrame
from av.video.codeccontext import VideoCodecContext

_SD_HEIGHT = 576
_UNSPECIFIED, _BT601 = 2, 6


@dataclass(frozen=True, kw_only=True)
class ColorTags:
    """Colour tags by FFmpeg's numbers."""

    range: int
    primaries: int
    transfer: int
    colorspace: int

    @classmethod
    def of(cls, frame: VideoFrame) -> Self:
        """The tags of a frame."""
        return cls(
            range=frame.color_range,
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
            colorspace=frame.colorspace,
        )

    @classmethod
    def of_resized(cls, frame: VideoFrame, heights: tuple[int, int]) -> Self:
        """The tags of a frame that is resized from the first of `heights` to the second.

        Players assume BT.601 or BT.709 for untagged frames by their size: those upscaled beyond SD need the tag.
        """
        beyond_sd = heights[0] <= _SD_HEIGHT < heights[1]
        tags = cls.of(frame)
        return replace(tags, colorspace=_BT601) if tags.colorspace == _UNSPECIFIED and beyond_sd else tags

    @property
    def has_colors(self) -> bool:
        """Whether any tag but the range is specified."""
        return {self.primaries, self.transfer, self.colorspace} != {_UNSPECIFIED}

    def write(self, to: VideoFrame | VideoCodecContext) -> None:
        """Tag a frame, or an encoder that is not open yet."""
        to.color_range, to.color_primaries = self.range, self.primaries
        to.color_trc, to.colorspace = self.transfer, self.colorspace
