"""Options of the command line from the fields of settings: same name, same default, written once."""

import argparse
import dataclasses
from collections.abc import Callable
from typing import TypeVar

Settings = TypeVar("Settings")
Group = argparse._ArgumentGroup


class Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the example as it is written."""


def option(
    group: Group, cls: type[Settings], name: str, text: str, *, kind: Callable[[str], object] = str, metavar: str = ""
) -> None:
    """Add `--name` for a field of a settings class; a field that is False becomes a flag."""
    default = next(field.default for field in dataclasses.fields(cls) if field.name == name)  # type: ignore[arg-type]
    flag = "--" + name.removesuffix("_s").replace("_", "-")
    if default is False:
        group.add_argument(flag, dest=name, action="store_true", help=text)
        return
    shown = "" if default is None else f" (default: {default})"
    group.add_argument(flag, dest=name, type=kind, default=default, metavar=metavar or name.upper(), help=text + shown)


def settings(cls: type[Settings], args: argparse.Namespace) -> Settings:
    """The settings that were asked for, picked from the arguments by name."""
    names = (field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
    return cls(**{name: getattr(args, name) for name in names if hasattr(args, name)})


def add_output(parser: argparse.ArgumentParser) -> None:
    """What every command says and how loudly."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    group.add_argument("-v", "--verbose", action="store_true", help="say more, and what caused an error")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")


def seconds(text: str) -> float:
    """Seconds from "90", "1:30" or "0:01:30.5". Raises ValueError for anything else."""
    parts = [float(part) for part in text.split(":")]
    if len(parts) > 3 or any(part < 0 for part in parts):
        raise ValueError(text)
    return sum(part * 60**place for place, part in enumerate(reversed(parts)))
