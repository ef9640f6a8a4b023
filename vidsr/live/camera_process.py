"""`python -m vidsr.live.camera_process`: one camera, followed as the order on stdin says, its status on stdout."""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from functools import partial
from types import FrameType

from vidsr.errors import BUG, VidsrError, exit_code
from vidsr.live.camera_config import Order, parse
from vidsr.live.connection import Equipment
from vidsr.live.model_ladder import Rungs
from vidsr.live.reconnect import follow
from vidsr.live.status import State, Status
from vidsr.media.scale import upscale_bicubic
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_timestamps import Clock
from vidsr.pool import Pool, open_pool

log = logging.getLogger("vidsr.live.camera")

_BEAT_S = 1.0
_END_S = 8.0  # of the ten in which it has to be done


def main() -> int:
    """The exit code: 0 stopped in order, else that of the fault that ended it."""
    faulthandler.enable()
    order = parse(sys.stdin.readline())
    logging.basicConfig(level=order.level, format="%(message)s")
    process = _Process(order)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, process.stopped)
    threading.Thread(target=process.watch_owner, name="owner", daemon=True).start()
    try:
        process.run()
    except VidsrError as error:
        log.error("%s", error)
        return exit_code(error)
    return 0


class _Process:
    """The camera's process: other threads work and tell how it is while the first one waits for the end."""

    def __init__(self, order: Order) -> None:
        self._order, self._status = order, Status()
        self._stop = threading.Event()
        self._fault: Exception | None = None
        self._recorder: Recorder | None = None

    def stopped(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._stop.set()

    def watch_owner(self) -> None:
        """Stop when the supervisor is gone: nothing more is ever written to stdin."""
        sys.stdin.read()
        self._stop.set()

    def run(self) -> None:
        """Follow the camera. Raises VidsrError for what ended it, if it was not asked to."""
        order = self._order
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        rungs = Rungs(order.stream)
        with ExitStack() as stack:
            fallback = partial(upscale_bicubic, scale=rungs.scale)
            self._recorder = recorder = stack.enter_context(
                Recorder(
                    order.targets,
                    record=order.record,
                    encode=order.encode,
                    note=log.warning,
                    restarted=order.restarted,
                )
            )
            pool = stack.enter_context(open_pool(rungs.usual, order.pool, fallback=fallback))
            self._follow(rungs, recorder, pool)
        if self._fault:
            raise self._fault

    def _follow(self, rungs: Rungs, recorder: Recorder, pool: Pool) -> None:
        equipment = Equipment(
            order=self._order,
            pool=pool,
            rungs=rungs,
            recorder=recorder,
            status=self._status,
            clock=Clock(),
            stop=self._stop,
            say=log.warning,
        )
        thread = threading.Thread(target=self._work, args=(equipment,), name="following", daemon=True)
        thread.start()
        self._stop.wait()
        self._status.state = State.STOPPING
        thread.join(_END_S)

    def _work(self, equipment: Equipment) -> None:
        try:
            follow(equipment)
        except Exception as error:
            self._fault = error
        finally:
            self._stop.set()

    def _beat(self) -> None:
        """Tell how it is, from the first moment on: Ray may take long to start, and a silent process is killed."""
        while True:
            status, recorder = self._status, self._recorder
            if recorder:
                status.bytes_written, status.segments = recorder.bytes_written, recorder.segments
                status.targets, status.disk_free = recorder.states, recorder.disk_free
            try:
                print(status.line(), flush=True)
            except BrokenPipeError:
                self._stop.set()
                return
            time.sleep(_BEAT_S)


if __name__ == "__main__":
    try:
        code = main()
    except Exception:
        traceback.print_exc()
        code = BUG
    sys.stderr.flush()
    # A thread may still be in a read of FFmpeg, which nobody can end, and which must not be freed under it.
    os._exit(code)
