"""What the processes that learn have in common: their camera comes from stdin, and they end with the supervisor."""

import ctypes
import faulthandler
import logging
import os
import pickle
import signal
import sys

from vidsr.live.config import CameraConfig

_PR_SET_PDEATHSIG = 1


def begin() -> CameraConfig:
    """Set up the process, and return the camera that it works for. Raises ValueError for one that does not learn."""
    faulthandler.enable()
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also while it is paused
    if os.getppid() != parent:  # it had ended before
        sys.exit(0)
    config: CameraConfig = pickle.load(sys.stdin.buffer)
    logging.basicConfig(level=config.log_level, format="%(message)s", force=True)
    if not config.learn or not config.learn_dir:
        raise ValueError(f"{config.name} does not learn")
    return config
