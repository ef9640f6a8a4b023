"""Cameras that have collected moments of a drawn scene, and networks that have forgotten half of what they knew."""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fork_server import ForkedPython
from numpy.typing import NDArray
from recordings import RATE, record, smaller

from vidsr.learn_dir import MOMENT_MAIN, MOMENT_SOURCE, LearnDir, Moment
from vidsr.live.config import CameraConfig
from vidsr.model.weights import save_weights
from vidsr.model.zoo import load_model
from vidsr.settings import LearnSettings, StreamSettings
from vidsr.stream_url import StreamUrl

Luma = NDArray[np.uint8]
DAY_S, HOUR_S = 86_400.0, 3_600.0
BEGIN_S = 1.8e9
TWO_DAYS = (0.0, HOUR_S, 2 * HOUR_S, DAY_S + 12 * HOUR_S, DAY_S + 13 * HOUR_S)
"""Seconds from BEGIN_S: three moments of a day, and two of the next one."""


def write_moment(learn_dir: LearnDir, time_s: float, frames: Sequence[Luma], *, main: bool = False) -> Moment:
    """A moment of the frames; with `main` they are those of the main stream, and the source is half as large."""
    folder = learn_dir.moment_folder(BEGIN_S + time_s)
    folder.mkdir(parents=True)
    times = [number / RATE for number in range(len(frames))]
    record(folder / MOMENT_SOURCE, smaller(frames, 2.0) if main else frames, times, 20)
    if main:
        record(folder / MOMENT_MAIN, frames, times, 12)
    moment = Moment(
        folder=folder, time_s=BEGIN_S + time_s, has_main=main, motion=2.0, detail=3.0, size=folder.stat().st_size
    )
    learn_dir.write_moment(moment)
    return moment


def write_moments(
    learn_dir: LearnDir, frames: Sequence[Luma], times_s: Sequence[float] = TWO_DAYS, *, main: bool = False
) -> list[Moment]:
    """A moment per time, of equal parts of the frames."""
    length = len(frames) // len(times_s)
    parts = [frames[number * length : (number + 1) * length] for number in range(len(times_s))]
    return [write_moment(learn_dir, *each, main=main) for each in zip(times_s, parts, strict=True)]


def forgetful_network(path: Path) -> Path:
    """A network that has forgotten half of what it knew, and learns it again within a few steps."""
    weights = load_model("fsrcnn-s-x2")
    tail = {name: tensor / 2 for name, tensor in weights.tensors.items() if name.startswith("deconvolution")}
    save_weights(path, replace(weights, tensors={**weights.tensors, **tail}))
    return path


def camera(folder: Path, model: Path, **learn: object) -> CameraConfig:
    """The config of a camera that learns with few steps."""
    return CameraConfig(
        name="yard",
        source=StreamUrl("rtsp://none"),
        targets=(),
        stream=StreamSettings(model=str(model)),
        learn=LearnSettings(**{"steps": 64, "min_gain_db": 0.01, **learn}),  # type: ignore[arg-type]
        learn_dir=folder,
    )


def start_process(config: CameraConfig) -> subprocess.Popen[bytes]:
    """The process that learns for a camera."""
    command = [sys.executable, "-m", "vidsr.learning.learn_process"]
    process = ForkedPython(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(pickle.dumps(config))
    process.stdin.close()
    process.stdin = None
    return process


def events(learn_dir: LearnDir) -> list[str]:
    """The sentences of the log."""
    return [event["event"] for event in learn_dir.events()]
