"""End-to-end runs: a whole command in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av

from peers.backends import BackendOptions, MissingBackendError

_TOOLS = Path(__file__).parent.parent


def run_command(key: str, clip: Path, options: BackendOptions, crf: int) -> dict[str, float]:
    """Frames per second of a backend, of the whole run and steady. Raises MissingBackendError where it fails."""
    target = clip.with_name("target.mp4")
    target.unlink(missing_ok=True)
    arguments = [key, options.model, clip, target, options.weights, options.threads, crf]
    path = os.pathsep.join(filter(None, [str(_TOOLS), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "peers.upscale_file", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "CI": "true"},  # CI: else OpenVINO waits for its telemetry
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:]
        raise MissingBackendError(f"{key}: the run ended with code {done.returncode}: {''.join(last_line)}")
    result = json.loads(done.stdout.splitlines()[-1])
    return {"command_fps": result["frames"] / seconds, "steady_fps": result["steady_fps"]}


def trim_clip(clip: Path, target: Path, frames: int) -> None:
    """Copy the first frames of a clip by stream copy, without audio and other streams."""
    with av.open(clip) as source, av.open(target, "w") as output:
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video)
        for packet in _first_packets(source.demux(video), frames):
            packet.stream = copy
            output.mux(packet)


def _first_packets(packets: Iterator[av.Packet], count: int) -> Iterator[av.Packet]:
    for packet, _ in zip(packets, range(count), strict=False):
        if packet.size:
            yield packet
