"""Small files of JSON that several processes read and write: an object each, or a line for each object.

Writers take turns, and replace the whole file; readers see what is whole. Of a log to which only lines are added the
file stays.
"""

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

from vidsr.errors import TargetError

_MAX_BYTES = 1 << 20
"""Of a file of lines; the older half is dropped above."""
_LARGEST = 1e11
"""Of a number of a record: as seconds since 1970 in the year 5138, as bytes 100 GB."""


class _Record(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


_R = TypeVar("_R", bound=_Record)


def read_record(kind: type[_R], values: Mapping[str, object]) -> _R | None:
    """The dataclass that an object of JSON holds; None if a field is missing, unknown or of another type.

    Numbers are finite and at most 1e11 in size, and not negative if they are seconds (`*_s`).
    """
    hints, needed = _layout(kind)
    if not needed <= values.keys() <= hints.keys():
        return None
    if not all(_fits(value, hints[name], is_time=name.endswith("_s")) for name, value in values.items()):
        return None
    return kind(**{name: _printable(value) for name, value in values.items()})


@cache
def _layout(kind: type[_Record]) -> tuple[dict[str, Any], frozenset[str]]:
    """The types of the fields by name, and the names of those without a default; cached, as hints take 0.1 ms."""
    hints = get_type_hints(kind)
    needed = [field.name for field in fields(kind) if field.default is field.default_factory is MISSING]
    return {field.name: hints[field.name] for field in fields(kind)}, frozenset(needed)


def _fits(value: object, kind: type, *, is_time: bool = False) -> bool:
    if types := get_args(kind):  # dict[str, ...]
        return isinstance(value, dict) and all(_fits(each, types[1]) for each in value.values())
    if kind not in (int, float):
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        return False
    assert isinstance(value, int | float)
    return (0 if is_time else -_LARGEST) <= value <= _LARGEST


def _printable(value: object) -> object:
    """JSON can name halves of characters, which cannot be printed."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one for a file that is missing or holds none."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a file, and the folders to it. Raises TargetError."""
    update_json(path, lambda before: values)


def update_json(
    path: Path, change: Callable[[dict[str, Any]], Mapping[str, object] | None]
) -> tuple[dict[str, Any], Mapping[str, object]] | None:
    """Write what `change` makes of the object in a file, while nobody else writes it; returns both objects.

    None, and nothing is written, where `change` returns None. Raises TargetError.
    """
    with _locked(path):
        before = read_json(path)
        values = change(before)
        if values is None:
            return None
        _replace(path, [json.dumps(values).encode()])
        return before, values


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of lines; none in one that cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    yield from parse_lines(data)


def parse_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """The objects in lines; a torn line is left out."""
    for line in data.splitlines():
        with suppress(ValueError, RecursionError):
            values = json.loads(line)
            if isinstance(values, dict):
                yield values


def append_line(path: Path, values: Mapping[str, object]) -> None:
    """Append a line; the older half of a large file is dropped. Raises TargetError."""
    with _locked(path):
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        if sum(map(len, lines)) > _MAX_BYTES:
            lines = lines[len(lines) // 2 :]
        if lines and not lines[-1].endswith(b"\n"):  # torn by a crash
            lines[-1] += b"\n"
        _replace(path, [*lines, json.dumps(values).encode() + b"\n"])


def add_line(file: FileIO, values: Mapping[str, object]) -> None:
    """Append a line to a file opened by "a+b" without a buffer, and wait until it is on the disk. Raises OSError.

    A torn line at the end of the file, of a crash or a full disk, is ended first.
    """
    line = json.dumps(values).encode() + b"\n"
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        line = line if file.read(1) == b"\n" else b"\n" + line
    if file.write(line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _replace(path: Path, lines: Iterable[bytes]) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:  # the disk is full
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The folder of a file, made if it is missing, is locked against its other writers. Raises TargetError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
