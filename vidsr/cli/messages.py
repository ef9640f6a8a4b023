"""Usage errors and one-line messages on stderr."""

import os
import sys
from typing import TextIO, cast


class UsageError(Exception):
    """The arguments make no sense."""


def print_message(sentence: object, *, because: BaseException | None = None) -> None:
    """Print one line to stderr, and one per cause in the chain that begins with `because`."""
    print_line(" ".join(["vidsr:", *str(sentence).splitlines()]))
    while because is not None:
        print_line(f"vidsr:   because of {type(because).__name__}: {because}")
        because = because.__cause__


def print_line(line: str) -> None:
    """Print to stderr; where that is impossible, no more is printed, and the work goes on."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = null_stream("w")


def null_stream(mode: str) -> TextIO:
    """A stream that stays open to the end of the process, in the place of a standard stream."""
    return cast(TextIO, open(os.devnull, mode))
