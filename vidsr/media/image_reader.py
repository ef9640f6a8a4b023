"""Images as arrays, for training and evaluation."""

from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vidsr.errors import SourceError
from vidsr.media.open_input import open_source
from vidsr.media.pixel_format_converter import RESAMPLING
from vidsr.media.probe import require_video


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as uint8: (H, W) for a grey file, as stored, else (H, W, 3) RGB.

    Raises SourceError if the file cannot be decoded.
    """
    try:
        with open_source(path) as container:
            frame = next(container.decode(require_video(path, container)))
            pixels = frame.to_ndarray(format="gray" if frame.format.name == "gray" else "rgb24")
            return pixels.astype(np.uint8, copy=False)
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise SourceError(f"{path}: no image to read ({error})") from error


def rgb_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a frame, as a player shows it."""
    shown = VideoReformatter().reformat(frame, format="rgb24", interpolation=RESAMPLING, threads=1)
    return shown.to_ndarray().astype(np.uint8, copy=False)
