"""What the processes that learn have in common: their camera comes from stdin, and they end with the supervisor."""

import faulthandler
import logging
import os
import pickle
import sys

from vidsr.child_process import end_with_parent
from vidsr.live.config import CameraConfig


def begin() -> CameraConfig:
    """Set up the process, and return the camera that it works for. Raises ValueError for one that does not learn."""
    faulthandler.enable()
    end_with_parent(os.getppid())
    config: CameraConfig = pickle.load(sys.stdin.buffer)
    logging.basicConfig(level=config.log_level, format="%(message)s", force=True)
    if not config.learn or not config.learn_dir:
        raise ValueError(f"{config.name} does not learn")
    return config
