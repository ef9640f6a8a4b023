"""What the header of a file says, without a picture being decoded: for surveys of many files."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from vidsr.errors import SourceError
from vidsr.media.open_input import is_still, open_source
from vidsr.media.probe import first_video, frame_rate


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A picture file or a video."""

    width: int
    height: int
    still: bool
    seconds: float
    """How long the video lasts, 0 where nothing says so."""
    rate: Fraction | None
    """Frames a second on average."""


def outline_of(path: Path) -> Outline:
    """What the header says. Raises SourceError for what is neither picture nor video."""
    with open_source(path) as container:
        video = first_video(container)
        if video is None or not video.codec_context.width or not video.codec_context.height:
            raise SourceError(f"{path}: no picture to read")
        own = float(video.duration * video.time_base) if video.duration and video.time_base else 0.0
        return Outline(
            width=video.codec_context.width,
            height=video.codec_context.height,
            still=is_still(container),
            seconds=own or (container.duration or 0) / av.time_base,
            rate=frame_rate(video),
        )
