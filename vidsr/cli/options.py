"""Options of the command line from the fields of settings: same name, same type, same default, written once."""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar, get_args, get_type_hints

from vidsr.cli.messages import UsageError
from vidsr.model.zoo import full_name
from vidsr.settings.naming import option_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

Group = argparse._ArgumentGroup
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError."""

    intermixed = False
    """Whether options may stand before a last positional that may be left out: Python 3.11 would not see that one."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """The arguments, and those that nobody knows."""
        if not self.intermixed:
            return super().parse_known_args(args, namespace)
        self.intermixed = False  # it comes back here twice: for the options, then for the rest
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.intermixed = True

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise UsageError(f"{message}; see {self.prog} --help")


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the example as it is written."""


def add_options(group: Group, cls: "type[DataclassInstance]", *, fields: dict[str, tuple[str, str]]) -> None:
    """Add an option for each of some fields of a settings class, given as {name: (placeholder, help)}.

    A field that is False becomes a flag; one in seconds loses its `_s` and may be written as a time.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    for name, (placeholder, text) in fields.items():
        flag, default = _flag(name), defaults[name]
        if default is False:
            group.add_argument(flag, dest=name, action="store_true", help=text)
            continue
        text += "" if default is None else f" (default: {default})"
        group.add_argument(flag, dest=name, type=_kind(cls, name), default=default, metavar=placeholder, help=text)


def settings(cls: "type[Settings]", args: argparse.Namespace) -> "Settings":
    """The settings that were asked for, picked from the arguments by name. Raises UsageError when they refuse."""
    try:
        return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})
    except ValueError as error:  # it begins with the name of the field
        name, _, fault = str(error).partition(" ")
        raise UsageError(f"{_flag(name)} {fault}") from error


def add_output(parser: Parser) -> None:
    """What every command says and how loudly."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    group.add_argument("-v", "--verbose", action="store_true", help="say more, and what caused an error")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def model_label(model: str, scale: int) -> str:
    """What a network is called where several stand side by side: with its scale, a file by its path."""
    return model if model.endswith(".npz") else full_name(model, scale)


def seconds(text: str) -> float:
    """Seconds from "90", "1:30" or "0:01:30.5". Raises ValueError for anything else."""
    parts = [float(part) for part in text.split(":")]
    if len(parts) > 3 or min(parts) < 0:
        raise ValueError(text)
    return sum(part * unit for part, unit in zip(reversed(parts), (1, 60, 3600), strict=False))


def _flag(name: str) -> str:
    return "--" + option_name(name)


def _kind(cls: type, name: str) -> Callable[[str], int | float | str]:
    if name.endswith("_s"):
        return seconds
    hint = get_type_hints(cls)[name]
    return next(kind for kind in (int, float, str) if kind is hint or kind in get_args(hint))
