"""The ranges of options that encoders clip silently, and the names that they refuse without listing the others."""

import re
from collections.abc import Iterator, Mapping

from vidsr.errors import OptionError

_UNBOUNDED = 2**31 - 1
_ANY = {"g": (-1, _UNBOUNDED), "qmax": (-1, 69)}
_H26X = {
    "crf": (0, 51), "qpmin": (0, 69), "qpmax": (0, 69), "bf": (0, 16), "bframes": (0, 16), "refs": (0, 16),
    "ref": (1, 16), "rc-lookahead": (0, 250),
}  # fmt: skip
_RANGES = {
    "libx264": {**_ANY, **_H26X, "qp": (0, 69), "subq": (0, 11), "subme": (0, 11), "trellis": (0, 2)},
    "libx265": {**_ANY, **_H26X, "qp": (0, 51), "subme": (0, 7), "rd": (1, 6)},
}
"""As they are documented, by encoder and name; others' ranges FFmpeg knows, and names."""
_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "libx264": {
        "preset": _PRESETS,
        "tune": ("film", "animation", "grain", "stillimage", "psnr", "ssim", "fastdecode", "zerolatency"),
        "profile": ("baseline", "main", "high", "high10", "high422", "high444"),
    },
    "libx265": {"preset": _PRESETS},
}
"""x264 would print its own sentence past FFmpeg's log; both also take the number of a preset."""
_BETWEEN_NAMES = re.compile(r"[,./+-]")
_OF_SETTINGS = ("crf", "preset")  # these have options of their own on the command line


def check_ranges(encoder: str, options: Mapping[str, str]) -> None:
    """Raises OptionError for a number beyond the range of the `encoder`, also in lists such as x265-params, or a name
    that it does not know.
    """
    _check_names(encoder, options)
    ranges = _RANGES.get(encoder, _ANY)
    for name, text in _flat(options):
        if name not in ranges or (number := _number(text)) is None:
            continue
        least, most = ranges[name]
        if least <= number <= most:
            continue
        limits = f"{least} to {most}" if most < _UNBOUNDED else f"at least {least}"
        raise OptionError(f"{encoder} takes a {_option(name)} of {limits}, not {text}")


def _check_names(encoder: str, options: Mapping[str, str]) -> None:
    for name, known in _NAMES.get(encoder, {}).items():
        text = options.get(name, known[0])
        if not text.isdecimal() and not {word.lower() for word in _BETWEEN_NAMES.split(text)} <= {*known}:
            raise OptionError(f"{encoder} takes a {_option(name)} of {', '.join(known)}, not {text}")


def _option(name: str) -> str:
    return f"--{name}" if name in _OF_SETTINGS else f"--encoder-option {name}"


def _flat(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in options.items():
        if name.endswith(("-params", "opts")):
            yield from ((key, value) for key, _, value in (part.partition("=") for part in text.split(":")))
        else:
            yield name, text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # FFmpeg has words for it
        return None
