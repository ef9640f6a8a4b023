"""The ways to make a picture twice as large: vidsr's networks, and what users would pick instead.

Each is given a number of threads; what sets it for the whole process does so when the way is opened.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from vidsr import Engine
from vidsr.media.formats import luma_of
from vidsr.model.zoo import load_model

SCALE = 2
PREFIX = "vidsr:"
Image = NDArray[np.uint8]


class MissingPeerError(Exception):
    """A peer is not there; says in one sentence what would bring it."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way, ready to work."""

    name: str
    enlarge: Callable[[Image], Image]
    """From an (H, W) plane of luma or, where `colour`, an (H, W, 3) BGR picture, to the one twice as large."""
    ours: bool = False
    colour: bool = False


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the ways are opened with."""

    model: str
    """The network of vidsr that the plain ways compute, too."""
    threads: int
    weights: Path | None
    """The folder of OpenCV's networks."""


def open_way(key: str, setting: Setting) -> Way:
    """The way of that name, "vidsr:NETWORK:PRECISION" or one of PEERS. Raises MissingPeerError, or ModelError."""
    if key.startswith(PREFIX):
        return _vidsr(key.removeprefix(PREFIX), setting.threads)
    try:
        return PEERS[key](setting)
    except ImportError as error:
        raise MissingPeerError(f"{key}: {error.name or error} is not there: {INSTALL}") from error


def _vidsr(network: str, threads: int) -> Way:
    model, _, precision = network.partition(":")
    engine = Engine(model, threads=threads, precision=precision or "auto")
    if engine.scale != SCALE:
        raise MissingPeerError(f"{model}: enlarges {engine.scale} times, not {SCALE}")
    return Way(name=f"vidsr {model} {engine.precision}", enlarge=engine, ours=True)


def _opencv(setting: Setting, *, network: str) -> Way:
    import cv2

    path = (setting.weights or Path()) / f"{network}_x{SCALE}.pb"
    if not setting.weights or not path.exists():
        raise MissingPeerError(
            f"OpenCV {network}: no {path.name} where --weights says; Saafke/FSRCNN_Tensorflow has it"
        )
    cv2.setNumThreads(setting.threads)
    network_ = cv2.dnn_superres.DnnSuperResImpl_create()
    try:
        network_.readModel(str(path))
    except cv2.error as error:
        raise MissingPeerError(f"{path}: OpenCV cannot read it ({error.err})") from error
    network_.setModel("fsrcnn", SCALE)
    return Way(name=f"OpenCV dnn_superres {network}", enlarge=network_.upsample, colour=True)


def _pytorch(setting: Setting) -> Way:
    import plain

    return Way(name="PyTorch eager, our layers", enlarge=plain.eager(load_model(setting.model), setting.threads))


def _openvino(setting: Setting) -> Way:
    import plain

    enlarge = plain.converted(load_model(setting.model), setting.threads)
    return Way(name="OpenVINO convert_model, our layers", enlarge=enlarge)


def _pyanime4k(setting: Setting) -> Way:
    """Its own default network; OpenMP takes as many threads as the process has CPUs."""
    import pyanime4k

    processor = pyanime4k.Processor("cpu", 0, "acnet-gan")
    if not processor.ok():
        raise MissingPeerError(f"pyanime4k: {processor.error()}")
    return Way(name="pyanime4k acnet-gan", enlarge=lambda plane: processor(np.ascontiguousarray(plane), float(SCALE)))


def _lanczos(setting: Setting) -> Way:
    scaler = VideoReformatter()

    def enlarge(plane: Image) -> Image:
        small = VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
        size = {"width": plane.shape[1] * SCALE, "height": plane.shape[0] * SCALE}
        large = scaler.reformat(small, **size, interpolation=Interpolation.LANCZOS, threads=setting.threads)
        return luma_of(large).astype(np.uint8)

    return Way(name="FFmpeg lanczos", enlarge=enlarge)


PEERS: dict[str, Callable[[Setting], Way]] = {
    "opencv": partial(_opencv, network="FSRCNN"),
    "opencv-small": partial(_opencv, network="FSRCNN-small"),
    "pytorch": _pytorch,
    "openvino": _openvino,
    "pyanime4k": _pyanime4k,
    "lanczos": _lanczos,
}
PACKAGES = ("vidsr", "openvino", "av", "numpy", "opencv-contrib-python-headless", "opencv-contrib-python", "torch")
INSTALL = "pip install -c tools/constraints.txt -r tools/peers.txt"


def versions() -> dict[str, str]:
    """The version of each package that is there."""
    found = {}
    for package in (*PACKAGES, "pyanime4k"):
        try:
            found[package] = version(package)
        except ImportError:
            continue
    return found
