"""`python -m vidsr.learning.collect_process`: collects one moment of a camera, and measures what its network gains.

It reads the config of the camera from stdin, as its process does, and ends. Where a network is in use and there is a
main stream, it is started every minute: most of these runs measure only. What goes wrong is an event in the folder,
once when it begins and once when it ends.
"""

import logging
import signal
import threading
import time

from vidsr.child_process import exit_at_once
from vidsr.errors import STOPPED, Stopped, VidsrError, exit_code
from vidsr.learning.collector import Collector, single_collector
from vidsr.learning.process_setup import begin

log = logging.getLogger("vidsr.learning")


def main() -> int:
    """The exit code: 0 also when the camera gave no moment, 143 after a signal, else that of the error."""
    config, learn, learn_dir = begin()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with single_collector(learn_dir.path) as is_only:
            if is_only:
                Collector(config, learn, learn_dir, stop).run(time.time())
    except Stopped:
        return STOPPED + signal.SIGTERM
    except VidsrError as error:
        log.error("%s", error)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    exit_at_once(main)
