"""Chroma by itself: swscale enlarges the chroma of a picture without its luma, for which a network stands."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from vidsr.media.filters import Standing, cropped
from vidsr.media.formats import chroma_groups, depth_of, samples_of

BICUBIC = Interpolation.BICUBIC | Interpolation.ACCURATE_RND

_SITES = {"center": (128, 128), "left": (0, 128), "topleft": (0, 0), "top": (128, 0), "bottomleft": (0, 256),
          "bottom": (128, 256)}  # fmt: skip
"""Where FFmpeg knows chroma to lie in its group of pixels, in 256ths from the left and from the top."""
_CHROMA = (1, 2)  # the numbers of the planes
_PROBE = (48, 32)


class WholeScaler:
    """Pictures scale times as large, all of them by swscale; format, time stamp and tags stay."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # PyAV would make one, with its threads, for every picture

    def __call__(self, picture: VideoFrame, scale: int) -> VideoFrame:
        """The picture, enlarged by bicubic interpolation."""
        width, height = _room(picture, scale)
        large = self._reformatter.reformat(picture, width=width, height=height, interpolation=BICUBIC, threads=1)
        return _fitted(large, picture, scale)


@dataclass(frozen=True, kw_only=True)
class Form:
    """What pictures have in common that one ChromaScaler can enlarge."""

    size: tuple[int, int]
    format: str
    interlaced: bool
    scale: int


def form_of(picture: VideoFrame, scale: int) -> Form:
    """The form of a picture that is to become scale times as large."""
    size = picture.width, picture.height
    return Form(size=size, format=picture.format.name, interlaced=picture.interlaced_frame, scale=scale)


class ChromaScaler:
    """Pictures of one form, scale times as large, with the chroma that `WholeScaler` gives them and any luma.

    It stands in the middle of 4:4:4 pictures of its size: their planes swscale can shift by what the chroma of others
    lies beside the middle of its pixels, which it can do with no grey picture.
    """

    def __init__(self, picture: VideoFrame, scale: int, site: str) -> None:
        self._scale, self._depth = scale, depth_of(picture.format.name)
        plane = picture.planes[1]
        shifts = _shifts(picture.format.name, site)
        self._enlarge = Standing(("scale", f"{scale * plane.width}:{scale * plane.height}:{_scaling(shifts)}"))
        self._tag = None if site == "center" else Standing(("setparams", f"chroma_location={site}"))

    def __call__(self, picture: VideoFrame) -> VideoFrame:
        """The picture with a luma that is still to be written; what lies beside its samples is left behind."""
        enlarged = self._enlarge(self._as_444(picture))
        large = VideoFrame(*_room(picture, self._scale), picture.format.name)
        for number in _CHROMA:
            samples_of(large, number)[:] = samples_of(enlarged, number)
        _copy_tags(picture, large)
        if self._tag:
            large = self._tag(large)
        return _fitted(large, picture, self._scale)

    def _as_444(self, picture: VideoFrame) -> VideoFrame:
        plane = picture.planes[1]
        frame = VideoFrame(plane.width, plane.height, "yuv444p" if self._depth == 8 else f"yuv444p{self._depth}le")
        for number in _CHROMA:
            samples_of(frame, number)[:] = samples_of(picture, number)
        return frame


def chroma_scaler(picture: VideoFrame, scale: int) -> ChromaScaler | None:
    """What enlarges the chroma of pictures of this form exactly as swscale does; None where nothing does, or gains.

    It is found by trial, for PyAV does not say where the chroma lies; interlaced pictures swscale enlarges by fields.
    """
    if chroma_groups(picture.format.name) == (1, 1) or len(picture.planes) != 3:
        return None
    probe = VideoReformatter().reformat(picture, width=_PROBE[0], height=_PROBE[1], threads=1)  # has the same tags
    random = np.random.default_rng(0)
    for number in _CHROMA:
        plane = samples_of(probe, number)
        plane[:] = random.integers(0, 1 << depth_of(picture.format.name), plane.shape)
    whole = WholeScaler()(probe, scale)
    exact = (site for site in _SITES if _alike(ChromaScaler(probe, scale, site)(probe), whole))
    site = next(exact, None)
    return ChromaScaler(picture, scale, site) if site else None


def _shifts(name: str, site: str) -> Iterator[int]:
    """How far chroma lies from the middle of its pixels, to the right and down, in 256ths of a sample."""
    for place, group in zip(_SITES[site], chroma_groups(name), strict=True):
        yield (place * (group - 1) + 128) // group - 128


def _scaling(shifts: Iterator[int]) -> str:
    places = [f"{end}_{way}_chr_pos={at}" for way, at in zip("hv", shifts, strict=True) for end in ("in", "out")]
    return ":".join(["flags=bicubic+accurate_rnd", *places])


def _alike(one: VideoFrame, other: VideoFrame) -> bool:
    return all(np.array_equal(samples_of(one, number), samples_of(other, number)) for number in _CHROMA)


def _copy_tags(picture: VideoFrame, large: VideoFrame) -> None:
    large.pts, large.duration = picture.pts, picture.duration
    if picture.time_base:
        large.time_base = picture.time_base
    large.color_range, large.colorspace = picture.color_range, picture.colorspace
    large.color_primaries, large.color_trc = picture.color_primaries, picture.color_trc


def _room(picture: VideoFrame, scale: int) -> tuple[int, int]:
    """(width, height): an odd picture is enlarged as if it were as large as its chroma, which would be stretched."""
    across, down = chroma_groups(picture.format.name)
    return scale * across * -(-picture.width // across), scale * down * -(-picture.height // down)


def _fitted(large: VideoFrame, picture: VideoFrame, scale: int) -> VideoFrame:
    size = picture.width * scale, picture.height * scale
    return large if (large.width, large.height) == size else cropped(large, size)
