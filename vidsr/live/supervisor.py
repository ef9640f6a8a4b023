"""Watches over the processes of cameras, each by itself, until it is told to stop."""

import dataclasses
import logging
import selectors
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vidsr.cpu_affinity import describe_machine
from vidsr.errors import STOPPED
from vidsr.live.camera_config import Order
from vidsr.live.camera_handle import Child, Limits
from vidsr.live.camera_watchdog import Keeper, View
from vidsr.live.core_allocation import share_cores
from vidsr.live.signal_pipe import Wakeups
from vidsr.live.subreaper import adopt_orphans, kill_orphans, own_children, reaped
from vidsr.live.systemd import notify
from vidsr.private_tempdir import remove_stale
from vidsr.redaction import Secrets

log = logging.getLogger(__name__)

_TURN_S = 0.5
_KILLED_S = 3.0
"""How long dead processes are waited for: one that the disk holds up may take for ever."""


class Supervisor:
    """The cameras and their processes. `run` ends with none of these left."""

    def __init__(
        self, orders: Sequence[Order], *, command: Sequence[str], secrets: Secrets, limits: Limits = Limits()
    ) -> None:
        """`orders` have their folders; `command` is what starts the process of a camera."""
        self._limits = limits
        cores = share_cores(describe_machine(), len(orders))
        self._keepers = [
            Keeper(order, command=command, cpus=cpus, limits=limits, secrets=secrets)
            for order, cpus in zip(orders, cores, strict=True)
        ]
        self._selector = selectors.DefaultSelector()

    def views(self) -> list[View]:
        """What is known of each camera, from any thread."""
        return [keeper.view for keeper in self._keepers]

    def run(self, *, each_turn: Callable[[], None]) -> int:
        """The exit code: 0 when it was told to stop; that of the first camera when all have ended for good.

        A second signal kills at once; the code is then 128 and its number. `each_turn` is called twice a second.
        """
        adopt_orphans()
        with self._selector, Wakeups() as wakeups:
            self._selector.register(wakeups.socket, selectors.EVENT_READ)
            try:
                while not wakeups.stops:
                    each_turn()
                    self._tend()
                    self._turn(wakeups)
                    if all(keeper.code is not None for keeper in self._keepers):
                        return next(keeper.code for keeper in self._keepers if keeper.code is not None)
                return self._stop(wakeups)
            finally:
                self._kill_all(wakeups)

    def _tend(self) -> None:
        for keeper in self._keepers:
            if child := keeper.tend(time.monotonic()):
                remove_stale()
                self._listen(keeper, child)

    def _listen(self, keeper: Keeper, child: Child) -> None:
        def hear(line: str) -> None:
            keeper.hear(line, time.monotonic())

        for lines, take in ((child.out, hear), (child.err, keeper.relay)):
            self._selector.register(lines.pipe, selectors.EVENT_READ, (lines, take))

    def _turn(self, wakeups: Wakeups) -> None:
        """Wait for what comes, half a second at the most, and take it: lines, and the ends of processes."""
        for key, _ in self._selector.select(_TURN_S):
            if key.data is None:
                wakeups.drain()
                continue
            lines, take = key.data
            for line in lines.read():
                take(line)
            if lines.ended:
                self._selector.unregister(lines.pipe)
        self._bury()

    def _bury(self) -> None:
        """Reap what has ended, and end what it left behind."""
        by_pid = {keeper.child.pid: keeper for keeper in self._keepers if keeper.child}
        some = False
        for pid, code in reaped():
            some = True
            if keeper := by_pid.pop(pid, None):
                self._forget(keeper)
                keeper.ended(code, time.monotonic())
        if some:
            kill_orphans(by_pid)

    def _forget(self, keeper: Keeper) -> None:
        """Its pipes are about to be closed."""
        assert keeper.child
        mapping = self._selector.get_map()
        for lines in (keeper.child.out, keeper.child.err):
            if lines.pipe in mapping:
                self._selector.unregister(lines.pipe)

    def _stop(self, wakeups: Wakeups) -> int:
        """End in order: SIGTERM, and SIGKILL for what is left after a while or a second signal."""
        notify("STOPPING=1")
        log.info("stopping; open files are being finished (once more to give them up)")
        for keeper in self._keepers:
            keeper.stop()
        until = time.monotonic() + self._limits.stop_s
        while any(keeper.child for keeper in self._keepers):
            if len(wakeups.stops) > 1:
                return STOPPED + wakeups.stops[-1]
            if time.monotonic() > until:
                late = ", ".join(keeper.order.name for keeper in self._keepers if keeper.child)
                log.warning("killed, for it did not stop within %g s: %s", self._limits.stop_s, late)
                break
            self._turn(wakeups)
        return 0

    def _kill_all(self, wakeups: Wakeups) -> None:
        """No process is left, nor any below it."""
        for keeper in self._keepers:
            if keeper.child:
                keeper.child.kill()
        until = time.monotonic() + _KILLED_S
        while own_children() and time.monotonic() < until:
            kill_orphans([keeper.child.pid for keeper in self._keepers if keeper.child])
            self._turn(wakeups)


def with_folders(orders: Sequence[Order], run_folder: Path) -> list[Order]:
    """The orders, each with a new folder of its own in that of the run."""
    placed = []
    for order in orders:
        folder = run_folder / order.name
        folder.mkdir(mode=0o700)
        placed.append(dataclasses.replace(order, folder=folder))
    return placed
