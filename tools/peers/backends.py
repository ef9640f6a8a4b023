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
    weights: Path
    """The folder of OpenCV's networks."""


def open_way(key: str, setting: Setting) -> Way:
    """The way of that name, "vidsr:MODEL", "vidsr:MODEL:PRECISION" or one of PEERS.

    Raises MissingPeerError, and ModelError for a network of vidsr that is not there.
    """
    try:
        return _vidsr(key, setting) if key.startswith(PREFIX) else PEERS[key](setting)
    except ImportError as error:
        raise MissingPeerError(f"{key}: there is no {error.name}; {INSTALL}") from error
    except MissingPeerError as error:
        raise MissingPeerError(f"{key}: {error}") from error


def network(key: str) -> tuple[str, str]:
    """The model and the precision of a way of vidsr's."""
    model, _, precision = key.removeprefix(PREFIX).partition(":")
    return model, precision or "auto"


def _vidsr(key: str, setting: Setting) -> Way:
    model, precision = network(key)
    engine = Engine(model, threads=setting.threads, precision=precision)
    if engine.scale != SCALE:
        raise MissingPeerError(f"enlarges {engine.scale} times, not {SCALE}")
    return Way(name=f"vidsr {model} {engine.precision}", enlarge=engine, ours=True)


def _opencv(setting: Setting, *, network: str) -> Way:
    import cv2

    path = setting.weights / f"{network}_x{SCALE}.pb"
    if not path.exists():
        raise MissingPeerError(f"there is no {path}; Saafke/FSRCNN_Tensorflow has it, --weights says where it lies")
    cv2.setNumThreads(setting.threads)
    enlarger = cv2.dnn_superres.DnnSuperResImpl_create()
    try:
        enlarger.readModel(str(path))
    except cv2.error as error:
        raise MissingPeerError(f"OpenCV cannot read {path} ({error.err})") from error
    enlarger.setModel("fsrcnn", SCALE)
    return Way(name=f"OpenCV dnn_superres {network}", enlarge=enlarger.upsample, colour=True)


def _pytorch(setting: Setting) -> Way:
    import reference_model

    return Way(
        name="PyTorch eager, our layers", enlarge=reference_model.eager(load_model(setting.model), setting.threads)
    )


def _openvino(setting: Setting) -> Way:
    import reference_model

    enlarge = reference_model.converted(load_model(setting.model), setting.threads)
    return Way(name="OpenVINO convert_model, our layers", enlarge=enlarge)


def _pyanime4k(setting: Setting) -> Way:
    """Its own default network; OpenMP takes as many threads as the process has CPUs."""
    import pyanime4k

    processor = pyanime4k.Processor("cpu", 0, "acnet-gan")
    if not processor.ok():
        raise MissingPeerError(processor.error())
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
PACKAGES = ("vidsr", "openvino", "av", "opencv-contrib-python-headless", "opencv-contrib-python", "pyanime4k", "torch")
INSTALL = "pip install -c tools/constraints.txt -r tools/peers.txt"


def versions() -> dict[str, str]:
    """The version of each package that is there."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ImportError:
            continue
    return found
