"""Fields of settings that are options of the command line, with their help: written here and nowhere else."""

from dataclasses import field
from typing import Any


def option(default: Any, help_: str, placeholder: str = "", *, group: str = "") -> Any:
    """A field with a default, a sentence for `--help`, and the placeholder of its value; none makes a flag.

    `group` is a part of the class, where `--help` shows several.
    """
    return field(default=default, metadata={"help": help_, "placeholder": placeholder, "group": group})


def option_name(field_name: str) -> str:
    """The name of a field on the command line, behind "--", and in a file of cameras: max-delay of max_delay_s."""
    return field_name.removesuffix("_s").replace("_", "-")
