"""The reload of the file of cameras, in a process of its own: the supervisor loads no package of media or models."""

import logging
import os
import pickle
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidsr.live.config import CameraConfig, SupervisorConfig, module_command
from vidsr.redaction import Redactor

log = logging.getLogger(__name__)


class Reload:
    """Reads the cameras again. `pid` is that of the process that does, which the caller reaps; else None."""

    def __init__(self, config: SupervisorConfig, *, redactor: Redactor, run_dir: Path | None) -> None:
        """Previews go to `run_dir`, if any; `config` has a file."""
        self.pid: int | None = None
        self._config, self._redactor, self._run_dir = config, redactor, run_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._out = self._err = -1

    def start(self) -> None:
        """Begin to read; one that is still running is ended first."""
        if self._process:
            self._process.kill()
            self._close()
        command = [*module_command("vidsr.live.reload_process"), str(self._config.file), self._config.log_level]
        self._out, self._err = (os.memfd_create(f"vidsr-reload-{name}") for name in ("out", "err"))
        environment = {**os.environ, **self._config.hidden_environment}
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err, env=environment
            )
        except OSError as error:
            log.error("%s: cannot be read again: %s; nothing is changed", self._config.file, error.strerror)
            self._close()
            return
        self.pid = self._process.pid

    def result(self, code: int) -> tuple[CameraConfig, ...] | None:
        """The cameras, once the process was reaped; None for a bad file, whose faults are logged."""
        assert self._process
        self._process.returncode = code
        out, err = (os.pread(each, os.fstat(each).st_size, 0) for each in (self._out, self._err))
        self._close()
        if code:
            for line in err.decode(errors="replace").splitlines() or [f"its check ended with {code}"]:
                log.error("%s; nothing is changed", line)
            return None
        configs: tuple[CameraConfig, ...] = pickle.loads(out)
        add_secrets(self._redactor, configs)
        return tuple(with_preview_dirs(configs, self._run_dir))

    def _close(self) -> None:
        os.close(self._out)
        os.close(self._err)
        self._process = self.pid = None


def add_secrets(redactor: Redactor, configs: Sequence[CameraConfig]) -> None:
    """Have the secrets of the cameras masked."""
    urls = [url for config in configs for url in (config.source, *config.targets, config.main) if url]
    redactor.add(urls, shown=[config.name for config in configs])


def with_preview_dirs(configs: Sequence[CameraConfig], run_dir: Path | None) -> list[CameraConfig]:
    """The configurations, each with a preview directory in `run_dir`, if any."""
    if run_dir is None:
        return list(configs)
    for config in configs:
        (run_dir / config.name).mkdir(mode=0o700, exist_ok=True)
    return [replace(config, preview_dir=run_dir / config.name) for config in configs]
