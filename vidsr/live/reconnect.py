"""The reconnect loop of a camera."""

import time
from contextlib import ExitStack, suppress

from vidsr.errors import SourceLost
from vidsr.live.camera_watchdog import Backoff
from vidsr.live.connection import CameraContext, Connection
from vidsr.live.packet_queue import PacketReader
from vidsr.live.status import State

_RESET_S = 10.0
"""Seconds of a connection after which the pauses start from the shortest again: of a flaky camera much is recorded."""
_BUSY_S, _IDLE_S = 0.004, 0.1
"""The wait for a packet: while frames are being upscaled, and otherwise."""
_REST_S = 3.0  # of the 8 s in which the process of a camera finishes its files


def run_reconnect_loop(context: CameraContext) -> None:
    """Connect, and reconnect after pauses, until `context.stop` is set.

    Raises SourceError for a source that can never work; SourceLost at the first loss with `fail_fast`; WorkerError
    when the pool cannot go on.
    """
    backoff, stop, status = Backoff(reset_s=_RESET_S), context.stop, context.status
    while not stop.is_set():
        status.state, before = State.CONNECTING, status.connects
        began = time.monotonic()
        try:
            _connect(context)
            return
        except SourceLost as error:
            if context.config.stream.fail_fast:
                raise
            if status.connects > before:  # and a file that was played to its end is played again at once
                backoff.on_success(_RESET_S if context.config.source.is_file else time.monotonic() - began)
            pause_s = backoff.next_s(slow=error.slow)
            status.state, status.reason = State.WAITING, f"{error}; the next attempt is in {pause_s:.0f} s"
            context.on_warning(status.reason)
            error.__traceback__ = None  # it refers to the connection, its decoder and its threads, in a cycle
        stop.wait(pause_s)


def _connect(context: CameraContext) -> None:
    """One connection, until the source is lost, which raises SourceLost, or until the stop event."""
    config, stop = context.config, context.stop
    with PacketReader(config.source, config.stream) as reader, ExitStack() as stack:
        connection: Connection | None = None
        while not stop.is_set():
            queued = reader.queue.get(_BUSY_S if connection and connection.is_busy else _IDLE_S)
            if queued and connection is None:
                assert reader.source
                connection = stack.enter_context(Connection(context, reader.source, reader.queue))
            if connection:
                connection.process(queued)
        if connection:
            _process_rest(connection, reader)


def _process_rest(connection: Connection, reader: PacketReader) -> None:
    """Process the packets that arrived before a stop; those too many are dropped, as under load."""
    reader.stop()
    until = time.monotonic() + _REST_S
    with suppress(SourceLost):
        while queued := reader.queue.get(0):
            if time.monotonic() > until:
                reader.queue.drop("late")
            connection.process(queued)
