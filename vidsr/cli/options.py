"""Options of the command line from the fields of settings: same name, type and default."""

import argparse
import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeAlias, TypeVar, get_args, get_type_hints

from vidsr.cli.messages import UsageError
from vidsr.model.zoo import full_name
from vidsr.settings.options import option_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

Group = argparse._ArgumentGroup
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


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


class Help(argparse.RawDescriptionHelpFormatter):
    """Help that keeps the line breaks of the examples."""


def add_options(
    group: Group,
    cls: "type[DataclassInstance]",
    *,
    part: str = "",
    omit: Collection[str] = (),
    fields: dict[str, tuple[str, str]] | None = None,
) -> None:
    """Add an option for each field of a settings class, or of a `part` of it, as its metadata says.

    A field that is False becomes a flag; one in seconds loses its `_s` and may be written as a time. A command that
    uses some fields in another sense names them as {name: (placeholder, help)}.
    """
    documented = {
        field.name: (field.metadata["placeholder"], field.metadata["help"])
        for field in dataclasses.fields(cls)
        if "help" in field.metadata and field.metadata["group"].startswith(part) and field.name not in omit
    }
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    for name, (placeholder, text) in (fields or documented).items():
        flag, default = _flag(name), defaults[name]
        if default is False:
            group.add_argument(flag, dest=name, action="store_true", help=text)
            continue
        text += "" if default is None else f" (default: {default})"
        group.add_argument(flag, dest=name, type=_kind(cls, name), default=default, metavar=placeholder, help=text)


def settings(cls: "type[Settings]", args: argparse.Namespace) -> "Settings":
    """The settings, from the arguments by name. Raises UsageError for values that they refuse."""
    try:
        return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})
    except ValueError as error:  # it begins with the name of the field
        name, _, fault = str(error).partition(" ")
        raise UsageError(f"{_flag(name)} {fault}") from error


def add_output(parser: Parser) -> None:
    """Add the options of output that all commands have."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    group.add_argument("-v", "--verbose", action="store_true", help="print more, and the causes of errors")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def model_label(model: str, scale: int) -> str:
    """The label of a network among several: with its scale, a file by its path."""
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
