"""The supervisor: runs the processes of all cameras, each by its own watchdog, until it is stopped."""

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from vidsr.child_process import adopt_orphans, children_of
from vidsr.cpu import describe_machine
from vidsr.errors import STOPPED, TARGET
from vidsr.live.camera_handle import CameraHandle, Limits, kill
from vidsr.live.camera_watchdog import REPLACED, CameraStatus, CameraWatchdog
from vidsr.live.config import CameraConfig, only_pipe
from vidsr.live.core_allocation import share_cores
from vidsr.live.health import Health, camera_health
from vidsr.live.learning_scheduler import LearningScheduler
from vidsr.live.reload import Reload
from vidsr.live.signal_pipe import SignalPipe
from vidsr.private_tempdir import remove_stale
from vidsr.redaction import Redactor
from vidsr.versions import InstalledCode


def reap() -> Iterator[tuple[int, int]]:
    """The process ids and exit codes (-n: killed by signal n) of ended children."""
    with suppress(ChildProcessError):  # no children at all
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            yield ended[0], os.waitstatus_to_exitcode(ended[1])


def kill_orphans(known: Container[int | None]) -> None:
    """Send SIGKILL to all children that are not in `known`: they were adopted from a dead parent.

    Their own children are adopted in turn: call it again after each child that ended.
    """
    for pid in children_of(os.getpid()):
        if pid not in known:
            kill(pid)


def notify(state: str) -> None:
    """Send "READY=1", "WATCHDOG=1" or another state to systemd; does nothing without NOTIFY_SOCKET."""
    if not (path := os.environ.get("NOTIFY_SOCKET")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect("\0" + path[1:] if path.startswith("@") else path)
        sender.send(state.encode())


log = logging.getLogger(__name__)

_TURN_S = 0.5
_READER = "reader"  # marks the standard output among what is waited for
_KILLED_S = 3.0
"""The longest wait for killed processes: one in disk I/O may never end."""


class Supervisor:
    """The cameras and their processes. When `run` returns, no process is left."""

    def __init__(
        self,
        configs: Sequence[CameraConfig],
        *,
        command: Sequence[str],
        redactor: Redactor,
        limits: Limits = Limits(),
        reload: Reload | None = None,
    ) -> None:
        """`configs` have their `preview_dir` if previews are wanted; `command` starts the process of a camera."""
        self._limits, self._reload = limits, reload
        self._installed = InstalledCode()
        self._new_watchdog = partial(
            CameraWatchdog, command=command, limits=limits, redactor=redactor, installed=self._installed
        )
        cores = share_cores(describe_machine(), len(configs))
        self._watchdogs = [self._new_watchdog(config, cpus=cpus) for config, cpus in zip(configs, cores, strict=True)]
        self._leaving: list[CameraWatchdog] = []
        """Those whose cameras were removed or changed, while their processes end."""
        self._leave_until = 0.0
        self._selector = selectors.DefaultSelector()
        self._health: dict[str, Health] = {}
        self._learning = LearningScheduler(configs=self.configs, statuses=self.statuses)
        self.helper_pids: Callable[[], Sequence[int]] = tuple
        """Returns the ids of the caller's own children, which are no orphans."""

    def statuses(self) -> list[CameraStatus]:
        """The status of each camera. Thread-safe."""
        return [watchdog.status for watchdog in self._watchdogs]

    def configs(self) -> list[CameraConfig]:
        """The configuration of each camera. Thread-safe."""
        return [watchdog.config for watchdog in self._watchdogs]

    def run(self, *, on_turn: Callable[[], None]) -> int:
        """The exit code: 0 after SIGINT or SIGTERM; that of the first camera when all have ended for good.

        SIGHUP has the file of cameras read again; without a file it stops, too, and the code is 129. The end of the
        program that reads the standard output stops, too, and the code is 4.

        A second signal kills at once; the code is then 128 plus its number. `on_turn` is called at least twice a
        second.
        """
        adopt_orphans()
        self._watch_reader()
        with self._selector, self._learning, SignalPipe(reloads=self._reload is not None) as signals:
            self._selector.register(signals.socket, selectors.EVENT_READ)
            try:
                while not signals.stop_signals:
                    on_turn()
                    if self._reload and signals.reload_asked:
                        signals.reload_asked = False
                        self._begin_reload(self._reload)
                    self._poll()
                    self._send_learned()
                    self._wait_events(signals)
                    if all(watchdog.code is not None for watchdog in self._watchdogs):
                        return next(watchdog.code for watchdog in self._watchdogs if watchdog.code is not None)
                return self._stop(signals)
            finally:
                self._kill_all(signals)

    def _watch_reader(self) -> None:
        """Have the end of the program that reads the standard output stop all, where there is no other target."""
        for pipe in filter(None, map(only_pipe, self.configs())):
            with suppress(PermissionError):  # a file on a disk
                self._selector.register(pipe, selectors.EVENT_READ, _READER)

    def _update(self, configs: Sequence[CameraConfig]) -> None:
        """Run these cameras from now on; the processes of unchanged ones go on."""
        before = {watchdog.config.name: watchdog for watchdog in self._watchdogs}
        watchdogs, unchanged = list[CameraWatchdog](), list[str]()
        cores = share_cores(describe_machine(), len(configs))
        for config, cpus in zip(configs, cores, strict=True):
            old = before.get(config.name)
            if old and old.config.learn_dir == config.learn_dir:
                config = replace(config, learned=old.config.learned)
            if old and old.code is None and old.config.is_same_camera(config):
                old.send_neighbours(config.neighbours)
                unchanged.append(config.name)
            watchdogs.append(old if old and config.name in unchanged else self._new_watchdog(config, cpus=cpus))
        leaving = [watchdog for name, watchdog in before.items() if name not in unchanged]
        for watchdog in leaving:
            watchdog.stop()
        self._watchdogs, self._leaving = watchdogs, self._leaving + leaving
        self._leave_until = time.monotonic() + self._limits.stop_s
        self._health = {name: health for name, health in self._health.items() if name in unchanged}
        ended = ", ".join(watchdog.config.name for watchdog in leaving) or "none"
        begun = ", ".join(config.name for config in configs if config.name not in unchanged) or "none"
        log.warning("the cameras are read again; ended: %s; begun: %s; the others go on", ended, begun)

    def _send_learned(self) -> None:
        changes = self._learning.take_changes()
        for watchdog in self._watchdogs:
            if watchdog.config.name in changes:
                watchdog.send_learned(changes[watchdog.config.name])

    def _poll(self) -> None:
        self._leaving = [watchdog for watchdog in self._leaving if watchdog.process]
        for watchdog in self._leaving:
            if time.monotonic() > self._leave_until and watchdog.process:
                watchdog.process.kill()
        for watchdog in self._watchdogs:
            now = time.monotonic()
            if not watchdog.process and self._must_wait(watchdog, now):
                continue
            if process := watchdog.poll(now):
                remove_stale()
                self._register(watchdog, process)
            self._log_health(watchdog.status, now)

    def _must_wait(self, watchdog: CameraWatchdog, now: float) -> bool:
        """Whether a process that is to end may still write the targets of this camera.

        One that SIGKILL does not end, as where a disk hangs, holds up its own camera and targets only.
        """
        if now <= self._leave_until + _KILLED_S:
            return bool(self._leaving)
        own = {watchdog.config.name, *watchdog.config.targets}
        return any(own & {left.config.name, *left.config.targets} for left in self._leaving)

    def _log_health(self, status: CameraStatus, now: float) -> None:
        """Log the health of a camera when it changes."""
        health = camera_health(status, now)
        before, self._health[status.name] = self._health.get(status.name), health.state
        if before not in (None, health.state):
            level = logging.INFO if health.state is Health.OK else logging.WARNING
            log.log(level, "%s: %s", status.name, "; ".join([health.state, *health.reasons]))

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
            if key.data is _READER:
                self._selector.unregister(key.fileobj)
                log.error("standard output: the program that reads it has ended")
                signals.stop_signals.append(signal.SIGPIPE)
                continue
            lines, handle = key.data
            for line in lines.read():
                handle(line)
            if lines.ended:
                self._selector.unregister(lines.pipe)
        self._reap()

    def _reap(self) -> None:
        """Reap the ended processes, and kill their orphans."""
        by_pid = {watchdog.process.pid: watchdog for watchdog in self._all() if watchdog.process}
        any_ended = False
        for pid, code in reap():
            any_ended = True
            if self._reload and pid == self._reload.pid:
                self._end_reload(code)
            elif watchdog := by_pid.pop(pid, None):
                self._unregister(watchdog)
                watchdog.on_exit(code, time.monotonic())
            else:
                self._learning.on_exit(pid, code)
        if any_ended:
            with self._learning.starting:
                own = *by_pid, self._reload.pid if self._reload else None, *self._learning.pids(), *self.helper_pids()
                kill_orphans(own)

    def _begin_reload(self, reload: Reload) -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if self._installed.is_replaced():  # which may have other settings
            log.error("%s; nothing is changed", REPLACED)
        else:
            reload.start()
        if reload.pid is None:
            notify("READY=1")

    def _end_reload(self, code: int) -> None:
        assert self._reload
        if (configs := self._reload.result(code)) is not None:
            self._update(configs)
        notify("READY=1")

    def _all(self) -> list[CameraWatchdog]:
        return [*self._watchdogs, *self._leaving]

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
        self._learning.stop()
        for watchdog in self._all():
            watchdog.stop()
        until = time.monotonic() + self._limits.stop_s
        while any(watchdog.process for watchdog in self._all()):
            if len(signals.stop_signals) > 1:
                return STOPPED + signals.stop_signals[-1]
            if time.monotonic() > until:
                late = ", ".join(watchdog.config.name for watchdog in self._all() if watchdog.process)
                log.warning("killed after %g s without stopping: %s", self._limits.stop_s, late)
                break
            self._wait_events(signals)
        first = signals.stop_signals[0]
        return {signal.SIGHUP: STOPPED + signal.SIGHUP, signal.SIGPIPE: TARGET}.get(signal.Signals(first), 0)

    def _kill_all(self, signals: SignalPipe) -> None:
        """Kill all processes that are left, and their children."""
        for watchdog in self._all():
            if watchdog.process:
                watchdog.process.kill()
        until = time.monotonic() + _KILLED_S
        while any(children_of(os.getpid())) and time.monotonic() < until:
            kill_orphans([watchdog.process.pid for watchdog in self._all() if watchdog.process])
            self._wait_events(signals)
