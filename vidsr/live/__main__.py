"""`python -m vidsr.live FD`: the supervisor; `vidsr stream` becomes it, and passes the config in an open file."""

import faulthandler
import logging
import pickle
import sys
from contextlib import ExitStack
from functools import partial

from vidsr.errors import USAGE
from vidsr.live.config import SupervisorConfig, module_command
from vidsr.live.reload import Reload, add_secrets, with_preview_dirs
from vidsr.live.supervisor import Supervisor, notify
from vidsr.private_tempdir import private_tempdir
from vidsr.redaction import RedactingStream, Redactor

log = logging.getLogger("vidsr.live")


def main() -> int:
    """The exit code: 0 after a signal, 2 when the port of --http is taken, else the code of the camera processes."""
    faulthandler.enable()
    with open(int(sys.argv[1]), "rb") as file:
        config: SupervisorConfig = pickle.load(file)
    redactor = Redactor()
    add_secrets(redactor, config.cameras)
    sys.stderr = RedactingStream(sys.stderr, redactor)
    logging.basicConfig(level=config.log_level, format="vidsr: %(message)s")
    logging.getLogger("vidsr.live.camera_watchdog.output").setLevel(logging.INFO)
    with private_tempdir() as folder, ExitStack() as stack:
        run_dir = folder if config.http else None
        supervisor = Supervisor(
            with_preview_dirs(config.cameras, run_dir),
            command=module_command("vidsr.live.camera_process"),
            redactor=redactor,
            reload=Reload(config, redactor=redactor, run_dir=run_dir) if config.file else None,
        )
        if config.http:
            from vidsr.live.http_server import StatusServer  # imports prometheus_client, only needed here

            try:
                server = stack.enter_context(
                    StatusServer(
                        config.http,
                        statuses=supervisor.statuses,
                        preview_dir=folder,
                        configs=supervisor.configs,
                        hosts=config.http_hosts,
                        base=config.http_base,
                        users=config.http_users,
                    )
                )
                supervisor.helper_pids = lambda: server.helper_pids
            except OSError as error:
                log.error("cannot listen on %s:%d: %s", *config.http, error.strerror)
                return USAGE
        notify("READY=1")
        # The loop, which kills camera processes that hang, is watched by systemd.
        return supervisor.run(on_turn=partial(notify, "WATCHDOG=1"))


if __name__ == "__main__":
    sys.exit(main())
