"""A directory of segments: its lock, the names of its files, and its retention."""

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic, time

from vidsr.errors import TargetError
from vidsr.media.sink.recovery import recover_part, unused_path
from vidsr.media.sink.retention import DAY, TIME, delete_expired, free_bytes, unfinished_parts
from vidsr.settings import RecordSettings

_CHECK_S = 60.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class RecordingDir:
    """A directory that only this process records to; leftovers of a crash are recovered. Closed by `close`.

    Raises TargetError when it cannot be created or written, or another process records to it.
    """

    def __init__(self, path: Path, record: RecordSettings, *, on_warning: Callable[[str], None]) -> None:
        self.free = 0
        self._path, self._record, self._on_warning = path, record, on_warning
        self._is_changed, self._is_short = True, False
        self._checked_s = monotonic()
        try:
            path.mkdir(parents=True, exist_ok=True)
            require_writable(path)
            self._lock = _lock_dir(path)
            self.free = free_bytes(path)
            for part in unfinished_parts(path):
                with suppress(OSError):  # an unreadable file stays as it is
                    recover_part(part)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def next_path(self) -> Path:
        """The path of a segment that begins now, in the directory of its day. Raises OSError if the disk is gone."""
        now = datetime.now()
        day = self._path / now.strftime(DAY)
        day.mkdir(exist_ok=True)  # no parents: without its disk, the mount point must not be recorded to
        return unused_path(day / now.strftime(f"{TIME}.mp4"))

    def segment_added(self) -> None:
        """Mark that a segment was added."""
        self._is_changed = True

    def apply_retention(self) -> None:
        """Delete expired segments: after each new segment, every minute, and with little free space."""
        with suppress(OSError):  # the disk may be gone for a while
            self.free = free_bytes(self._path)
            min_free = self._record.min_free_gb * 1e9
            if self._is_changed or self.free < min_free or monotonic() - self._checked_s > _CHECK_S:
                self._is_changed, self._checked_s = False, monotonic()
                delete_expired(self._path, now_s=time(), record=self._record)
                self.free = free_bytes(self._path)
            if self.free < min_free and not self._is_short:
                self._on_warning(f"only {self.free / 1e9:.2f} GB free, and no segment left to delete")
            self._is_short = self.free < min_free

    def close(self) -> None:
        """Release the lock."""
        os.close(self._lock)


def require_writable(path: Path) -> None:
    """Raises OSError for a directory in which no file can be created; a full disk is accepted."""
    try:
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        if error.errno not in _DISK_FULL:  # temporary
            raise


def _lock_dir(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise TargetError(f"{path}: another process records to it") from None
    except OSError:
        pass  # a file system without locks
    return handle
