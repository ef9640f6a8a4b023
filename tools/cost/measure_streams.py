"""Live sources side by side, as `vidsr stream` keeps them: files that are played at their own speed."""

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

from cost.process_monitor import Tree, machine_s

_SAMPLE = re.compile(r"(\w+?)(?:_total)?(?:\{(.*)\})? (\S+)")
_START_S, _STOP_S = 60.0, 30.0
_WARM_S = 10.0
"""Until the ladder has found its rung."""


def cameras(clip: Path, count: int, *, seconds: float, folder: Path) -> dict[str, object]:
    """What so many cameras cost, watched for `seconds` once all flow; a camera's frames by what enlarged them.

    The clip must last for as long as that and half a minute more. Raises SystemExit when they do not flow.
    """
    config, port = folder / "cameras.toml", _free_port()
    config.write_text(
        "[defaults]\nrealtime = true\nworkers = 0\n" + "".join(_table(clip, n, folder) for n in range(count))
    )
    command = [sys.executable, "-m", "vidsr", "stream", "-q", "--config", str(config), "--http", f"127.0.0.1:{port}"]
    with subprocess.Popen(command) as process:
        try:
            _until_all_flow(port, count, process)
            time.sleep(min(_WARM_S, seconds))
            tree, before, began, machine = Tree(process.pid), _metrics(port), time.perf_counter(), machine_s()
            tree.look()
            tree.forget_work()
            while time.perf_counter() < began + seconds:
                time.sleep(0.5)
                tree.look()
            after, passed = _metrics(port), time.perf_counter() - began
            seen = tree.seen("", passed, machine_s() - machine)
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S)
            _end(process)
    gained = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {
        "cameras": count,
        "seconds": round(passed, 1),
        "fps_in_each": round(_sum(gained, "vidsr_frames_in") / passed / count, 1),
        "fps_out_each": round(_sum(gained, "vidsr_frames_written") / passed / count, 1),
        "enlarged": _by(gained, "vidsr_frames_enlarged", "rung"),
        "dropped": _by(gained, "vidsr_frames_dropped", "reason"),
        "peak_mb": seen.peak_mb,
        "cores": seen.cores,
        "others": seen.others,
        "processes": seen.processes,
    }


def _table(clip: Path, number: int, folder: Path) -> str:
    return f'[cameras.c{number}]\nsource = "{clip}"\ntargets = ["{folder}/camera{number}"]\n'


def _until_all_flow(port: int, count: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_S
    while sum(value > 0 for name, value in _metrics(port).items() if name.startswith("vidsr_frames_written")) < count:
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("vidsr stream: the cameras do not flow")
        time.sleep(0.2)


def _metrics(port: int) -> dict[str, float]:
    """Every sample by its name and labels; none while nobody answers."""
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


def _by(samples: dict[str, float], name: str, label: str) -> dict[str, int]:
    """The sums over all cameras, by a label's values; those that are not 0."""
    sums: dict[str, int] = {}
    for key, value in samples.items():
        if key.split()[0] == name and value and (found := re.search(rf'{label}="([^"]*)"', key)):
            sums[found[1]] = sums.get(found[1], 0) + int(value)
    return sums


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Nothing of it is left, whatever state it was in."""
    if process.poll() is None:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            with suppress(psutil.Error):
                one.kill()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
