"""From the command line to the supervisor, without a secret in any command line or environment."""

import os
import sys
from typing import NoReturn

from vidsr.live.supervisor_config import Plan


def module_command(module: str) -> list[str]:
    """What runs a module of ours in another Python; what lies in the current folder is none of it."""
    return [sys.executable, "-P", "-m", module]


def become_supervisor(plan: Plan) -> NoReturn:
    """Replace this process by the supervisor, under the same process id. The plan goes along in memory."""
    plan_file = os.memfd_create("plan", flags=0)  # inherited
    with open(plan_file, "w", encoding="utf-8", closefd=False) as file:
        file.write(plan.line())
    os.lseek(plan_file, 0, os.SEEK_SET)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [*module_command("vidsr.live"), str(plan_file)]
    os.execve(command[0], command, _environment(plan))


def _environment(plan: Plan) -> dict[str, str]:
    """Our own, without variables that held an address, and with the modules to be found where they are here."""
    secret = {order.source.text for order in plan.cameras if order.source.scheme}
    kept = {name: value for name, value in os.environ.items() if value.strip() not in secret}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
