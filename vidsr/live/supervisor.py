"""The supervisor: runs the processes of all cameras, each by its own watchdog, until it is stopped."""

import dataclasses
import logging
import selectors
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vidsr.cpu_affinity import describe_machine
from vidsr.errors import STOPPED
from vidsr.live.camera_handle import CameraHandle, Limits
from vidsr.live.camera_watchdog import CameraStatus, CameraWatchdog
from vidsr.live.config import CameraConfig
from vidsr.live.core_allocation import share_cores
from vidsr.live.signal_pipe import SignalPipe
from vidsr.live.subreaper import adopt_orphans, kill_orphans, own_children, reap
from vidsr.live.systemd import notify
from vidsr.private_tempdir import remove_stale
from vidsr.redaction import Redactor

log = logging.getLogger(__name__)

_TURN_S = 0.5
_KILLED_S = 3.0
"""The longest wait for killed processes: one in disk I/O may never end."""


class Supervisor:
    """The cameras and their processes. When `run` returns, no process is left."""

    def __init__(
        self, configs: Sequence[CameraConfig], *, command: Sequence[str], redactor: Redactor, limits: Limits = Limits()
    ) -> None:
        """`configs` have their `preview_dir` if previews are wanted; `command` starts the process of a camera."""
        self._limits = limits
        cores = share_cores(describe_machine(), len(configs))
        self._watchdogs = [
            CameraWatchdog(config, command=command, cpus=cpus, limits=limits, redactor=redactor)
            for config, cpus in zip(configs, cores, strict=True)
        ]
        self._selector = selectors.DefaultSelector()

    def statuses(self) -> list[CameraStatus]:
        """The status of each camera. Thread-safe."""
        return [watchdog.status for watchdog in self._watchdogs]

    def run(self, *, on_turn: Callable[[], None]) -> int:
        """The exit code: 0 after SIGINT or SIGTERM; that of the first camera when all have ended for good.

        A second signal kills at once; the code is then 128 plus its number. `on_turn` is called at least twice a
        second.
        """
        adopt_orphans()
        with self._selector, SignalPipe() as signals:
            self._selector.register(signals.socket, selectors.EVENT_READ)
            try:
                while not signals.stop_signals:
                    on_turn()
                    self._poll()
                    self._wait_events(signals)
                    if all(watchdog.code is not None for watchdog in self._watchdogs):
                        return next(watchdog.code for watchdog in self._watchdogs if watchdog.code is not None)
                return self._stop(signals)
            finally:
                self._kill_all(signals)

    def _poll(self) -> None:
        for watchdog in self._watchdogs:
            if process := watchdog.poll(time.monotonic()):
                remove_stale()
                self._register(watchdog, process)

    def _register(self, watchdog: CameraWatchdog, process: CameraHandle) -> None:
        def on_line(line: str) -> None:
            watchdog.on_line(line, time.monotonic())

        for lines, handle in ((process.out, on_line), (process.err, watchdog.relay)):
            self._selector.register(lines.pipe, selectors.EVENT_READ, (lines, handle))

    def _wait_events(self, signals: SignalPipe) -> None:
        """Wait for output, signals and ended processes, at most half a second, and handle them."""
        for key, _ in self._selector.select(_TURN_S):
            if key.data is None:
                signals.drain()
                continue
            lines, handle = key.data
            for line in lines.read():
                handle(line)
            if lines.ended:
                self._selector.unregister(lines.pipe)
        self._reap()

    def _reap(self) -> None:
        """Reap the ended processes, and kill their orphans."""
        by_pid = {watchdog.process.pid: watchdog for watchdog in self._watchdogs if watchdog.process}
        any_ended = False
        for pid, code in reap():
            any_ended = True
            if watchdog := by_pid.pop(pid, None):
                self._unregister(watchdog)
                watchdog.on_exit(code, time.monotonic())
        if any_ended:
            kill_orphans(by_pid)

    def _unregister(self, watchdog: CameraWatchdog) -> None:
        """Stop reading the pipes of a process, which are about to be closed."""
        assert watchdog.process
        mapping = self._selector.get_map()
        for lines in (watchdog.process.out, watchdog.process.err):
            if lines.pipe in mapping:
                self._selector.unregister(lines.pipe)

    def _stop(self, signals: SignalPipe) -> int:
        """Stop all processes: SIGTERM, then SIGKILL after the limit or a second signal."""
        notify("STOPPING=1")
        log.info("stopping; open files are being finished (signal again to abandon them)")
        for watchdog in self._watchdogs:
            watchdog.stop()
        until = time.monotonic() + self._limits.stop_s
        while any(watchdog.process for watchdog in self._watchdogs):
            if len(signals.stop_signals) > 1:
                return STOPPED + signals.stop_signals[-1]
            if time.monotonic() > until:
                late = ", ".join(watchdog.config.name for watchdog in self._watchdogs if watchdog.process)
                log.warning("killed after %g s without stopping: %s", self._limits.stop_s, late)
                break
            self._wait_events(signals)
        return 0

    def _kill_all(self, signals: SignalPipe) -> None:
        """Kill all processes that are left, and their children."""
        for watchdog in self._watchdogs:
            if watchdog.process:
                watchdog.process.kill()
        until = time.monotonic() + _KILLED_S
        while own_children() and time.monotonic() < until:
            kill_orphans([watchdog.process.pid for watchdog in self._watchdogs if watchdog.process])
            self._wait_events(signals)


def with_preview_dirs(configs: Sequence[CameraConfig], run_dir: Path) -> list[CameraConfig]:
    """The configurations, each with a new preview directory in `run_dir`."""
    result = []
    for config in configs:
        preview_dir = run_dir / config.name
        preview_dir.mkdir(mode=0o700)
        result.append(dataclasses.replace(config, preview_dir=preview_dir))
    return result
