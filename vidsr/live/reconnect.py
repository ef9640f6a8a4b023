"""Following a camera: connected to it, or about to be, until it is time to stop."""

import time
from contextlib import ExitStack

from vidsr.errors import SourceLost
from vidsr.live.backoff import Backoff
from vidsr.live.connection import Connection, Equipment
from vidsr.live.packet_reader import Intake
from vidsr.live.status import State

_BUSY_S, _IDLE_S = 0.004, 0.1
"""How long to wait for a packet: while pictures are in work, and else."""


def follow(equipment: Equipment) -> None:
    """Connect for ever, with pauses, until `equipment.stop` is set.

    Raises SourceError for a source that will never do, and, where it is to fail fast, at the first loss; WorkerError
    when the pool cannot go on.
    """
    backoff, stop, status = Backoff(), equipment.stop, equipment.status
    while not stop.is_set():
        status.state, before = State.CONNECTING, status.connects
        began = time.monotonic()
        try:
            _connect(equipment)
            return
        except SourceLost as error:
            if equipment.order.stream.fail_fast:
                raise
            if status.connects > before:
                backoff.good(time.monotonic() - began)
            pause_s = backoff.next_s(slow=error.slow)
            status.state, status.reason = State.WAITING, f"{error}; the next attempt is in {pause_s:.0f} s"
            equipment.say(status.reason)
            error.__traceback__ = None  # the connection, its decoder and threads, which would hold the error in turn
        stop.wait(pause_s)


def _connect(equipment: Equipment) -> None:
    """One connection, from asking for it to its loss, which is raised, or to the time to stop."""
    order, stop = equipment.order, equipment.stop
    with Intake(order.source, order.stream) as intake, ExitStack() as stack:
        connection: Connection | None = None
        while not stop.is_set():
            waiting = intake.backlog.get(_BUSY_S if connection and connection.busy else _IDLE_S)
            if waiting and connection is None:
                assert intake.camera
                connection = stack.enter_context(Connection(equipment, intake.camera, intake.backlog))
            if connection:
                connection.take(waiting)
