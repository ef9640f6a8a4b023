"""What the tests of the command line share: how a command ends, and whose rights it has."""

import io
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path

from vidsr.cli import main

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


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """The log goes to stderr, as that of a process does: pytest has handlers of its own in the place of that one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("vidsr: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def descriptor(number: int, other: int) -> Iterator[None]:
    """The descriptor of a standard stream is another one, which is closed at the end."""
    before = os.dup(number)
    os.dup2(other, number)
    os.close(other)
    try:
        yield
    finally:
        os.dup2(before, number)
        os.close(before)


def run_between_pipes(*words: str | Path, data: bytes) -> subprocess.CompletedProcess[bytes]:
    """The command line, run in this process: `data` goes through a pipe to its stdin; stdout is another pipe."""
    (source, feed), (drain, target) = os.pipe(), os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), open(feed, "wb") as pipe:
            pipe.write(data)

    def read() -> bytes:
        with open(drain, "rb") as pipe:
            return pipe.read()

    with ThreadPoolExecutor(2) as threads:
        _, printed = threads.submit(write), threads.submit(read)
        with descriptor(0, source), descriptor(1, target), redirect_stderr(io.StringIO()) as stderr, log_to_stderr():
            code = main([*map(str, words)])
        return subprocess.CompletedProcess(words, code, printed.result(), stderr.getvalue().encode())
