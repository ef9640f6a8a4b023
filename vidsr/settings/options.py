"""Fields of settings that are options of the command line, with their help; the syntax of ranges and shares."""

import math
import re
from dataclasses import field
from typing import Any

DAY_S = 86_400
"""The longest time that most settings take."""


def option(default: Any, help_: str, placeholder: str = "", *, group: str = "") -> Any:
    """A field with a default, a sentence for `--help`, and the placeholder of its value; none makes a flag.

    `group` is a part of the class, where `--help` shows several.
    """
    return field(default=default, metadata={"help": help_, "placeholder": placeholder, "group": group})


def option_name(field_name: str) -> str:
    """The name of a field on the command line, behind "--", and in a file of cameras: max-delay of max_delay_s."""
    return field_name.removesuffix("_s").replace("_", "-")


def parse_range(text: str) -> tuple[float, float]:
    """(low, high) of "18-35"; a single number is both."""
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def parse_shares(text: str) -> dict[str, float]:
    """{name: share} of "area:3,bicubic:1"; the shares sum to 1."""
    weights = {name: float(weight) for name, _, weight in (part.partition(":") for part in text.split(","))}
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def check_limits(settings: object, *names: str, least: float, most: float = math.inf, above: bool = False) -> None:
    """Raises ValueError, beginning with the name, for a field that is beyond these limits; None is within.

    With `above` a value must be more than `least`.
    """
    if most < math.inf:
        limits = (
            f"above {_text(least)} and at most {_text(most)}" if above else f"from {_text(least)} to {_text(most)}"
        )
    else:
        limits = f"above {_text(least)}" if above else f"{_text(least)} or more"
    for name in names:
        value = getattr(settings, name)
        if value is not None and not (least < value <= most if above else least <= value <= most):
            raise ValueError(f"{name} must be {limits}, not {_text(value)}")


def _text(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def check_choice(settings: object, name: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError, beginning with the name, for a field that is none of these; None is one."""
    if (value := getattr(settings, name)) not in (None, *choices):
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def check_scale(scale: int | None) -> None:
    """Raises ValueError for a scale that no network has."""
    if scale not in (None, 2, 3, 4):
        raise ValueError(f"scale must be 2, 3 or 4, not {scale}")


def check_range(name: str, text: str, least: float, most: float, *, whole: bool) -> None:
    """Raises ValueError, beginning with `name`, unless the text is a range within these limits."""
    number = r"\d+" if whole else r"\d+(\.\d+)?"
    if not re.fullmatch(f"{number}(-{number})?", text):
        raise ValueError(f"{name} must be a range like {least:g}-{most:g}, not {text!r}")
    low, high = parse_range(text)
    if not least <= low <= high <= most:
        raise ValueError(f"{name} must be a range within {least:g}-{most:g}, not {text}")


def check_shares(name: str, text: str, known: tuple[str, ...]) -> None:
    """Raises ValueError, beginning with `name`, unless the text has shares of `known` names with a positive sum."""
    one = rf"({'|'.join(known)}):\d+(\.\d+)?"
    parts = text.split(",")
    if not all(re.fullmatch(one, part) for part in parts) or not sum(float(part.partition(":")[2]) for part in parts):
        raise ValueError(f"{name} must be written like {known[0]}:3,{known[1]}:1, of {', '.join(known)}, not {text!r}")
