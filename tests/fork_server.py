"""Python processes that begin with vidsr imported: a server has done it once, and forks a process per command.

A start of `python -m vidsr` is mostly imports, some 0.4 s. Those that are forked have a pid, standard streams, an
environment, a current directory, signals, an end and an exit code like others; but not their command line in /proc.
What a test says of the start itself, or with another PYTHONPATH, needs a Python of its own.
"""

import atexit
import gc
import importlib
import inspect
import io
import json
import os
import resource
import runpy
import select
import socket
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_PRELOADED = (
    *("vidsr.cli.upscale", "vidsr.cli.stream", "vidsr.cli.info"),
    *("vidsr.learning.collector", "vidsr.learning.process_setup"),
)
_BYTES = 1 << 17  # of a request
_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")

# The process that asks


class ForkedPython(subprocess.Popen):  # type: ignore[type-arg]
    """Popen of [sys.executable, "-m" or "-c", ...], by the server of this process."""

    def _execute_child(self, *arguments: object) -> None:
        given = inspect.signature(super()._execute_child).bind(*arguments).arguments  # type: ignore[misc]
        _, kind, program, *words = map(os.fsdecode, given["args"])
        job = {
            "kind": kind,
            "words": [program, *words],
            "cwd": os.fsdecode(given["cwd"] or os.getcwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": given["start_new_session"],
            "file_limit": resource.getrlimit(resource.RLIMIT_FSIZE),
        }
        ends = [given[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [number if end == -1 else end for number, end in enumerate(ends)]
        self._status, status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with status:
            socket.send_fds(_server(), [json.dumps(job).encode()], [*streams, status.fileno()])
        self.pid = int(self._status.recv(32))
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in _ENDS))  # type: ignore[attr-defined]

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self._wait(None)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int(self._status.recv(32)))
            self._status.close()
        return self.returncode


def run_forked(command: list[Any], *, timeout: float = 100, **options: Any) -> subprocess.CompletedProcess[Any]:
    """subprocess.run of such a command, with its output."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ForkedPython(command, **{**pipes, **options}) as process:
        try:
            printed = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        return subprocess.CompletedProcess(command, process.returncode, *printed)


@cache
def _server() -> socket.socket:
    """The way to the server, which ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        its.set_inheritable(True)
        os.posix_spawn(sys.executable, [sys.executable, __file__, str(its.fileno())], os.environ)
    atexit.register(ours.close)
    return ours


# The server


def _serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a process per request, and report its pid and how it has ended; returns in these processes only."""
    ends: dict[int, tuple[int, int]] = {}  # the descriptor of a process: its pid, and whom to tell
    while True:
        for ready in select.select([requests, *ends], [], [])[0]:
            if ready is requests:
                data, received, _, _ = socket.recv_fds(requests, _BYTES, 4)
                if not data:
                    os._exit(0)
                if (pid := os.fork()) == 0:
                    _close([requests.detach(), *ends, *(asker for _, asker in ends.values()), received.pop()])
                    return {**json.loads(data), "streams": received}
                *streams, asker = received
                _close(streams)
                os.write(asker, b"%d" % pid)
                ends[os.pidfd_open(pid)] = pid, asker
            else:
                pid, asker = ends.pop(ready)
                os.write(asker, b"%d" % os.waitpid(pid, 0)[1])
                _close([ready, asker])


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _become(job: dict[str, Any]) -> None:
    """Make of this process what the request asks for."""
    if job["new_session"]:
        os.setsid()
    for number, descriptor in enumerate(job["streams"]):
        os.dup2(descriptor, number)
        _reopen(number)
    _close(job["streams"])
    resource.setrlimit(resource.RLIMIT_FSIZE, job["file_limit"])
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.path[:2] = [job["cwd"] if job["kind"] == "-m" else ""]


def _reopen(number: int) -> None:
    """Make a standard stream anew, which knows of what it was made first whether it can seek."""
    name = ("stdin", "stdout", "stderr")[number]
    text = getattr(sys, name)
    raw = io.FileIO(number, "w" if number else "r", closefd=False)
    stream = io.TextIOWrapper(
        io.BufferedWriter(raw) if number else io.BufferedReader(raw),
        text.encoding,
        text.errors,
        "\n" if number else None,
        text.line_buffering,
        text.write_through,
    )
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _run(kind: str, program: str, *words: str) -> None:
    sys.argv[:] = [kind, *words]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(main))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for name in _PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(asked)
    _run(asked["kind"], *asked["words"])
