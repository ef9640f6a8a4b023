"""The journal of a run by segments: finished segments survive the end of the process, and are verified by hashes.

`TARGET.segments/` has a file for each segment, which appears complete or not at all, and the file `journal`, to which
only lines are added: the key of the run, then a line for each segment, and one for the file that becomes the target.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Self, get_args, get_type_hints

from vidsr.errors import TargetError
from vidsr.file_lock import try_lock
from vidsr.media.atomic_file import atomic_write
from vidsr.media.error_text import write_error_text
from vidsr.media.packet_data import PacketData
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.work import UpscaledSegment

_JOURNAL = "journal"
_FACTS = [field.name for field in dataclasses.fields(UpscaledSegment) if field.name not in ("packets", "headers")]
_TYPES = get_type_hints(UpscaledSegment)
_OF_THIS_RUN = "", ""  # not read again
Key = dict[str, str]
"""All values on which the bytes of the segments depend, by name."""


class SegmentJournal:
    """The finished segments of a run into `target`; closed by `with`, which keeps them.

    `changed` names what has changed since the run whose segments are there: these are deleted then. Raises TargetError
    if another run has the folder open, or it cannot be written.
    """

    def __init__(self, target: Path, key: Key) -> None:
        self.folder = segments_folder(target)
        self.changed: list[str] = []
        self._target = target
        self._finished: dict[int, tuple[str, str]] = {}  # hashes of the source and of the file, by segment
        self._complete: object = None  # the file that became the target of an earlier run, if that came so far
        self._sources: dict[int, str] = {}  # of the segments that were asked for, and are in work
        self._writing = Lock()
        try:
            self.folder.mkdir(exist_ok=True)
            self._file = (self.folder / _JOURNAL).open("a+b", buffering=0)
        except OSError as error:
            raise self._error(error) from error
        try:
            if not try_lock(self._file):
                raise TargetError(f"{self.folder}: another run works on these segments")
            self._read(key)
        except OSError as error:
            self._file.close()
            raise self._error(error) from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        if not self._finished or self._complete == _identity(self._target):
            self.discard()

    def __len__(self) -> int:
        return len(self._finished)

    @property
    def kept(self) -> str:
        """What is here, for people."""
        return f"{len(self)} finished segments are kept in {self.folder}" if self else "no segment is finished yet"

    def get(self, segment: PlannedSegment) -> UpscaledSegment | None:
        """The result of a segment, if it is here and intact, and of the same packets."""
        now = self._sources[segment.index] = source_hash(segment)
        source, expected = self._finished.get(segment.index, ("", ""))
        if source != now:
            return None
        try:
            content = self._path(segment.index).read_bytes()
            done = segment_of_bytes(content) if hashlib.sha256(content).hexdigest() == expected else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return done if done and done.index == segment.index else None

    def put(self, done: UpscaledSegment) -> None:
        """Keep the result of a segment that was asked for, from any thread. Raises TargetError if the disk is full."""
        content, source = segment_bytes(done), self._sources.pop(done.index)
        with atomic_write(self._path(done.index), overwrite=True) as file:
            file.write(content)
        try:
            with self._writing:
                self._add({"segment": done.index, "source": source, "sha256": hashlib.sha256(content).hexdigest()})
                self._finished[done.index] = _OF_THIS_RUN
        except OSError as error:
            raise self._error(error) from error

    def complete(self, part: Path) -> None:
        """Note the file that is about to become the target. Raises TargetError if the disk is full.

        Where the process ends after that and before `discard`, the next run into the target deletes the segments.
        """
        try:
            self._add({"complete": _identity(part)})
        except OSError as error:
            raise self._error(error) from error

    def discard(self) -> None:
        """Delete the segments, and the folder unless it holds something else."""
        self._file.close()
        self._remove_segments()
        with suppress(OSError):
            (self.folder / _JOURNAL).unlink()
            self.folder.rmdir()

    def _read(self, key: Key) -> None:
        self._file.seek(0)
        content = self._file.read()
        lines = list(_lines(content))
        earlier = lines[0].get("key") if lines else None
        if earlier == key:
            self._finished = dict(filter(None, map(_entry, lines[1:])))
            self._complete = next((line["complete"] for line in reversed(lines) if "complete" in line), None)
            if not content.endswith(b"\n"):  # the process ended in the middle of a line
                self._file.write(b"\n")
            return
        if content:
            known = earlier if isinstance(earlier, dict) else key
            self.changed = [name for name in key if known.get(name) != key[name]] or ["journal"]
        self._remove_segments()
        self._file.truncate(0)
        self._add({"key": key})

    def _remove_segments(self) -> None:
        for path in [*self.folder.glob("*.segment"), *self.folder.glob("*.part")]:
            path.unlink()

    def _add(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")
        os.fsync(self._file.fileno())

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06}.segment"

    def _error(self, error: OSError) -> TargetError:
        return TargetError(f"{self.folder}: {write_error_text(error)}")


def discard_segments(target: Path) -> bool:
    """Delete what an earlier run into `target` has kept; False if there is nothing.

    Raises TargetError if another run works on it, or it cannot be deleted.
    """
    if not os.path.isfile(segments_folder(target) / _JOURNAL):  # False, too, where the name is too long for one
        return False
    with SegmentJournal(target, {}) as journal:
        journal.discard()
    return True


def segments_folder(target: Path) -> Path:
    """The folder of the segments of a target."""
    return target.with_name(f"{target.name}.segments")


def source_hash(segment: PlannedSegment) -> str:
    """The hash of all on which a segment's result depends but the key."""
    total = hashlib.sha256(repr((segment.start, segment.end)).encode())
    for packet in segment.packets:
        total.update(repr((len(packet.data), packet.pts, packet.dts, packet.key, packet.discard)).encode())
        total.update(packet.data)
    return total.hexdigest()


def _identity(path: Path) -> list[int]:
    """The device and the inode of a file, by which it is known under another name; none where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_dev, status.st_ino]


def _lines(content: bytes) -> Iterator[dict[str, object]]:
    """The lines of a journal; one that was cut off by the end of the process, or is none, is left out."""
    for line in content.split(b"\n")[:-1]:
        with suppress(ValueError, RecursionError):
            if isinstance(found := json.loads(line), dict):
                yield found


def _entry(line: dict[str, object]) -> tuple[int, tuple[str, str]] | None:
    index, source, expected = line.get("segment"), line.get("source"), line.get("sha256")
    if isinstance(index, int) and isinstance(source, str) and isinstance(expected, str):
        return index, (source, expected)
    return None


def segment_bytes(done: UpscaledSegment) -> bytes:
    """A line of JSON with the facts of a segment, then the data of its packets."""
    packets = [[len(each.data), each.pts, each.dts, each.duration, each.key] for each in done.packets]
    facts = {name: getattr(done, name) for name in _FACTS}
    line = json.dumps(facts | {"headers": done.headers.hex(), "packets": packets})
    return b"".join([line.encode(), b"\n", *(each.data for each in done.packets)])


def segment_of_bytes(content: bytes) -> UpscaledSegment:
    """The segment of such bytes. Raises ValueError, KeyError or TypeError for others."""
    line, _, data = content.partition(b"\n")
    facts = json.loads(line)
    packets, at = [], 0
    for size, pts, dts, duration, key in facts["packets"]:
        if not all(isinstance(number, int) for number in (size, pts, dts, duration)) or size < 0:
            raise TypeError("a packet without a size and times")
        packets.append(PacketData(data=data[at : at + size], pts=pts, dts=dts, duration=duration, key=bool(key)))
        at += size
    if at != len(data):
        raise ValueError(f"{len(data)} bytes of packets, not {at}")
    made = {name: _fact(name, facts[name]) for name in _FACTS}
    return UpscaledSegment(packets=tuple(packets), headers=bytes.fromhex(facts["headers"]), **made)


def _fact(name: str, value: Any) -> Any:
    """The value of a field. Raises TypeError if it is of another type."""
    arguments = get_args(_TYPES[name])
    each, kind = (value, arguments[0]) if arguments else ([value], _TYPES[name])
    if not isinstance(each, list) or any(type(one) is not kind for one in each):
        raise TypeError(f"{name} is {value!r}")
    return tuple(value) if arguments else value
