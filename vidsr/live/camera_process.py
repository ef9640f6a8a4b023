"""`python -m vidsr.live.camera_process`: the process of one camera; reads its config from stdin, reports on stdout."""

import faulthandler
import json
import logging
import pickle
import signal
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from vidsr.child_process import exit_at_once
from vidsr.errors import ModelError, Stopped, TargetError, VidsrError, exit_code
from vidsr.learn_dir import LearnDir
from vidsr.live.config import CameraConfig
from vidsr.live.connection import CameraContext
from vidsr.live.learned_network import SceneWatch, load_scene_network
from vidsr.live.quality_ladder import ModelLadder
from vidsr.live.reconnect import run_reconnect_loop
from vidsr.live.status import State, Status
from vidsr.media.luma_merger import upscale_bicubic
from vidsr.media.sink.recorder import Recorder
from vidsr.media.source.live_timestamps import LiveTimeline
from vidsr.pool import Pool, open_pool

log = logging.getLogger("vidsr.live.camera")

_STATUS_S = 1.0
_JOIN_S = 8.0  # of the 10 s to SIGKILL


def main() -> int:
    """The exit code: 0 after a signal, else that of the error that ended the process."""
    faulthandler.enable()
    config: CameraConfig = pickle.load(sys.stdin.buffer)
    logging.basicConfig(level=config.log_level, format="%(message)s", force=True)  # OpenVINO may have done it before
    camera = _CameraMain(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, camera.on_signal)
    try:
        camera.run()
    except Stopped:
        return 0
    except VidsrError as error:
        if not isinstance(error.__cause__, BrokenPipeError):  # the supervisor says that nobody reads any more
            log.error("%s", error)
        return exit_code(error)
    return 0


class _CameraMain:
    """The main thread waits for the end; others work and report the status."""

    def __init__(self, config: CameraConfig) -> None:
        self._config, self._status = config, Status()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._scene, self._is_changed = SceneWatch(), threading.Event()
        self._recorder: Recorder | None = None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Stop."""
        self._stop.set()

    def _watch_owner(self, scale: int) -> None:
        """Follow what changes, a line of JSON on stdin each time; stop when the supervisor ends."""
        for line in sys.stdin.buffer:
            change = json.loads(line)
            if "learned" in change:
                self._take_learned(Path(change["learned"]) if change["learned"] else None, scale)
            if "neighbours" in change:
                neighbours = {Path(path): floor_gb for path, floor_gb in change["neighbours"].items()}
                self._config = replace(self._config, neighbours=neighbours)
                if self._recorder:
                    self._recorder.set_neighbours(neighbours)
        self._stop.set()

    def _take_learned(self, folder: Path | None, scale: int) -> None:
        """Use the learned network in this folder, none for None; one that cannot be used is given up."""
        try:
            self._scene.take(load_scene_network(folder, scale) if folder else None)
        except ModelError as error:
            log.warning("%s; the general network is used", error)
            self._scene.take(None)
            if folder and self._config.learn_dir:
                with suppress(TargetError):  # the next start reports it again
                    LearnDir(self._config.learn_dir).give_up(folder.name, str(error), now_s=time.time())

    def run(self) -> None:
        """Run until a stop is requested. Raises the error that ended the work before."""
        config = self._config
        threading.Thread(target=self._report_status, name="status", daemon=True).start()
        models = ModelLadder(config.stream)
        self._take_learned(config.learned, models.scale)  # before what the supervisor has changed since
        threading.Thread(target=self._watch_owner, args=(models.scale,), name="owner", daemon=True).start()
        with ExitStack() as stack:
            fallback = partial(upscale_bicubic, scale=models.scale)
            self._recorder = recorder = stack.enter_context(
                Recorder(
                    config.targets,
                    record=config.record,
                    encode=config.encode,
                    on_warning=log.warning,
                    neighbours=config.neighbours,
                    camera=config.name,
                )
            )
            starting = open_pool(models.default, config.pool, fallback=fallback, should_stop=self._stop.is_set)
            pool = stack.enter_context(starting)
            self._follow(models, recorder, pool)
        if self._error:
            raise self._error

    def _follow(self, models: ModelLadder, recorder: Recorder, pool: Pool) -> None:
        context = CameraContext(
            config=self._config,
            pool=pool,
            models=models,
            recorder=recorder,
            scene=self._scene,
            status=self._status,
            timeline=LiveTimeline(),
            stop=self._stop,
            on_warning=self._warn,
        )
        thread = threading.Thread(target=self._run_loop, args=(context,), name="reconnect", daemon=True)
        thread.start()
        self._stop.wait()
        self._status.state = State.STOPPING
        thread.join(_JOIN_S)

    def _warn(self, sentence: str) -> None:
        """Log it, and report the status at once: the ladder may have changed its rung."""
        log.warning(sentence)
        self._is_changed.set()

    def _run_loop(self, context: CameraContext) -> None:
        try:
            run_reconnect_loop(context)
        except Exception as error:
            self._error = error
        finally:
            self._stop.set()

    def _report_status(self) -> None:
        """Print the status, from the first moment on: Ray may start slowly, and a silent process is killed."""
        while True:
            status, recorder = self._status, self._recorder
            if recorder:
                status.bytes_written, status.segments = recorder.bytes_written, recorder.segments
                status.targets, status.disk_free = recorder.target_states, recorder.disk_free
            try:
                print(status.to_json(), flush=True)
            except BrokenPipeError:
                self._stop.set()
                return
            self._is_changed.wait(_STATUS_S)
            self._is_changed.clear()


if __name__ == "__main__":
    exit_at_once(main)
