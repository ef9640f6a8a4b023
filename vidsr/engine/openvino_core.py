"""OpenVINO's core, one for the whole process."""

from functools import cache

import openvino as ov  # type: ignore[import-untyped]


@cache
def openvino_core() -> ov.Core:
    """The core that compiles all graphs; safe for several threads.

    It stays to the end: each one gives the thread that first uses it another stack for signals, and takes its memory
    away when it goes. With two of them, released in the order of their making, the next signal ends the process by
    SIGSEGV, without a word.
    """
    return ov.Core()
