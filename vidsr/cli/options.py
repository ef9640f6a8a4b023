"""Options of the command line from the fields of settings: same name, type and default."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args, get_type_hints

from vidsr.cli.output import UsageError
from vidsr.model.zoo import full_name
from vidsr.settings.options import option_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

Group = argparse._ArgumentGroup
_PATHS = {"CLIP", "DIR", "FILE", "FOLDER", "IMAGE", "MODEL", "PATH", "SOURCE", "TARGET"}
"""The placeholders of what may be a file or a folder."""
_COMPLETED_BY = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}
"""The functions of shtab's scripts that complete the names of files."""


@contextmanager
def usage_errors() -> Generator[None]:
    """ValueError, of settings that exclude each other, as UsageError."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


@contextmanager
def require_extra(package: str, extra: str) -> Generator[None]:
    """Around an import of an extra's package: raises UsageError, which says what to install, when it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise _missing(package, extra) from error


def check_extra(package: str, extra: str) -> None:
    """Raise UsageError, as `require_extra`, when the package is missing; it is not imported."""
    if find_spec(package) is None:
        raise _missing(package, extra)


def _missing(package: str, extra: str) -> UsageError:
    return UsageError(f"this needs the package {package}: pip install 'vidsr[{extra}]'")


class _Append(argparse.Action):
    """Appends the value to those in the namespace, a tuple as settings have it."""

    def __call__(self, parser: object, namespace: argparse.Namespace, value: object, option: object = None) -> None:
        setattr(namespace, self.dest, (*getattr(namespace, self.dest), value))


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError."""

    intermixed = False
    """Whether options may stand before an optional last positional, which Python 3.11 would miss."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """The known and the unknown arguments."""
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it is called again twice: for the options, then for the rest
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise UsageError(f"{message}; see {self.prog} --help")


def mark_paths(parser: argparse.ArgumentParser) -> None:
    """Mark the arguments that shells complete by the names of files, for the scripts of shtab."""
    for action in parser._actions:
        if action.metavar in _PATHS:
            vars(action)["complete"] = _COMPLETED_BY


def add_options(group: Group, cls: "type[DataclassInstance]", *, part: str = "", omit: Collection[str] = ()) -> None:
    """Add an option for each field of a settings class, or of a `part` of it, as its metadata says.

    A field that is False becomes a flag, and a tuple of texts an option that may be repeated; one in seconds loses its
    `_s` and may be written as a time.
    """
    for field in dataclasses.fields(cls):
        documented = field.metadata
        if "help" not in documented or field.name in omit or not documented["group"].startswith(part):
            continue
        flag, text = _flag(field.name), documented["help"]
        if field.default is False:
            group.add_argument(flag, dest=field.name, action="store_true", help=text)
            continue
        if isinstance(field.default, tuple):
            placeholder = documented["placeholder"]
            group.add_argument(flag, dest=field.name, action=_Append, default=(), metavar=placeholder, help=text)
            continue
        text += "" if field.default is None else f" (default: {field.default})"
        kind = {"type": _kind(cls, field.name), "default": field.default, "metavar": documented["placeholder"]}
        group.add_argument(flag, dest=field.name, help=text, **kind)


def settings(cls: "type[Settings]", args: argparse.Namespace) -> "Settings":
    """The settings, from the arguments by name. Raises UsageError for values that they refuse."""
    try:
        return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})
    except ValueError as error:  # it begins with the name of the field
        name, _, fault = str(error).partition(" ")
        raise UsageError(f"{_flag(name)} {fault}") from error


def setting(cls: type, name: str, args: argparse.Namespace) -> Any:
    """One setting of a class, for a command that has an option for few of them. Raises as `settings`."""
    return getattr(settings(cls, argparse.Namespace(**vars(cls()) | {name: getattr(args, name)})), name)


def model_label(model: str, scale: int) -> str:
    """The label of a network among several: with its scale, a file by its path."""
    return model if model.endswith(".npz") else full_name(model, scale)


def decibels(text: str) -> float:
    """Decibels. Raises ValueError for text, "nan" and "inf": nothing is below "nan"."""
    if not math.isfinite(level := float(text)):
        raise ValueError(text)
    return level


def seconds(text: str) -> float:
    """Seconds from "90", "1:30" or "0:01:30.5". Raises ValueError for anything else."""
    parts = [float(part) for part in text.split(":")]
    if len(parts) > 3 or not all(0 <= part < math.inf for part in parts):
        raise ValueError(text)
    return sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3600), strict=False))


def _flag(name: str) -> str:
    return "--" + option_name(name)


def _kind(cls: type, name: str) -> Callable[[str], int | float | str]:
    if name.endswith("_s"):
        return seconds
    hint = get_type_hints(cls)[name]
    return next(kind for kind in (int, float, str) if kind is hint or kind in get_args(hint))
