"""Several cameras in one `vidsr stream`: files that are read in real time."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from cost.process_monitor import ProcessTree, machine_cpu_s

_SAMPLE = re.compile(r"(\w+?)(?:_total)?(?:\{(.*)\})? (\S+)")
_START_S, _STOP_S = 60.0, 30.0
_WARM_S = 10.0
"""For the quality ladder to settle on a rung."""


def measure_cameras(clip: Path, count: int, *, seconds: float, folder: Path) -> dict[str, object]:
    """The usage of `count` cameras over `seconds` after start-up, with frames per rung.

    The clip must be at least half a minute longer than `seconds`. Raises SystemExit where a camera does not start.
    """
    config, port = folder / "cameras.toml", _free_port()
    config.write_text(
        "[defaults]\nrealtime = true\nworkers = 0\n" + "".join(_table(clip, n, folder) for n in range(count))
    )
    command = [sys.executable, "-m", "vidsr", "stream", "-q", "--config", str(config), "--http", f"127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:
        try:
            _wait_for_frames(port, count, process)
            time.sleep(min(_WARM_S, seconds))
            tree, before = ProcessTree(process.pid), _metrics(port)
            began, machine = time.perf_counter(), machine_cpu_s()
            tree.sample()
            tree.reset_cpu()
            while time.perf_counter() < began + seconds:
                time.sleep(0.5)
                tree.sample()
            after, passed = _metrics(port), time.perf_counter() - began
            usage = tree.usage("", passed, machine_cpu_s() - machine)
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            _kill(process)
    delta = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {
        "cameras": count,
        "seconds": round(passed, 1),
        "fps_in_each": round(_sum(delta, "vidsr_frames_in") / passed / count, 1),
        "fps_out_each": round(_sum(delta, "vidsr_frames_written") / passed / count, 1),
        "upscaled": _sums_by_label(delta, "vidsr_frames_upscaled", "rung"),
        "dropped": _sums_by_label(delta, "vidsr_frames_dropped", "reason"),
        **{name: getattr(usage, name) for name in ("peak_mb", "cores", "others", "processes")},
    }


def _table(clip: Path, number: int, folder: Path) -> str:
    return f'[cameras.c{number}]\nsource = "{clip}"\ntargets = ["{folder}/camera{number}"]\n'


def _wait_for_frames(port: int, count: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while sum(value > 0 for name, value in _metrics(port).items() if name.startswith("vidsr_frames_written")) < count:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("vidsr stream: not all cameras deliver frames")
        time.sleep(0.2)


def _metrics(port: int) -> dict[str, float]:
    """Samples by name and labels; empty while the server does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    except (OSError, http.client.HTTPException):
        return {}
    finally:
        connection.close()
    found = filter(None, map(_SAMPLE.fullmatch, lines))
    return {f"{sample[1]} {sample[2] or ''}": float(sample[3]) for sample in found}


def _sum(samples: dict[str, float], name: str) -> float:
    return sum(value for key, value in samples.items() if key.split()[0] == name)


def _sums_by_label(samples: dict[str, float], name: str, label: str) -> dict[str, int]:
    """The sums over all cameras by the values of a label, without zeros."""
    sums: dict[str, int] = {}
    for key, value in samples.items():
        if key.split()[0] == name and value and (found := re.search(rf'{label}="([^"]*)"', key)):
            sums[found[1]] = sums.get(found[1], 0) + int(value)
    return sums


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its descendants where it still runs."""
    if process.poll() is None:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            with suppress(psutil.Error):
                one.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
