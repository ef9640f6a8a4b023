"""What is asked for and makes no sense, and the sentence that says so, or anything else."""

import sys


class UsageError(Exception):
    """What was asked for makes no sense."""


def say(sentence: object, *, because: BaseException | None = None) -> None:
    """Write one line to stderr, and one for each cause in the chain that begins with `because`."""
    print("vidsr:", *str(sentence).splitlines(), file=sys.stderr)
    while because is not None:
        print(f"vidsr:   because of {type(because).__name__}: {because}", file=sys.stderr)
        because = because.__cause__
