"""A folder of segments: whose it is, what the next one is called, what is kept of it."""

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
from vidsr.media.sink.recovery import salvage, unused
from vidsr.media.sink.retention import DAY, TIME, free_bytes, left_parts, sweep
from vidsr.settings import RecordSettings

_SWEEP_S = 60.0
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Folder:
    """A folder that this process alone records to; what a crash left in it is finished. Closed by `close`.

    Raises TargetError when it cannot be made or written, or another process records to it.
    """

    def __init__(self, path: Path, record: RecordSettings, *, say: Callable[[str], None]) -> None:
        self.free = 0
        self._path, self._record, self._say = path, record, say
        self._changed, self._short = True, False
        self._swept_s = monotonic()
        try:
            path.mkdir(parents=True, exist_ok=True)
            require_writable(path)
            self._lock = _locked(path)
            self.free = free_bytes(path)
            for part in left_parts(path):
                with suppress(OSError):  # one that cannot be read stays where it is
                    salvage(part)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def next_name(self) -> Path:
        """Where a segment goes that begins now; its day's folder is there. Raises OSError when this folder is gone."""
        now = datetime.now()
        day = self._path / now.strftime(DAY)
        day.mkdir(exist_ok=True)  # not its parents: a disk that was taken out would be recorded beside
        return unused(day / now.strftime(f"{TIME}.mp4"))

    def changed(self) -> None:
        """A segment has been added."""
        self._changed = True

    def tidy(self) -> None:
        """Delete what is no longer to be kept: after each segment, each minute, and when the disk is short of room."""
        with suppress(OSError):  # it may be gone, and come back
            self.free = free_bytes(self._path)
            least = self._record.min_free_gb * 1e9
            if self._changed or self.free < least or monotonic() - self._swept_s > _SWEEP_S:
                self._changed, self._swept_s = False, monotonic()
                sweep(self._path, now_s=time(), record=self._record)
                self.free = free_bytes(self._path)
            if self.free < least and not self._short:
                self._say(f"only {self.free / 1e9:.2f} GB are free, and no segment is left to delete")
            self._short = self.free < least

    def close(self) -> None:
        """Let others record to it."""
        os.close(self._lock)


def require_writable(path: Path) -> None:
    """Raises OSError for a folder in which no file can be made, and not only because the disk is full."""
    try:
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        if error.errno not in _FULL:  # which passes
            raise


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise TargetError(f"{path}: another process records to it") from None
    except OSError:
        pass  # a file system without locks
    return handle
