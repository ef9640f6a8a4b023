"""Files that were cut off while they were written: what can be kept of them, under their names."""

import os
from itertools import chain, count
from pathlib import Path
from struct import unpack
from typing import BinaryIO

import av

from vidsr.errors import SourceError
from vidsr.media.atomic_file import fsync_dir
from vidsr.media.open_input import open_source

_FRAGMENTED = {".mp4", ".m4v", ".mov"}


def is_whole(path: Path) -> bool:
    """Whether the file opens and its first picture is one from which decoding can begin."""
    try:
        with open_source(path) as container:
            first = next((packet for packet in container.demux(video=0) if packet.size), None)
            return first is not None and first.is_keyframe
    except (SourceError, av.FFmpegError, IndexError):
        return False


def salvage(part: Path) -> bool:
    """Whether there was something in a `.part` file; then it has its name, without what was only half written.

    Otherwise it is deleted. Raises OSError.
    """
    if part.with_suffix("").suffix in _FRAGMENTED:
        with part.open("r+b") as file:
            file.truncate(_end_of_fragments(file))
            os.fsync(file.fileno())
    if not is_whole(part):
        part.unlink()
        return False
    part.rename(unused(part.with_suffix(""), own=part))
    fsync_dir(part.parent)
    return True


def unused(path: Path, *, own: Path | None = None) -> Path:
    """The path, with _2 and so on where there is such a file, done or not; `own` part is in nobody's way.

    Names then sort as the files were begun: an underscore comes behind a dot, a hyphen before it.
    """
    names = chain([path], (path.with_stem(f"{path.stem}_{number}") for number in count(2)))
    # The part first: another thread may give it its name in between.
    return next(name for name in names if (part_of(name) == own or not part_of(name).exists()) and not name.exists())


def part_of(path: Path) -> Path:
    """Where a file is written until it is done."""
    return path.with_name(path.name + ".part")


def _end_of_fragments(file: BinaryIO) -> int:
    """Where the last whole fragment ends: a `moof` counts only with its `mdat`."""
    size = file.seek(0, os.SEEK_END)
    at = end = file.seek(0)
    while len(head := file.read(16)) >= 8:
        length, name = unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            (length,) = unpack(">Q", head[8:])
        if length < 8 or at + length > size:
            break
        at = file.seek(at + length)
        end = end if name == b"moof" else at
    return end
