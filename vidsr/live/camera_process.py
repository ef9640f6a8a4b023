"""`python -m vidsr.live.camera_process`: one camera, followed as the order on stdin says, its status on stdout."""

import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from types import FrameType

from vidsr.cli.exits import exit_code, say
from vidsr.errors import VidsrError
from vidsr.live.connection import Equipment
from vidsr.live.following import follow
from vidsr.live.order import Order, parse
from vidsr.live.rungs import Rungs
from vidsr.live.status import State, Status
from vidsr.media.live.clock import Clock
from vidsr.media.live.recorder import Recorder
from vidsr.media.scale import enlarge_plain
from vidsr.pool import Pool, open_pool

log = logging.getLogger("vidsr.live.camera")
_BEAT_S = 1.0
