"""Merging upscaled luma into frames: chroma and alpha by swscale; resizing, and luma without a network."""

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.arrays import Plane
from vidsr.errors import TargetError
from vidsr.media.chroma import BICUBIC, ChromaScaler, FrameScaler, find_chroma_scaler
from vidsr.media.formats import depth_of, luma_of
from vidsr.media.side_data import has_encoder_side_data


def check_frame_size(size: tuple[int, int], pixel_format: str) -> None:
    """Raises TargetError if FFmpeg cannot allocate a frame of that (width, height)."""
    try:
        VideoFrame(*size, pixel_format)
    except (av.FFmpegError, MemoryError) as error:
        raise TargetError(f"a frame of {'x'.join(map(str, size))} is too large") from error


class LumaMerger:
    """Merges upscaled luma into upscaled frames: chroma and alpha by swscale, luma from the network.

    The scalers are kept between frames: PyAV would create one, with its threads, for each frame.
    """

    def __init__(self) -> None:
        self._scaler, self._resizer = FrameScaler(), VideoReformatter()
        self._chroma_scaler: ChromaScaler | None = None
        self._scaled: tuple[object, ...] = ()  # the properties of the frames that it upscales

    def merge(self, frame: VideoFrame, luma: Plane) -> VideoFrame:
        """The frame at the size of `luma`, (H, W), with that luma; format, time stamp and tags are kept.

        Luma above the depth of the format is clipped: x264 ends the process when it meets such a sample.
        """
        upscaled = self._upscale_chroma(frame, luma.shape[1] // frame.width)
        peak = min((1 << depth_of(frame.format.name)) - 1, int(np.iinfo(luma.dtype).max))
        np.minimum(luma, peak, out=luma_of(upscaled))
        return upscaled

    def upscale(self, frame: VideoFrame, scale: int) -> VideoFrame:
        """The frame upscaled by bicubic interpolation, luma included; format, time stamp and tags are kept."""
        return self._scaler(frame, scale)

    def resize(self, frame: VideoFrame, size: tuple[int, int], pixel_format: str | None = None) -> VideoFrame:
        """The frame at exactly `size`, (width, height), by Lanczos; in another pixel format, if one is given."""
        width, height = size
        return self._resizer.reformat(
            frame, width=width, height=height, format=pixel_format,
            interpolation=Interpolation.LANCZOS | Interpolation.ACCURATE_RND, threads=1,
        )  # fmt: skip

    def _upscale_chroma(self, frame: VideoFrame, scale: int) -> VideoFrame:
        """The upscaled frame with undefined luma."""
        scaled = frame.width, frame.height, frame.format.name, frame.interlaced_frame, scale
        if scaled != self._scaled:
            self._scaled, self._chroma_scaler = scaled, find_chroma_scaler(frame, scale)
        if self._chroma_scaler is None or has_encoder_side_data(frame):
            return self._scaler(frame, scale)
        return self._chroma_scaler(frame)


def upscale_bicubic(plane: Plane, scale: int) -> Plane:
    """The (H, W) plane upscaled by bicubic interpolation."""
    name = "gray" if plane.dtype == np.uint8 else "gray16le"
    frame = av.VideoFrame.from_ndarray(plane.copy(), format=name)
    height, width = plane.shape
    upscaled = VideoReformatter().reformat(
        frame, width=width * scale, height=height * scale, interpolation=BICUBIC, threads=1
    )
    return luma_of(upscaled).copy()
