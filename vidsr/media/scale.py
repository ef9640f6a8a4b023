"""What swscale does: chroma, alpha, exact sizes, and the luma that no network enlarged."""

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.media.formats import Plane, luma_of

_BICUBIC = Interpolation.BICUBIC | Interpolation.ACCURATE_RND


class Merger:
    """Enlarged pictures: chroma and alpha by swscale, luma from the network.

    Scalers live as long as this does: PyAV would make one, with its threads, for every frame.
    """

    def __init__(self) -> None:
        self._enlarger, self._fitter = VideoReformatter(), VideoReformatter()

    def merge(self, picture: VideoFrame, luma: Plane) -> VideoFrame:
        """The picture at the size of `luma`, (H, W), with that luma; format, time stamp and tags stay."""
        height, width = luma.shape
        large = self._enlarger.reformat(picture, width=width, height=height, interpolation=_BICUBIC, threads=1)
        luma_of(large)[:] = luma
        return large

    def fit(self, picture: VideoFrame, size: tuple[int, int]) -> VideoFrame:
        """The picture at exactly (width, height), by Lanczos."""
        width, height = size
        return self._fitter.reformat(
            picture, width=width, height=height, interpolation=Interpolation.LANCZOS | Interpolation.ACCURATE_RND,
            threads=1,
        )  # fmt: skip


def enlarge_plain(plane: Plane, scale: int) -> Plane:
    """The (H, W) plane scale times as large, by bicubic interpolation alone."""
    name = "gray" if plane.dtype == np.uint8 else "gray16le"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format=name)
    height, width = plane.shape
    large = VideoReformatter().reformat(
        frame, width=width * scale, height=height * scale, interpolation=_BICUBIC, threads=1
    )
    return luma_of(large).copy()
