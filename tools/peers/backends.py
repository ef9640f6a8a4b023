"""Backends that upscale a frame by 2: vidsr's networks, and the tools that users would pick instead.

Each is opened with a number of threads; some backends set it for the whole process.
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


class MissingBackendError(Exception):
    """A backend is not installed; the message says how to install it."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """An opened backend."""

    name: str
    upscale: Callable[[Image], Image]
    """From (H, W) luma or, with `colour`, an (H, W, 3) BGR image, to twice the width and height."""
    ours: bool = False
    colour: bool = False


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """The options that backends are opened with."""

    model: str
    """The network of vidsr that PyTorch and OpenVINO compute, too."""
    threads: int
    weights: Path
    """The folder of OpenCV's networks."""


def open_backend(key: str, options: BackendOptions) -> Backend:
    """The backend of a key: "vidsr:MODEL", "vidsr:MODEL:PRECISION" or one of PEERS.

    Raises MissingBackendError, and ModelError for an unknown model.
    """
    try:
        return _vidsr(key, options) if key.startswith(PREFIX) else PEERS[key](options)
    except ImportError as error:
        raise MissingBackendError(f"{key}: {error.name} is not installed: {INSTALL}") from error
    except MissingBackendError as error:
        raise MissingBackendError(f"{key}: {error}") from error


def model_and_precision(key: str) -> tuple[str, str]:
    """The model and the precision in the key of a vidsr backend."""
    model, _, precision = key.removeprefix(PREFIX).partition(":")
    return model, precision or "auto"


def _vidsr(key: str, options: BackendOptions) -> Backend:
    model, precision = model_and_precision(key)
    engine = Engine(model, threads=options.threads, precision=precision)
    if engine.scale != SCALE:
        raise MissingBackendError(f"the scale of the model is {engine.scale}, not {SCALE}")
    return Backend(name=f"vidsr {model} {engine.precision}", upscale=engine, ours=True)


def _opencv(options: BackendOptions, *, network: str) -> Backend:
    import cv2

    path = options.weights / f"{network}_x{SCALE}.pb"
    if not path.exists():
        raise MissingBackendError(f"{path}: no such file; see Saafke/FSRCNN_Tensorflow, and --weights")
    cv2.setNumThreads(options.threads)
    upscaler = cv2.dnn_superres.DnnSuperResImpl_create()
    try:
        upscaler.readModel(str(path))
    except cv2.error as error:
        raise MissingBackendError(f"{path}: OpenCV cannot read it ({error.err})") from error
    upscaler.setModel("fsrcnn", SCALE)
    return Backend(name=f"OpenCV dnn_superres {network}", upscale=upscaler.upsample, colour=True)


def _pytorch(options: BackendOptions) -> Backend:
    import reference_model

    return Backend(
        name="PyTorch eager, our layers",
        upscale=reference_model.pytorch_upscaler(load_model(options.model), options.threads),
    )


def _openvino(options: BackendOptions) -> Backend:
    import reference_model

    upscale = reference_model.openvino_upscaler(load_model(options.model), options.threads)
    return Backend(name="OpenVINO convert_model, our layers", upscale=upscale)


def _pyanime4k(options: BackendOptions) -> Backend:
    """The default network of pyanime4k; OpenMP starts a thread per CPU of the process."""
    import pyanime4k

    processor = pyanime4k.Processor("cpu", 0, "acnet-gan")
    if not processor.ok():
        raise MissingBackendError(processor.error())
    return Backend(
        name="pyanime4k acnet-gan", upscale=lambda plane: processor(np.ascontiguousarray(plane), float(SCALE))
    )


def _lanczos(options: BackendOptions) -> Backend:
    scaler = VideoReformatter()

    def upscale(plane: Image) -> Image:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
        size = {"width": plane.shape[1] * SCALE, "height": plane.shape[0] * SCALE}
        upscaled = scaler.reformat(frame, **size, interpolation=Interpolation.LANCZOS, threads=options.threads)
        return luma_of(upscaled).astype(np.uint8)

    return Backend(name="FFmpeg lanczos", upscale=upscale)


PEERS: dict[str, Callable[[BackendOptions], Backend]] = {
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
    """The version of each installed package."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except ImportError:
            continue
    return installed
