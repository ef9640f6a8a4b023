"""Usage errors and one-line messages on stderr."""

import sys


class UsageError(Exception):
    """The arguments make no sense."""


def print_message(sentence: object, *, because: BaseException | None = None) -> None:
    """Print one line to stderr, and one per cause in the chain that begins with `because`."""
    print("vidsr:", *str(sentence).splitlines(), file=sys.stderr)
    while because is not None:
        print(f"vidsr:   because of {type(because).__name__}: {because}", file=sys.stderr)
        because = because.__cause__
