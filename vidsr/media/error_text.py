"""The meaning of FFmpeg's errors at files, whose own words say little."""

import errno
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import OutputContainer

from vidsr.errors import TargetError

_READ_TEXTS: dict[type[Exception], str] = {
    EOFError: "it is cut off",
    MemoryError: "there is not enough memory for it, or it is damaged and asks for too much",
    PermissionError: "FFmpeg does not permit it",
    av.InvalidDataError: "it is damaged",
    av.ArgumentError: "it is damaged, or of a kind that is not read",
    av.PatchWelcomeError: "FFmpeg does not read this variant of its format",
    OSError: "it is cut off, or its disk or network cannot be read",
}
_REFUSED = "the container or the encoder refuses what is written; use another --codec, or .mkv for another container"
_WRITE_TEXTS: dict[type[Exception], str] = {
    MemoryError: "there is not enough memory to encode it; use a smaller size or another --codec",
    EOFError: _REFUSED,
    PermissionError: _REFUSED,
    av.InvalidDataError: _REFUSED,
    av.ArgumentError: _REFUSED,
    av.ExternalError: "the encoder failed; use another --codec",
    OSError: "its disk or network cannot be written",
}
_BARE = {errno.EIO, errno.EPERM, errno.ENOMEM, errno.EINVAL}
"""Errors of the system that say nothing of the file; others do, such as "No space left on device"."""
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def read_error_text(error: av.FFmpegError | OSError) -> str:
    """Why a file cannot be read, and FFmpeg's own words."""
    return _error_text(error, _READ_TEXTS)


def write_error_text(error: av.FFmpegError | OSError) -> str:
    """Why a file cannot be written, what to do, and FFmpeg's own words."""
    if isinstance(error, BrokenPipeError):
        return f"the program that reads it has ended ({error.strerror})"
    return _error_text(error, _WRITE_TEXTS)


@contextmanager
def closing_output(output: OutputContainer) -> Generator[OutputContainer]:
    """Closes the container after the block. An error of the block stays: on a full disk closing has a vague one."""
    try:
        yield output
    except BaseException:
        with suppress(av.FFmpegError, OSError):
            output.close()
        raise
    output.close()


@contextmanager
def target_errors(target: Path) -> Generator[None]:
    """FFmpeg's and the system's errors as TargetError."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise TargetError(f"{target}: {write_error_text(error)}") from error


def _error_text(error: av.FFmpegError | OSError, texts: dict[type[Exception], str]) -> str:
    words = error.strerror or str(error)
    if isinstance(error, OSError) and error.errno not in _BARE:
        return words
    text: str | None = "the file system refuses it"
    if isinstance(error, av.FFmpegError):
        text = next((text for kind, text in texts.items() if isinstance(error, kind)), None)
    return f"{text} ({words})" if text else words
