"""What swscale does: chroma, alpha, exact sizes, and the luma that no network enlarged."""

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.arrays import Plane
from vidsr.errors import TargetError
from vidsr.media.chroma import BICUBIC, ChromaScaler, Form, WholeScaler, chroma_scaler, form_of
from vidsr.media.formats import luma_of
from vidsr.media.side_data import carries_more


def require_room(size: tuple[int, int], pixel_format: str) -> None:
    """Raises TargetError when FFmpeg holds no picture of that (width, height)."""
    try:
        VideoFrame(*size, pixel_format)
    except (av.FFmpegError, MemoryError) as error:
        raise TargetError(f"a picture of {'x'.join(map(str, size))} is too large") from error


class Merger:
    """Enlarged pictures: chroma and alpha by swscale, luma from the network.

    Scalers live as long as this does: PyAV would make one, with its threads, for every frame.
    """

    def __init__(self) -> None:
        self._whole, self._fitter = WholeScaler(), VideoReformatter()
        self._form: Form | None = None
        self._chroma: ChromaScaler | None = None

    def merge(self, picture: VideoFrame, luma: Plane) -> VideoFrame:
        """The picture at the size of `luma`, (H, W), with that luma; format, time stamp and tags stay."""
        large = self._around(picture, luma.shape[1] // picture.width)
        luma_of(large)[:] = luma
        return large

    def enlarge(self, picture: VideoFrame, scale: int) -> VideoFrame:
        """The picture scale times as large, by bicubic interpolation alone; format, time stamp and tags stay."""
        return self._whole(picture, scale)

    def _around(self, picture: VideoFrame, scale: int) -> VideoFrame:
        """The enlarged picture, whose luma is to be overwritten."""
        form = form_of(picture, scale)
        if form != self._form:
            self._form, self._chroma = form, chroma_scaler(picture, scale)
        if self._chroma is None or carries_more(picture):
            return self._whole(picture, scale)
        return self._chroma(picture)

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
    frame = av.VideoFrame.from_ndarray(plane.copy(), format=name)
    height, width = plane.shape
    large = VideoReformatter().reformat(
        frame, width=width * scale, height=height * scale, interpolation=BICUBIC, threads=1
    )
    return luma_of(large).copy()
