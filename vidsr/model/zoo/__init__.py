"""The networks that ship: weight files in this folder, a card beside each.

`fsrcnn-narrow-x2` was trained on clean images, `fsrcnn-narrow-x2-video` on what codecs leave, and
`fsrcnn-narrow-x2-coarse` on what they leave at a coarse quantiser. `fsrcnn-narrow-x2-video25` has no file: its weights
are three quarters of the first, and a quarter of the second; `fsrcnn-narrow-x2-coarse25` is three quarters of the
second, and a quarter of the third.
"""

import re
from pathlib import Path

from vidsr.errors import ModelError
from vidsr.model.weights import Weights, blend, load_weights

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"(?P<base>.*?)(?P<end>-(?P<kind>video|coarse)(?P<percent>\d\d)?)?")
_BEFORE = {"video": "", "coarse": "-video"}
"""The end of the weights that each kind was trained from, with which a percentage is a mean."""


def model_names() -> list[str]:
    """The names of the zoo, sorted: `fsrcnn-x2`, `fsrcnn-x2-video` and so on."""
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def full_name(model: str, scale: int) -> str:
    """The name with its scale: `fsrcnn-x3` of `fsrcnn` at 3, `fsrcnn-x3-video` of `fsrcnn-video`."""
    name = _parts(model)
    base = name["base"]
    return model if base.endswith(f"-x{scale}") else f"{base}-x{scale}{name['end']}"


def load_model(model: str, scale: int | None = None, *, usual_scale: int = 2) -> Weights:
    """The weights of a name of the zoo, of a family and a scale ("fsrcnn" at 3 is fsrcnn-x3), or of a file.

    A name that ends in "-video25" or "-coarse25" is a mean of two. A family without a scale is taken at `usual_scale`.
    Raises ModelError for a model that is not there, is damaged, or upscales by another scale than it should.
    """
    name = _parts(model)
    if name["percent"]:
        ends = (_BEFORE[name["kind"]], f"-{name['kind']}")
        first, second = (load_model(f"{name['base']}{end}", scale, usual_scale=usual_scale) for end in ends)
        return blend(first, second, int(name["percent"]) / 100)
    weights = load_weights(model_path(model, scale or usual_scale))
    if scale not in (None, weights.architecture.scale):
        raise ModelError(f"{model} upscales {weights.architecture.scale} times, not {scale}")
    return weights


def model_path(model: str, scale: int = 2) -> Path:
    """The file of a name of the zoo, with or without its scale, or the file itself. Raises ModelError without one."""
    if model.endswith(".npz"):
        return Path(model)
    for name in (model, full_name(model, scale)):
        if name in model_names():
            return _FOLDER / f"{name}.npz"
    raise ModelError(f"no model named {model!r}; there is {', '.join(model_names())}, or the path of an .npz file")


def _parts(model: str) -> dict[str, str]:
    """The groups of `_NAME`."""
    match = _NAME.fullmatch(model)
    return match.groupdict("") if match else {"base": model, "end": "", "kind": "", "percent": ""}
