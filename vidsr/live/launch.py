"""The start of the supervisor from the command line, without secrets in a command line or an environment."""

import os
import sys
from typing import NoReturn

from vidsr.live.config import SupervisorConfig, to_json


def module_command(module: str) -> list[str]:
    """The command that runs a module of vidsr in another Python, which ignores the current directory."""
    return [sys.executable, "-P", "-m", module]


def exec_supervisor(config: SupervisorConfig) -> NoReturn:
    """Replace this process by the supervisor, under the same process id. The configuration is passed in memory."""
    config_file = os.memfd_create("vidsr-config", flags=0)  # no flag: inherited by exec
    with open(config_file, "w", encoding="utf-8", closefd=False) as file:
        file.write(to_json(config))
    os.lseek(config_file, 0, os.SEEK_SET)
    sys.stdout.flush()
    sys.stderr.flush()
    command = [*module_command("vidsr.live"), str(config_file)]
    os.execve(command[0], command, _environment(config))


def _environment(config: SupervisorConfig) -> dict[str, str]:
    """The environment without variables that hold the URL of a source, and with our module search path."""
    secret = {config.source.text for config in config.cameras if config.source.scheme}
    kept = {name: value for name, value in os.environ.items() if value.strip() not in secret}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
