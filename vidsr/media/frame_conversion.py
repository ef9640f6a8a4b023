"""Conversion of decoded frames to those that are upscaled: filters, then the working format."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import VideoFrame

from vidsr.errors import SourceError
from vidsr.media.filters import Filter, filter_frames
from vidsr.media.pixel_format_converter import PixelFormatConverter, WorkingFormat
from vidsr.media.side_data import remove_source_side_data


@dataclass(frozen=True, kw_only=True)
class FrameConversion:
    """The conversion of the frames of one source, decided by its first frame."""

    path: Path
    filters: tuple[Filter, ...]
    working: WorkingFormat
    time_base: Fraction


class FrameConverter:
    """Converts the frames of a source. `flattened` is as that of `PixelFormatConverter`."""

    def __init__(self, conversion: FrameConversion) -> None:
        self._conversion = conversion
        self._converter = PixelFormatConverter(conversion.working)

    @property
    def flattened(self) -> int:
        """Number of frames that lost their transparency, because the first one has none."""
        return self._converter.flattened

    def __call__(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The converted frames. Raises SourceError if a filter refuses them."""
        for frame in self._filtered(frames) if self._conversion.filters else frames:
            converted = self._converter(frame)
            remove_source_side_data(converted)
            yield converted

    def _filtered(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        path, filters = self._conversion.path, self._conversion.filters
        try:
            yield from filter_frames(frames, filters, self._conversion.time_base)
        except av.FFmpegError as error:
            names = ", ".join(name for name, _ in filters)
            raise SourceError(f"{path}: FFmpeg's filter {names} refuses its frames ({error.strerror})") from error
