"""OpenVINO's own files, and running a network that is a file of somebody's."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openvino as ov  # type: ignore[import-untyped]
from numpy.typing import NDArray

from vidsr.engine.openvino_core import openvino_core


def ir_files(onnx: bytes) -> tuple[bytes, bytes]:
    """The .xml and the .bin of OpenVINO for an ONNX file, in float32."""
    model = openvino_core().read_model(onnx)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def run_network(network: bytes, plane: NDArray[np.float32], weights: bytes = b"") -> NDArray[np.float32]:
    """What OpenVINO makes of the plane by an ONNX file, or by the .xml `network` and the .bin `weights`."""
    core = openvino_core()
    model = core.read_model(network, weights) if weights else core.read_model(network)
    run = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result: NDArray[np.float32] = run([plane])[0]
    return result
