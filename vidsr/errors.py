"""What can go wrong in the world; bugs stay ordinary exceptions.

VidsrError
├── SourceError     what should be read cannot be
│   └── SourceLost  a live source is not there now
├── TargetError     what should be written cannot be
├── ModelError      a network or its weights are not usable
├── WorkerError     the pool cannot go on
└── TrainingError   there is nothing to learn from, or learning broke down

`str(error)` is one whole sentence that names the file, frame or model.

Stopped is none of them: work ended because it was asked to.
"""


class VidsrError(Exception):
    """The base of all; catch it to catch every fault of the world."""


class SourceError(VidsrError):
    """What should be read is missing, unreadable or not a video."""


class SourceLost(SourceError):
    """A live source does not answer, refuses, or has ended; `slow`: asking again soon may lock the account."""

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


class TargetError(VidsrError):
    """What should be written cannot be: refused, in the way, or the disk is full."""


class ModelError(VidsrError):
    """A network or its weights are not usable."""


class WorkerError(VidsrError):
    """The pool cannot go on; `index` is the frame it stopped at, counted from 0."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class TrainingError(VidsrError):
    """There is nothing to learn from, or the loss is not finite."""


class Stopped(Exception):
    """Work was asked to stop before it had a result; the same call goes on from there."""
