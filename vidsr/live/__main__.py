"""`python -m vidsr.live FD`: the supervisor, as `vidsr stream` replaces itself by it, the plan in an open file."""

import faulthandler
import logging
import sys
from contextlib import ExitStack

from vidsr.errors import USAGE
from vidsr.live.launch import module_command
from vidsr.live.supervisor import Supervisor, with_folders
from vidsr.live.supervisor_config import parse_plan
from vidsr.live.systemd import notify
from vidsr.private_tempdir import private_tempdir
from vidsr.redaction import CleanWriter, Secrets

log = logging.getLogger("vidsr.live")


def main() -> int:
    """The exit code: 0 stopped in order, 2 the port of --http is taken, else as the processes of the cameras end."""
    faulthandler.enable()
    with open(int(sys.argv[1]), encoding="utf-8") as file:
        plan = parse_plan(file.read())
    addresses = [address for order in plan.cameras for address in (order.source, *order.targets)]
    secrets = Secrets(addresses, shown=[order.name for order in plan.cameras])
    sys.stderr = CleanWriter(sys.stderr, secrets)
    logging.basicConfig(level=plan.level, format="vidsr: %(message)s")
    logging.getLogger("vidsr.live.camera_watchdog.voice").setLevel(logging.INFO)
    with private_tempdir() as folder, ExitStack() as stack:
        orders = with_folders(plan.cameras, folder) if plan.http else plan.cameras
        supervisor = Supervisor(orders, command=module_command("vidsr.live.camera_process"), secrets=secrets)
        if plan.http:
            from vidsr.live.health import HealthServer  # with prometheus_client, which not every supervisor needs

            try:
                stack.enter_context(HealthServer(plan.http, views=supervisor.views, folder=folder))
            except OSError as error:
                log.error("%s:%d: cannot be listened at: %s", *plan.http, error.strerror)
                return USAGE
        notify("READY=1")
        return supervisor.run(each_turn=_alive)


def _alive() -> None:
    """The loop turns: what hangs below it, it kills itself."""
    notify("WATCHDOG=1")


if __name__ == "__main__":
    sys.exit(main())
