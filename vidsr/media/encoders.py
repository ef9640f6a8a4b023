"""Video encoders: their defaults, what they are told, and what they refuse."""

from dataclasses import dataclass
from fractions import Fraction

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.codeccontext import VideoCodecContext

from vidsr.errors import TargetError
from vidsr.settings import EncodeSettings

_DEFAULTS = {
    "libx264": {"crf": "18"},
    "libx265": {"crf": "20", "x265-params": "log-level=none"},
    "libsvtav1": {"crf": "26"},
    "libvpx-vp9": {"crf": "28", "b:v": "0", "row-mt": "1"},
    "ffv1": {"level": "3", "slicecrc": "1"},
}


_SD_HEIGHT = 576
_UNSPECIFIED, _BT601 = 2, 6


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The kind of picture an encoder is asked to take."""

    width: int
    height: int
    format: str


def encoder_options(settings: EncodeSettings, metadata: dict[str, str]) -> dict[str, str]:
    """What the encoder is told; `metadata` is HDR's, in the words of `hdr`.

    Raises TargetError for a codec that is not there or that has no such knob.
    """
    try:
        codec = Codec(settings.codec, "w")
    except UnknownCodecError:
        raise TargetError(f"no encoder named {settings.codec!r}; try one of {', '.join(_DEFAULTS)}") from None
    if codec.type != "video":
        raise TargetError(f"{settings.codec} encodes {codec.type}, not video")
    known = {option.name for option in av.CodecContext.create(settings.codec, "w").supported_options.private}
    options = dict(_DEFAULTS.get(settings.codec, {}))
    for knob, value in (("crf", settings.crf), ("preset", settings.preset)):
        if value is None:
            continue
        if knob not in known:
            raise TargetError(f"{settings.codec} has no --{knob}")
        options[knob] = str(value)
    for name, value in metadata.items():
        options[name] = f"{options[name]}:{value}" if name in options else value
    return options


def matrix(stored: int, heights: tuple[int, int]) -> int:
    """The colour matrix to tag a picture with that was `stored` with one and grew from the first height to the second.

    Players take an untagged picture for BT.601 or BT.709 by its size: one that outgrew SD must say which.
    """
    grown = heights[0] <= _SD_HEIGHT < heights[1]
    return _BT601 if stored == _UNSPECIFIED and grown else stored


def video_encoder(codec: str) -> VideoCodecContext:
    """A context of the video encoder, not yet opened."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    return context


def require(codec: str, picture: Picture, options: dict[str, str]) -> None:
    """Raises TargetError when the encoder refuses such pictures, naming one that takes them, or what it is told."""
    if (reason := _refusal(codec, picture, options)) is None:
        return
    usual = _DEFAULTS.get(codec, {})
    told = [f"--{knob} {options[knob]}" for knob in ("crf", "preset") if options.get(knob) != usual.get(knob)]
    if told and _refusal(codec, picture, usual) is None:
        raise TargetError(f"{codec} refuses {' '.join(told)}")
    others = [name for name in _DEFAULTS if name != codec and _refusal(name, picture, _DEFAULTS[name]) is None]
    hint = f"use --codec {others[0]}" if others else "no encoder takes that; choose another size"
    raise TargetError(f"{codec} {reason}; {hint}")


def _refusal(codec: str, picture: Picture, options: dict[str, str]) -> str | None:
    formats = Codec(codec, "w").video_formats
    if formats is not None and picture.format not in {form.name for form in formats}:
        return f"cannot hold {picture.format}"
    context = video_encoder(codec)
    context.width, context.height, context.pix_fmt = picture.width, picture.height, picture.format
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = options
    try:
        context.open(strict=False)
    except (av.FFmpegError, ValueError, OSError) as error:
        size = f"{picture.width}x{picture.height} in {picture.format}"
        return f"refuses {size} ({getattr(error, 'strerror', error)})"
    return None
