"""How a program of ours ends: its exit codes."""

from vidsr.errors import ModelError, SourceError, TargetError, TrainingError, VidsrError, WorkerError

BUG, USAGE, SOURCE, TARGET, MODEL, POOL, DAMAGED, STOPPED = 1, 2, 3, 4, 5, 6, 7, 128
"""As they are called; `DAMAGED`: done, but not as it should be; `STOPPED`: and above it the signal that ended it."""
_CODES: dict[type[VidsrError], int] = {
    SourceError: SOURCE,
    TargetError: TARGET,
    ModelError: MODEL,
    TrainingError: MODEL,
    WorkerError: POOL,
}


def exit_code(error: VidsrError) -> int:
    """The exit code of a fault of the world."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), BUG)
