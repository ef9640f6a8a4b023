"""The size and the number of frames of a result, by the settings and the source."""

from vidsr.media.frame import VideoInfo
from vidsr.model.architecture import SCALES
from vidsr.settings import UpscaleSettings

Size = tuple[int, int]


def target_size(settings: UpscaleSettings, info: VideoInfo, scale: int) -> Size:
    """(width, height) of the result: that of the settings, or `scale` times the source."""
    return _wanted(settings.to, info) if settings.to else (info.width * scale, info.height * scale)


def default_scale(settings: UpscaleSettings, info: VideoInfo) -> int:
    """The smallest scale that reaches the size of the settings, the largest where none does, 2 without a size."""
    if not settings.to:
        return SCALES[0]
    width, height = _wanted(settings.to, info)
    return next(
        (scale for scale in SCALES if scale * info.width >= width and scale * info.height >= height), SCALES[-1]
    )


def expected_frames(settings: UpscaleSettings, info: VideoInfo) -> int | None:
    """The expected number of frames of a run; None where the container does not report it."""
    if settings.start_s is None and settings.end_s is None and info.frames:
        return info.frames
    if not info.rate or not info.duration_s:
        return None
    end = min(info.duration_s, settings.end_s or info.duration_s)
    return max(1, round((end - (settings.start_s or 0)) * info.rate))


def _wanted(to: str, info: VideoInfo) -> Size:
    """(width, height) of "1080p", which keeps the shape with an even width, or "1920x1080"."""
    if "x" in to:
        width, height = map(int, to.split("x"))
        return width, height
    height = int(to.removesuffix("p"))
    return max(2, 2 * round(info.width * height / info.height / 2)), height
