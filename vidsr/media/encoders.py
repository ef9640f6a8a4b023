"""Video encoders: default options, option checks, and the frame formats that an encoder takes."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fractions import Fraction
from itertools import chain, product

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.video.codeccontext import VideoCodecContext

from vidsr.cpu import kept_scheduling
from vidsr.errors import OptionError, TargetError
from vidsr.media.ffmpeg_log import ffmpeg_log
from vidsr.media.formats import has_alpha, wider_formats, working_format
from vidsr.media.option_ranges import check_ranges
from vidsr.settings import EncodeSettings

_DEFAULTS = {
    "libx264": {"crf": "18"},
    "libx265": {"crf": "20", "x265-params": "log-level=none"},
    "libsvtav1": {"crf": "26"},
    "libvpx-vp9": {"crf": "28", "row-mt": "1"},
    "ffv1": {"level": "3", "slicecrc": "1"},
}

SIDE_DATA_OPTIONS = {"libx264": {"udu_sei": "1"}, "libx265": {"a53cc": "1"}}
"""Options with which encoders write user data and captions that the frames bring along."""
_USUAL = ("libx264", "libx265")
_AUTO = {
    "webm": ("libvpx-vp9", "libsvtav1"),
    "mov": _USUAL,
    "mpegts": _USUAL,
    "yuv4mpegpipe": ("rawvideo",),
}
"""What auto chooses from, by FFmpeg's name of the container; others hold FFV1, too."""
_ALPHA = {"mov": ("prores_ks", "yuva444p10le"), "webm": ("libvpx-vp9", "yuva420p")}
"""The only encoding with alpha that such a container holds."""
_Y4M_FORMATS = {"gray", "gray9le", "gray10le", "gray12le", "gray16le", "yuv411p"} | {
    f"yuv{code}p{depth}" for code, depth in product(("420", "422", "444"), ("", "9le", "10le", "12le", "14le", "16le"))
}
_WITHOUT_ALPHA = {"libx265", "libvpx-vp9"}  # they list formats with alpha that they do not open, or lose it
_WITHOUT_CRF = {"ffv1", "prores_ks", "rawvideo"}
_RESERVED = {"sar", "aspect", "export_side_data", "color_primaries", "color_trc", "colorspace", "color_range"}
"""Options of any encoder that follow from the source."""
_ENCODES_VIDEO = 1 | 16
"""FFmpeg's flags of an option."""
_COMPLAINT = re.compile("unknown option|invalid value|error parsing|unable to parse|out of range", re.IGNORECASE)
"""The words by which encoders log that they leave an option out."""

_X265_ROWS = 32  # x265 4.1 writes beyond its memory for 34x18 and others


@dataclass(frozen=True, kw_only=True)
class FrameFormat:
    """Size and pixel format of the frames that an encoder is to take."""

    width: int
    height: int
    pixel_format: str


_TRIAL = FrameFormat(width=640, height=360, pixel_format="yuv420p")


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """An encoder with its settings, and the pixel format that it is to take."""

    encode: EncodeSettings
    pixel_format: str
    why: str = ""
    """The sentence for the user; empty for the usual encoder and the format of the source."""

    def __str__(self) -> str:
        return f"{self.encode.codec}, {self.pixel_format}"


def choose_encoder(encode: EncodeSettings, container: str, pixel_format: str) -> EncoderChoice:
    """The encoder of the settings; with auto the first that holds the working format in FFmpeg's `container`.

    Where none does, the format becomes one that holds all of it, such as 4:2:2 of 4:1:1. Raises TargetError if there
    is no encoder.
    """
    if encode.pixel_format is not None:
        _check_pixel_format(encode.pixel_format)
        pixel_format = encode.pixel_format
    if encode.codec != "auto":
        return EncoderChoice(encode=encode, pixel_format=pixel_format)
    usual = _AUTO.get(container, _USUAL)[0]
    for codec, name in _candidates(container, pixel_format):
        formats = _Y4M_FORMATS if codec == "rawvideo" else _formats(codec)
        if name not in formats or encode.pixel_format not in (None, name):
            continue
        crf = None if codec in _WITHOUT_CRF else encode.crf
        bitrate = None if codec in _WITHOUT_CRF else encode.bitrate
        preset = encode.preset if codec in _USUAL else None  # whose names others do not know
        settings = replace(encode, codec=codec, crf=crf, bitrate=bitrate, preset=preset)
        why = []
        if (codec, name) != (usual, pixel_format):
            why.append(f"{usual} cannot hold {pixel_format}; it is encoded as {name} by {codec}")
        if (crf, bitrate, preset) != (encode.crf, encode.bitrate, encode.preset):
            why.append(f"{codec} takes no such --crf, --bitrate or --preset; its default is used")
        return EncoderChoice(encode=settings, pixel_format=name, why="; ".join(why))
    raise TargetError(f"{container} cannot hold {pixel_format}; use .mkv")


def _candidates(container: str, pixel_format: str) -> Iterator[tuple[str, str]]:
    """Encoders with a pixel format each, in order of preference; the format of the source first."""
    codecs, alpha = _AUTO.get(container, (*_USUAL, "ffv1")), has_alpha(pixel_format)
    if alpha and container in _ALPHA:
        yield _ALPHA[container]
    for name in (pixel_format, *wider_formats(pixel_format)):
        yield from ((codec, name) for codec in codecs if codec != "ffv1" and not (alpha and codec in _WITHOUT_ALPHA))
    if "ffv1" in codecs:
        yield "ffv1", pixel_format


def _formats(codec: str) -> set[str]:
    """The pixel formats that an encoder lists; empty if it lists none."""
    return {pixel_format.name for pixel_format in Codec(codec, "w").video_formats or ()}


def encoder_options(
    settings: EncodeSettings, hdr: Mapping[str, str] = {}, *, defaults: Mapping[str, str] = {}
) -> dict[str, str]:
    """FFmpeg options for the encoder: its own defaults, `defaults`, those of the settings, and `hdr` of `hdr_options`.

    Raises OptionError for an unknown codec, for settings that the codec does not have, for a number beyond its
    range, and for a pixel format that is unknown, RGB or not planar.
    """
    codec = settings.encoder
    private, general = _option_names(codec)
    options = {**_DEFAULTS.get(codec, {}), **defaults}
    if settings.bits_per_second is not None:
        if codec in _WITHOUT_CRF:
            raise OptionError(f"{codec} has no --bitrate")
        options.pop("crf", None)
        options["b"] = str(settings.bits_per_second)
    if settings.max_bits_per_second is not None:
        if codec in _WITHOUT_CRF:
            raise OptionError(f"{codec} has no --max-rate")
        if codec == "libvpx-vp9":
            raise OptionError("libvpx-vp9 holds a --max-rate over many seconds only; use another codec, or --bitrate")
        options |= dict.fromkeys(["maxrate", "bufsize"], str(settings.max_bits_per_second))
    for name, value in (("crf", settings.crf), ("preset", settings.preset)):
        if value is None:
            continue
        if name not in private:
            raise OptionError(f"{codec} has no --{name}")
        options[name] = str(value)
    for name in settings.encoder_options:
        if name not in private | general:
            near = get_close_matches(name, private | general, 1)
            raise OptionError(f"{codec} has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if settings.pixel_format is not None:
        _check_pixel_format(settings.pixel_format)
        if (formats := _formats(codec)) and settings.pixel_format not in formats:
            raise OptionError(f"{codec} cannot hold {settings.pixel_format}, but {', '.join(sorted(formats))}")
    check_ranges(Codec(codec, "w").name, options | settings.encoder_options)
    return merge_options(options, settings.encoder_options, hdr)


def _option_names(encoder: str) -> tuple[set[str], set[str]]:
    """The options of a video encoder alone, and those of any. Raises OptionError for another name."""
    try:
        codec = Codec(encoder, "w")
    except UnknownCodecError:
        raise OptionError(f"no encoder named {encoder!r}; try one of {', '.join(_DEFAULTS)}") from None
    if codec.type != "video":
        raise OptionError(f"{encoder} encodes {codec.type}, not video")
    options = av.CodecContext.create(encoder, "w").supported_options
    general = {each.name for each in options.generic if int(each.flags) & _ENCODES_VIDEO == _ENCODES_VIDEO}
    return {each.name for each in options.private}, general - _RESERVED


def _check_pixel_format(name: str) -> None:
    try:
        planar = working_format(name)
    except ValueError:
        raise OptionError(f"no pixel format named {name!r}") from None
    if name != planar:
        raise OptionError(f"--pixel-format must be planar YUV or grey, not {name}; the nearest is {planar}")


def merge_options(*options: Mapping[str, str]) -> dict[str, str]:
    """All options; later ones replace earlier ones, but lists of an encoder's own (x265-params) are joined."""
    merged: dict[str, str] = {}
    for name, value in chain.from_iterable(each.items() for each in options):
        merged[name] = f"{merged[name]}:{value}" if name in merged and name.endswith("-params") else value
    return merged


def video_encoder(codec: str) -> VideoCodecContext:
    """A context of the video encoder, not yet opened."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    return context


def check_encoder(encode: EncodeSettings, frame_format: FrameFormat, options: dict[str, str]) -> None:
    """Raises TargetError if the encoder refuses the format, with another one as a hint, OptionError if its options."""
    codec = encode.encoder
    if (reason := _refusal(codec, frame_format, options)) is None:
        return
    asked = [
        f"--{name} {value}" for name in ("crf", "bitrate", "preset") if (value := getattr(encode, name)) is not None
    ]
    asked += [f"--encoder-option {each}" for each in encode.encoder_option]
    if asked and _refusal(codec, frame_format, _DEFAULTS.get(codec, {})) is None:
        raise OptionError(f"{codec} refuses {' '.join(asked)} ({_opening_fault(codec, frame_format, options)})")
    others = [name for name in _DEFAULTS if name != codec and _refusal(name, frame_format, _DEFAULTS[name]) is None]
    hint = f"use --codec {others[0]}" if others else "no encoder takes that; choose another size"
    raise TargetError(f"{codec} {reason}; {hint}")


def check_settings(encode: EncodeSettings, container: str | None = None) -> None:
    """Raises OptionError or TargetError for settings that are wrong with any source.

    They are checked for FFmpeg's `container`; without one, those with auto for all containers, one of which must take
    them. The encoder is opened; of one that refuses the size and the format of the trial, only names are checked.
    """
    refused: TargetError | None = None
    for name in [container] if container else ["matroska", *(name for name in _AUTO if name != "yuv4mpegpipe")]:
        try:
            choice = choose_encoder(encode, name, "yuv420p")
            if container is None and choice.encode.preset != encode.preset:
                continue
            options = encoder_options(choice.encode)
            frame_format = replace(_TRIAL, pixel_format=choice.pixel_format)
            if _refusal(choice.encode.codec, frame_format, _DEFAULTS.get(choice.encode.codec, {})) is None:
                check_encoder(choice.encode, frame_format, options)
        except TargetError as error:
            refused = refused or error
        else:
            return
        if encode.codec != "auto":
            break
    assert refused
    raise refused


@contextmanager
def option_errors() -> Iterator[None]:
    """While an encoder is opened: raises ValueError, in FFmpeg's words, for an option that is wrong or left out."""
    opened: BaseException | None = None
    with ffmpeg_log(av.logging.WARNING) as lines:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            opened = error
    for _, _, text in lines:
        if _COMPLAINT.search(text):
            raise ValueError(text.strip().rstrip(".")) from opened
    if opened:
        raise opened


def _refusal(codec: str, frame_format: FrameFormat, options: Mapping[str, str]) -> str | None:
    """Why the encoder does not open, or not with all of the options; None if it does."""
    width, height, name = frame_format.width, frame_format.height, frame_format.pixel_format
    if (supported := _formats(codec)) and name not in supported:
        return f"cannot hold {name}"
    if height < _X265_ROWS and Codec(codec, "w").name == "libx265":
        return f"ends the process for frames below {_X265_ROWS} rows, such as {width}x{height}"
    if (fault := _opening_fault(codec, frame_format, options)) is None:
        return None
    if width % 2 or height % 2:
        fault += ": it may need an even width and height"
    return f"refuses {width}x{height} in {name} ({fault})"


def _opening_fault(codec: str, frame_format: FrameFormat, options: Mapping[str, str]) -> str | None:
    """FFmpeg's words when the encoder does not open, or not with all of the options; None if it does."""
    context = video_encoder(codec)
    context.width, context.height, context.pix_fmt = frame_format.width, frame_format.height, frame_format.pixel_format
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.options = dict(options)
    try:
        with kept_scheduling(), option_errors():
            context.open(strict=False)
    except (av.FFmpegError, ValueError, OSError) as error:
        return str(getattr(error, "strerror", error))
    return None
