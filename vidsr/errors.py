"""The errors that are no bugs, and their exit codes; bugs stay ordinary exceptions.

VidsrError
├── SourceError     a source cannot be read, or shows nothing to train on
│   └── SourceLost  a live source does not answer or has ended
├── TargetError     a target cannot be written
│   └── OptionError an encoder does not have an option, or not such a value of it
├── ModelError      a network or its weights are not usable
├── WorkerError     the pool cannot go on
└── TrainingError   a directory holds another training or dataset, or the training diverged

`str(error)` is one whole sentence that names the file, frame or model.

Stopped is none of them: a job ended on request.
"""


class VidsrError(Exception):
    """The base of all errors that are no bugs."""


class SourceError(VidsrError):
    """A source is missing, unreadable or not a video, or nothing can be learned from it."""


class SourceLost(SourceError):
    """A live source does not answer, refuses, or has ended; `slow`: retrying soon may lock the account."""

    def __init__(self, message: str, *, slow: bool = False) -> None:
        super().__init__(message)
        self.slow = slow


class TargetError(VidsrError):
    """A target cannot be written: refused, existing already, or the disk is full."""


class OptionError(TargetError):
    """An option of the encoding that its encoder does not have, or a value that it does not take: a fault of usage."""


class ModelError(VidsrError):
    """A network or its weights are not usable."""


class WorkerError(VidsrError):
    """The pool cannot go on; `index` is the frame it stopped at, counted from 0."""

    def __init__(self, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class TrainingError(VidsrError):
    """A dataset, a training or the machine does not fit what was asked, or the loss is not finite."""


class Stopped(Exception):
    """A job was asked to stop before it had a result; the same call resumes it."""


BUG, USAGE, SOURCE, TARGET, MODEL, POOL, DAMAGED, STOPPED = 1, 2, 3, 4, 5, 6, 7, 128
"""The exit codes; `DAMAGED` is finished with losses, `STOPPED` is added to the number of the signal."""
_EXIT_CODES: dict[type[VidsrError], int] = {
    OptionError: USAGE,
    SourceError: SOURCE,
    TargetError: TARGET,
    ModelError: MODEL,
    TrainingError: MODEL,
    WorkerError: POOL,
}


def exit_code(error: VidsrError) -> int:
    """The exit code for an error of the world."""
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), BUG)
