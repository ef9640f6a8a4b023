"""How large the result is, and how long: what the settings ask for, of what is known of the source."""

from vidsr.media.frame import VideoInfo
from vidsr.model.architecture import SCALES
from vidsr.settings import UpscaleSettings

Size = tuple[int, int]


def target_size(settings: UpscaleSettings, info: VideoInfo, scale: int) -> Size:
    """(width, height) of the result: the one asked for, or `scale` times the source."""
    return _wanted(settings.to, info) if settings.to else (info.width * scale, info.height * scale)


def usual_scale(settings: UpscaleSettings, info: VideoInfo) -> int:
    """The smallest scale that reaches the size asked for, the largest where none does, 2 without one."""
    if not settings.to:
        return SCALES[0]
    width, height = _wanted(settings.to, info)
    return next(
        (scale for scale in SCALES if scale * info.width >= width and scale * info.height >= height), SCALES[-1]
    )


def expected_frames(settings: UpscaleSettings, info: VideoInfo) -> int | None:
    """How many frames a run will take, as far as the container tells."""
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
