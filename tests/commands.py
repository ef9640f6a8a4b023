"""What the tests of the command line share: how a command ends, and whose rights it has."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USAGE, SOURCE, TARGET, MODEL, DAMAGED = 2, 3, 4, 5, 7

_NOBODY = 65534


@dataclass
class Ended:
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]
Refused = Callable[..., str]


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below, as it is."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def shown(folder: Path) -> list[str]:
    """The names in a folder, sorted, without hidden ones: the record of a batch."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@contextmanager
def few_rights() -> Iterator[None]:
    """This process with the rights of nobody in particular: root may read and write everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Files end at so many bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
