"""The recovery of recorded segments that a crash or a full disk cut off, and the paths that segments have."""

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


def is_playable(path: Path) -> bool:
    """Whether the file opens and begins with a key frame."""
    try:
        with open_source(path) as container:
            first = next((packet for packet in container.demux(video=0) if packet.size), None)
            return first is not None and first.is_keyframe
    except (SourceError, av.FFmpegError, IndexError):
        return False


def recover_part(part: Path, *, overwrite: bool = False) -> bool:
    """Truncate a .part file to its last complete fragment and give it its final name; returns whether that succeeded.

    Another file of that name is replaced with `overwrite`, else this one gets an `unused_path`. A file without a
    complete fragment is deleted. Raises OSError, also for one that may not be read, which stays.
    """
    is_fragmented = part.with_suffix("").suffix in _FRAGMENTED
    with part.open("r+b" if is_fragmented else "rb") as file:
        if is_fragmented:
            file.truncate(end_of_last_fragment(file))
            os.fsync(file.fileno())
    if not is_playable(part):
        part.unlink()
        return False
    target = part.with_suffix("")
    part.rename(target if overwrite else unused_path(target, own=part))
    fsync_dir(part.parent)
    return True


def unused_path(path: Path, *, own: Path | None = None) -> Path:
    """The path, or the first of path_2, path_3 and so on for which no file and no other .part file exists than `own`.

    Names sort by time: "_" sorts behind ".", while "-" would sort before it.
    """
    names = chain([path], (path.with_stem(f"{path.stem}_{number}") for number in count(2)))
    # Test the .part file first: another thread may rename it in between.
    return next(
        name
        for name in names
        if (segment_part_path(name) == own or not segment_part_path(name).exists()) and not name.exists()
    )


def segment_part_path(path: Path) -> Path:
    """The path of a file while it is being written."""
    return path.with_name(path.name + ".part")


def end_of_last_fragment(file: BinaryIO) -> int:
    """The end of the last complete fragment: a `moof` counts only with its `mdat`."""
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
