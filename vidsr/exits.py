"""How a command ends: its exit code, and the sentence that says why."""

import sys

from vidsr.errors import ModelError, SourceError, TargetError, TrainingError, VidsrError, WorkerError

USAGE, DAMAGED, STOPPED = 2, 7, 128
"""What was asked for makes no sense; done, but not as it should be; ended by the signal of that number above it."""
_CODES: dict[type[VidsrError], int] = {
    SourceError: 3,
    TargetError: 4,
    ModelError: 5,
    TrainingError: 5,
    WorkerError: 6,
}


class UsageError(Exception):
    """What was asked for makes no sense."""


def exit_code(error: VidsrError) -> int:
    """The exit code of a fault of the world."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), 1)


def say(sentence: object, *, because: BaseException | None = None) -> None:
    """Write one line to stderr, and one for each cause in the chain that begins with `because`."""
    print("vidsr:", *str(sentence).splitlines(), file=sys.stderr)
    while because is not None:
        print(f"vidsr:   because of {type(because).__name__}: {because}", file=sys.stderr)
        because = because.__cause__
