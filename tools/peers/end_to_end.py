"""Whole commands, each in a process of its own, from its start to its end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av

from peers.backends import MissingPeerError, Setting

_TOOLS = Path(__file__).parent.parent


def run_command(key: str, clip: Path, setting: Setting, crf: int) -> dict[str, float]:
    """Frames a second of one way: with its start and its end, and half-way. Raises MissingPeerError when it fails."""
    target = clip.with_name("target.mp4")
    target.unlink(missing_ok=True)
    given = [key, setting.model, clip, target, setting.weights, setting.threads, crf]
    path = os.pathsep.join(filter(None, [str(_TOOLS), os.environ.get("PYTHONPATH")]))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "peers.runner", *map(str, given)],
        env={**os.environ, "PYTHONPATH": path, "CI": "true"},  # or OpenVINO's converter waits for its telemetry
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise MissingPeerError(f"{key}: its command ended with {done.returncode}: {''.join(said)}")
    told = json.loads(done.stdout.splitlines()[-1])
    return {"command_fps": told["frames"] / seconds, "steady_fps": told["steady_fps"]}


def cut(clip: Path, target: Path, frames: int) -> None:
    """The first frames of a clip, without encoding them again and without what is beside them."""
    with av.open(clip) as source, av.open(target, "w") as output:
        video = source.streams.video[0]
        copy = output.add_stream_from_template(video)
        for packet in _first(source.demux(video), frames):
            packet.stream = copy
            output.mux(packet)


def _first(packets: Iterator[av.Packet], count: int) -> Iterator[av.Packet]:
    for packet, _ in zip(packets, range(count), strict=False):
        if packet.size:
            yield packet
