"""Two threads that are switched between as often as Python can."""

import sys
import threading
from collections.abc import Callable, Iterator


def while_it_runs(work: Callable[[], None]) -> Iterator[None]:
    """Yields again and again until `work` has ended in another thread."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        while thread.is_alive():
            yield
    finally:
        thread.join()
        sys.setswitchinterval(interval)
