"""Notifications to systemd from a service of Type=notify."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send "READY=1", "WATCHDOG=1" or another state to systemd; does nothing without NOTIFY_SOCKET."""
    if not (path := os.environ.get("NOTIFY_SOCKET")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect("\0" + path[1:] if path.startswith("@") else path)
        sender.send(state.encode())
