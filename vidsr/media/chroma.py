"""Chroma upscaling by swscale without the luma plane, which the network upscales."""

from collections.abc import Iterator

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.media.color_tags import ColorTags
from vidsr.media.filters import PersistentFilter, crop
from vidsr.media.formats import chroma_subsampling, depth_of, samples_of

BICUBIC = Interpolation.BICUBIC | Interpolation.ACCURATE_RND

_LOCATIONS = {"center": (128, 128), "left": (0, 128), "topleft": (0, 0), "top": (128, 0), "bottomleft": (0, 256),
              "bottom": (128, 256)}  # fmt: skip
"""FFmpeg's chroma locations: position of the sample in its group of pixels, in 256ths from the left and the top."""
_CHROMA_PLANES = (1, 2)
_TRIAL_SIZE = (48, 32)


class FrameScaler:
    """Upscales whole frames by swscale; format, time stamp and tags are kept."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # PyAV would create one, with its threads, for each frame

    def __call__(self, frame: VideoFrame, scale: int) -> VideoFrame:
        """The frame upscaled by bicubic interpolation."""
        width, height = _padded_size(frame, scale)
        upscaled = self._reformatter.reformat(frame, width=width, height=height, interpolation=BICUBIC, threads=1)
        return _crop_padding(upscaled, frame, scale)


class ChromaScaler:
    """Upscales the chroma of frames of one size and format, exactly as FrameScaler does; the luma is left undefined.

    The chroma planes pass through swscale as planes of a 4:4:4 frame of their size, with the chroma location as a
    shift: swscale shifts chroma, but not the luma of a grey frame.
    """

    def __init__(self, frame: VideoFrame, scale: int, location: str) -> None:
        self._scale, self._depth = scale, depth_of(frame.format.name)
        plane = frame.planes[1]
        shifts = _shifts(frame.format.name, location)
        arguments = f"{scale * plane.width}:{scale * plane.height}:{_scale_flags(shifts)}"
        self._upscale = PersistentFilter(("scale", arguments))
        self._tag = None if location == "center" else PersistentFilter(("setparams", f"chroma_location={location}"))

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The upscaled frame with undefined luma and without side data."""
        chroma = self._upscale(self._as_444(frame))
        upscaled = VideoFrame(*_padded_size(frame, self._scale), frame.format.name)
        for index in _CHROMA_PLANES:
            samples_of(upscaled, index)[:] = samples_of(chroma, index)
        _copy_tags(frame, upscaled)
        if self._tag:
            upscaled = self._tag(upscaled)
        return _crop_padding(upscaled, frame, self._scale)

    def _as_444(self, frame: VideoFrame) -> VideoFrame:
        plane = frame.planes[1]
        chroma = VideoFrame(plane.width, plane.height, "yuv444p" if self._depth == 8 else f"yuv444p{self._depth}le")
        for index in _CHROMA_PLANES:
            samples_of(chroma, index)[:] = samples_of(frame, index)
        return chroma


def find_chroma_scaler(frame: VideoFrame, scale: int) -> ChromaScaler | None:
    """The ChromaScaler that equals FrameScaler for such frames; None if there is none, or no gain.

    The chroma location is found by trial, because PyAV does not report it. Interlaced frames find none: swscale
    upscales them field by field.
    """
    if chroma_subsampling(frame.format.name) == (1, 1) or len(frame.planes) != 3:
        return None
    trial = VideoReformatter().reformat(frame, width=_TRIAL_SIZE[0], height=_TRIAL_SIZE[1], threads=1)  # same tags
    random = np.random.default_rng(0)
    for index in _CHROMA_PLANES:
        plane = samples_of(trial, index)
        plane[:] = random.integers(0, 1 << depth_of(frame.format.name), plane.shape)
    expected = FrameScaler()(trial, scale)
    for location in _LOCATIONS:
        if _same_chroma(ChromaScaler(trial, scale, location)(trial), expected):
            return ChromaScaler(frame, scale, location)
    return None


def _shifts(pixel_format: str, location: str) -> Iterator[int]:
    """(horizontal, vertical) distance of a chroma sample from the centre of its pixels, in 256ths of a sample."""
    for position, group in zip(_LOCATIONS[location], chroma_subsampling(pixel_format), strict=True):
        yield (position * (group - 1) + 128) // group - 128


def _scale_flags(shifts: Iterator[int]) -> str:
    positions = [f"{end}_{axis}_chr_pos={at}" for axis, at in zip("hv", shifts, strict=True) for end in ("in", "out")]
    return ":".join(["flags=bicubic+accurate_rnd", *positions])


def _same_chroma(frame: VideoFrame, expected: VideoFrame) -> bool:
    return all(np.array_equal(samples_of(frame, index), samples_of(expected, index)) for index in _CHROMA_PLANES)


def _copy_tags(frame: VideoFrame, upscaled: VideoFrame) -> None:
    upscaled.pts, upscaled.duration = frame.pts, frame.duration
    if frame.time_base:
        upscaled.time_base = frame.time_base
    ColorTags.of(frame).write(upscaled)


def _padded_size(frame: VideoFrame, scale: int) -> tuple[int, int]:
    """(width, height) of the upscaled frame, padded to whole chroma samples: odd sizes would stretch the chroma."""
    across, down = chroma_subsampling(frame.format.name)
    return scale * across * -(-frame.width // across), scale * down * -(-frame.height // down)


def _crop_padding(upscaled: VideoFrame, frame: VideoFrame, scale: int) -> VideoFrame:
    size = frame.width * scale, frame.height * scale
    return upscaled if (upscaled.width, upscaled.height) == size else crop(upscaled, size)
