"""Still images as plain arrays, for training and evaluation."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsr.errors import SourceError
from vidsr.media.opening import open_source


def read_image(path: Path) -> NDArray[np.uint8]:
    """The picture as uint8: (H, W) of a grey file as it is stored, else (H, W, 3) RGB.

    Raises SourceError when there is no picture to read.
    """
    try:
        with open_source(path) as container:
            frame = next(container.decode(video=0))
            pixels = frame.to_ndarray(format="gray" if frame.format.name == "gray" else "rgb24")
            return pixels.astype(np.uint8, copy=False)
    except (av.FFmpegError, OSError, IndexError, StopIteration) as error:
        raise SourceError(f"{path}: no picture to read ({error})") from error
