"""`python -m vidsr.learning.learn_process`: learns a network for one camera, whose config it reads from stdin.

Exits with 0 when it is done, also without a network, with 143 when a signal stopped it, to be started again, and with
the code of the error otherwise. What happened is in the events of the camera.
"""

import logging
import os
import signal
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from types import FrameType

from vidsr.cpu import pin_process
from vidsr.errors import STOPPED, Stopped, TargetError, TrainingError, VidsrError, exit_code
from vidsr.learn_dir import LearnDir
from vidsr.learning.moment_split import NothingToLearn, require_split
from vidsr.learning.process_setup import begin
from vidsr.settings import LearnSettings, StreamSettings

log = logging.getLogger("vidsr.learning.learn")


def main() -> int:
    """Returns the exit code."""
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop.on_signal)
    config, learn, learn_dir = begin()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it says that it builds a cache
    _limit_cores(learn.cores)
    return _learn(learn_dir, learn, config.stream, stop)


class _Stop:
    """Whether a signal has asked for the end, and which."""

    signal = 0

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Ask for the end."""
        self.signal = number

    def __call__(self) -> bool:
        return self.signal != 0


def _limit_cores(cores: int) -> None:
    """Take no more cores, whatever libraries start threads: the last ones of those allowed."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > cores:
        pin_process(frozenset(allowed[-cores:]))


def _learn(learn_dir: LearnDir, learn: LearnSettings, stream: StreamSettings, stop: _Stop) -> int:
    code, event = 0, ""
    try:
        require_split(learn_dir.moments(), learn.day_s)
        if missing := [name for name in ("torch", "matplotlib") if not find_spec(name)]:
            raise TrainingError(f"learning needs {missing[0]}: pip install 'vidsr[train]'")
        from vidsr.learning.camera_learning import CameraLearning  # loads PyTorch, which is seconds of work

        CameraLearning(
            learn_dir=learn_dir,
            learn=learn,
            stream=stream,
            now=time.time,
            on_warning=log.warning,
            should_stop=stop,
        ).run()
    except Stopped as stopped:
        log.info("%s", stopped)
        return STOPPED + stop.signal
    except NothingToLearn as reason:
        event = f"nothing to learn from yet: {reason}"
        log.info("%s", event)
    except VidsrError as error:
        code, event = exit_code(error), f"no network was learned: {error}"
        log.error("%s", event)
    with suppress(TargetError):  # a full disk, which the error is of
        if event:
            learn_dir.add_event(event, now_s=time.time())
        learn_dir.end_attempt(time.time())
    return code


if __name__ == "__main__":
    sys.exit(main())
