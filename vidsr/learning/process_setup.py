"""What the processes that learn have in common: their camera comes from stdin, and they end with the supervisor."""

import faulthandler
import logging
import os
import pickle
import sys

from vidsr.child_process import end_with_parent
from vidsr.learn_dir import LearnDir
from vidsr.live.config import CameraConfig
from vidsr.settings import LearnSettings


def begin() -> tuple[CameraConfig, LearnSettings, LearnDir]:
    """Set up the process; returns the camera that it works for, how that learns, and where.

    Raises ValueError for a camera that does not learn.
    """
    faulthandler.enable()
    end_with_parent(os.getppid())
    config: CameraConfig = pickle.load(sys.stdin.buffer)
    logging.basicConfig(level=config.log_level, format="%(message)s", force=True)
    if not config.learn or not config.learn_dir:
        raise ValueError(f"{config.name} does not learn")
    return config, config.learn, LearnDir(config.learn_dir)
