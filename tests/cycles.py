"""What only the garbage collector can free: with pictures in it a process grows by what it holds of them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Nobody collects garbage meanwhile, and none is there at the beginning."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_cycles(*packages: str) -> list[str]:
    """The kinds of these packages among what nobody can reach, yet is not freed."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return sorted(
            {type(each).__qualname__ for each in gc.garbage if type(each).__module__.split(".")[0] in packages}
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()
