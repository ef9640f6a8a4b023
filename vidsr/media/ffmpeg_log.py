"""The log of FFmpeg, which holds URLs with passwords: read line by line where it alone says something, else off."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import av

FFMPEG_LOG = RLock()
"""To be held while FFmpeg must not log: PyAV holds the GIL while it joins a thread of FFmpeg, which logs to Python."""


@contextmanager
def ffmpeg_log(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """The lines (level, name, text) that FFmpeg logs meanwhile in this thread; those of other threads are dropped."""
    logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
    with FFMPEG_LOG, av.logging.Capture() as lines:
        av.logging.set_skip_repeated(False)
        av.logging.set_level(level)
        try:
            yield lines
        finally:
            av.logging.set_level(None)
