"""Networks in 8-bit integers: that they are, how near they come, what is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from made import random_weights, scene, tiny_weights
from numpy.typing import NDArray
from openvino import opset15 as ops

from vidsr.cpu import this_cpu
from vidsr.engine import BAND_PIXELS, Engine
from vidsr.engine.activation_ranges import measure_ranges
from vidsr.engine.blocking import default_blocking
from vidsr.engine.compiled_network import CompiledNetwork
from vidsr.engine.openvino_core import openvino_core
from vidsr.engine.quantization import quantize_input, quantize_weights
from vidsr.errors import ModelError
from vidsr.model.architecture import ACTIVATIONS, fsrcnn, srcnn
from vidsr.model.weights import Calibration, Ranges, Weights, input_widths, load_weights, save_weights
from vidsr.model.zoo import load_model
from vidsr.pool import open_pool
from vidsr.quality.int8_calibration import calibrate, line_drawing, validation_pair
from vidsr.quality.metrics import psnr
from vidsr.settings import PoolSettings

HERE = Path(__file__).parent
PLANE = scene(0)[..., 0]
INTEGERS = {"u8", "i8"}


def ready(weights: Weights, **losses: float) -> Weights:
    """The weights with the ranges of PLANE and of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    return replace(weights, calibration=Calibration(ranges=measure_ranges(weights, [PLANE, noise]), losses=losses))


@pytest.fixture(scope="module")
def calibrated_weights() -> Weights:
    return ready(tiny_weights(dimensions=(16, 8, 2)))


def executed(engine: Engine) -> dict[str, tuple[str, str]]:
    """What OpenVINO really runs each convolution in, and by which kernel, by the name of the layer."""
    engine(PLANE)
    (request,) = engine._network._requests.values()
    run = [node.get_rt_info() for node in request.get_compiled_model().get_runtime_model().get_ordered_ops()]
    convolutions = [node for node in run if node["layerType"].astype(str) == "Convolution"]
    return {
        name: (node["runtimePrecision"].astype(str), node["primitiveType"].astype(str))
        for node in convolutions
        for name in node["originalLayersNames"].astype(str).split(",")
        if name in {"residual", *(layer.name for layer in engine.weights.architecture.body), "deconvolution"}
    }


@pytest.mark.parametrize("precision", ["int8", "int7"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_layer_but_the_first_runs_in_integers(scale: int, precision: str) -> None:
    ran = executed(Engine(ready(tiny_weights(scale, (16, 8, 2))), threads=1, precision=precision))
    assert ran.keys() == {"feature", "shrink", "mapping0", "mapping1", "expand", "deconvolution", "residual"}
    whole = {name for name, (kind, _) in ran.items() if kind in INTEGERS}
    assert whole == ran.keys() - {"feature", "residual"}, ran
    assert {ran[name][0] for name in ("feature", "residual")} == {"f32"}


def computed(node: ov.Node, *parameters: ov.Node, values: tuple[NDArray[np.float32], ...] = ()) -> NDArray[np.float32]:
    model = ov.Model([node], list(parameters), "rounding")
    return openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(list(values))[0]


@pytest.mark.parametrize("max_weight", [127, 63])
def test_weights_are_whole_steps_and_off_by_at_most_half_of_one(max_weight: int) -> None:
    kernel = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    steps = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / max_weight
    found = computed(quantize_weights(kernel, max_weight)) / steps
    assert np.abs(found - np.round(found)).max() < 1e-4
    assert np.abs(found - kernel / steps).max() < 0.501


def test_inputs_have_256_levels_over_their_range_one_of_them_0() -> None:
    low, high = -1.3, 4.2
    step = (high - low) / 255
    parameter = ops.parameter([1, 1, 1, 2001], ov.Type.f32, "x")
    values = np.append(np.linspace(low, high, 2000), 0).astype(np.float32).reshape(1, 1, 1, -1)
    found = computed(quantize_input(parameter, (low, high)), parameter, values=(values,))
    assert len(np.unique(np.round(found / step))) == 256
    assert abs(found[..., -1]) < 1e-6
    assert np.abs(found - values).max() < 1.001 * step  # the range is moved by up to half a step, rounding is the rest
    assert np.median(np.abs(found - values)) < 0.26 * step


def test_nothing_runs_in_integers_in_f32(calibrated_weights: Weights) -> None:
    ran = executed(Engine(calibrated_weights, threads=1, precision="f32"))
    assert {kind for kind, _ in ran.values()} == {"f32"}


@pytest.mark.parametrize(
    "weights",
    [
        *(tiny_weights(scale, (16, 8, 2)) for scale in (2, 3, 4)),
        *(random_weights(fsrcnn(8, 8, 2, 2, activation=activation)) for activation in ACTIVATIONS),
        random_weights(fsrcnn(8, 8, 2, 2, long_skip=True)),
        random_weights(srcnn(9, 1, 5, 8, 4, 2)),
        random_weights(fsrcnn(8, 4, 1, 4, padding=4, residual=False)),
    ],
    ids=lambda weights: f"{weights.architecture} {weights.architecture.activation}",
)
def test_integers_come_near_to_what_f32_gives(weights: Weights) -> None:
    known = ready(weights)
    expected = Engine(known, threads=1, precision="f32")(PLANE).astype(float)
    for precision in ("int8", "int7"):
        distance = np.abs(Engine(known, threads=1, precision=precision)(PLANE) - expected)
        assert distance.max() <= 8
        assert distance.mean() < 1
        assert distance.any(), "nothing was rounded: this proves little"


def strained() -> Weights:
    """White fills every input of every layer, every weight is the largest, and what comes of it darkens white by half.

    So two products of bytes are twice what 16 bits hold.
    """
    weights = tiny_weights(dimensions=(16, 8, 2))
    for name, tensor in weights.tensors.items():
        tensor[:] = 1 / np.prod(tensor.shape[1:]) if name.endswith("weight") else 0
    weights.tensors["deconvolution.weight"][:] = -2 / weights.tensors["deconvolution.weight"].size
    return replace(weights, calibration=Calibration(ranges=measure_ranges(weights, extremes())))


def extremes() -> list[NDArray[np.uint8]]:
    """Black, white, and the two side by side."""
    noise = np.random.default_rng(1).integers(0, 2, (40, 48), dtype=np.uint8) * np.uint8(255)
    board = (np.indices((40, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    return [np.zeros_like(noise), np.full_like(noise, 255), board, noise]


def strain(precision: str) -> int:
    """The largest distance from f32 at the extremes, in grey levels, of a graph that nobody checks."""
    weights = strained()
    plain, whole = (
        CompiledNetwork(weights, precision=each, blocking=default_blocking(weights.architecture), threads=1)
        for each in ("f32", precision)
    )
    results = [[each.upscale(plane, 8, band_pixels=BAND_PIXELS) for each in (plain, whole)] for plane in extremes()]
    return max(int(np.abs(one.astype(int) - other).max()) for one, other in results)


def test_nothing_overflows_at_the_extremes() -> None:
    assert strain("int7") <= 4
    if this_cpu().has_vnni:
        assert strain("int8") <= 4


def without_vnni(code: str) -> str:
    """What a program prints on this CPU when oneDNN may not use VNNI: below AVX-512's where there is AVX-512."""
    limit = "AVX512_CORE" if "avx512f" in this_cpu().flags else "AVX2"
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    forced = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], env=forced, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif("avx2" not in this_cpu().flags, reason="a CPU without AVX2")
def test_without_vnni_seven_bits_do_not_overflow_where_eight_do() -> None:
    eight, seven = without_vnni("from test_int8 import strain; print(strain('int8'), strain('int7'))").split()
    assert int(seven) <= 4
    assert int(eight) > 20, "nothing overflows with eight either: this proves little"


@pytest.mark.skipif("avx2" not in this_cpu().flags, reason="a CPU without AVX2")
def test_below_a_limit_of_instruction_sets_int8_has_seven_bits() -> None:
    code = "from test_int8 import *; e = Engine(strained(), threads=1, precision='int8'); print(e.precision)"
    assert without_vnni(code).strip() == "int7"


def test_deep_planes_come_as_near(calibrated_weights: Weights) -> None:
    plane = PLANE.astype(np.uint16) * 4
    plain, whole = (Engine(calibrated_weights, threads=1, precision=each) for each in ("f32", "int8"))
    assert np.abs(whole(plane, 10).astype(int) - plain(plane, 10)).max() <= 32


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bands_give_exactly_the_whole_in_integers(scale: int) -> None:
    known = ready(tiny_weights(scale))
    whole = Engine(known, threads=1, precision="int8", band_pixels=BAND_PIXELS)(PLANE)
    for band_pixels in (1, 500, 1500):
        assert np.array_equal(Engine(known, threads=1, precision="int8", band_pixels=band_pixels)(PLANE), whole)


def test_a_worker_computes_in_what_was_asked_for(calibrated_weights: Weights, ray: None) -> None:
    expected = Engine(calibrated_weights, precision="int8")(PLANE)
    assert not np.array_equal(expected, Engine(calibrated_weights, precision="f32")(PLANE))
    for workers in (0, 1):
        with open_pool(calibrated_weights, PoolSettings(workers=workers, precision="int8")) as pool:
            (result,) = pool.map([PLANE], 8)
            assert np.array_equal(result, expected)
            with pytest.raises(ModelError, match="no ranges"):
                pool.set_weights(tiny_weights())


def test_integers_without_ranges_are_refused(weights: Weights) -> None:
    for start in (
        lambda: Engine(weights, precision="int8"),
        lambda: open_pool(weights, PoolSettings(precision="int8")),
    ):
        with pytest.raises(ModelError, match=r"fsrcnn\(8,4,1\) x2 have no ranges"):
            start()
    with pytest.raises(ValueError, match="int4"):
        Engine(weights, precision="int4")


# Calibration


def test_calibrating_finds_ranges_and_losses() -> None:
    weights = tiny_weights(dimensions=(16, 8, 2))
    found = calibrate(weights, [PLANE, scene(1)[..., 1]], [validation_pair(scene(2)[..., 0], 2)]).calibration
    assert found
    assert found.ranges.keys() == input_widths(weights.architecture).keys()
    assert {"int8", "int7"} <= found.losses.keys()
    assert -0.1 < found.losses["int8"] < 0.5


def test_simulated_integers_come_to_what_real_ones_do(calibrated_weights: Weights) -> None:
    real, simulated = (
        Engine(calibrated_weights, threads=1, precision="int7", simulated=each) for each in (False, True)
    )
    assert sum(kind in INTEGERS for kind, _ in executed(real).values()) == 5
    assert {kind for kind, _ in executed(simulated).values()} == {"f32"}
    plain = Engine(calibrated_weights, threads=1, precision="f32")(PLANE).astype(int)
    assert np.abs(simulated(PLANE) - plain).max() > 1
    assert np.abs(simulated(PLANE).astype(int) - real(PLANE)).max() <= 1
    assert Engine(calibrated_weights, threads=1, precision="int8", simulated=True).precision == "int8"


def test_layers_that_nothing_reaches_can_be_calibrated() -> None:
    weights = tiny_weights()
    weights.tensors["feature.weight"][:] = 0
    weights.tensors["feature.bias"][:] = 0
    found = calibrate(weights, [PLANE], [validation_pair(PLANE, 2)]).calibration
    assert found
    assert found.ranges["shrink"].tolist() == [[0] * 8, [1] * 8]


def test_a_calibration_is_saved_and_loaded(tmp_path: Path) -> None:
    saved = ready(tiny_weights(), int8=0.02, int7=0.03)
    save_weights(tmp_path / "w.npz", saved)
    loaded = load_weights(tmp_path / "w.npz")
    assert saved.calibration
    assert loaded.calibration
    assert loaded.calibration.losses == {"int8": 0.02, "int7": 0.03}
    for name, ends in saved.calibration.ranges.items():
        assert np.allclose(loaded.calibration.ranges[name], ends, rtol=1e-5)


def without(ranges: Ranges) -> Ranges:
    return {name: ends for name, ends in ranges.items() if name != "shrink"}


BAD: dict[str, Callable[[Ranges], Ranges]] = {
    "a layer missing": without,
    "a layer too many": lambda ranges: {**ranges, "feature": ranges["shrink"]},
    "not a number": lambda ranges: {**ranges, "shrink": ranges["shrink"] * np.float32("nan")},
    "infinite": lambda ranges: {**ranges, "shrink": np.array([-np.inf, np.inf], np.float32)[:, None].repeat(8, 1)},
    "upside down": lambda ranges: {**ranges, "shrink": ranges["shrink"][::-1]},
    "empty": lambda ranges: {**ranges, "shrink": np.zeros((2, 8), np.float32)},
    "too few channels": lambda ranges: {**ranges, "shrink": ranges["shrink"][:, :7]},
}


@pytest.mark.parametrize("fault", BAD)
def test_a_file_with_bad_ranges_is_refused(tmp_path: Path, fault: str) -> None:
    saved = ready(tiny_weights())
    assert saved.calibration
    saved.calibration.ranges.update(spoilt := BAD[fault](dict(saved.calibration.ranges)))
    for name in saved.calibration.ranges.keys() - spoilt.keys():
        del saved.calibration.ranges[name]
    save_weights(tmp_path / "bad.npz", saved)
    with pytest.raises(ModelError, match=r"bad\.npz: .*ranges"):
        load_weights(tmp_path / "bad.npz")


@pytest.mark.parametrize("loss", [float("nan"), True, "little"])
def test_a_loss_that_is_no_number_is_refused(loss: float) -> None:
    with pytest.raises(ModelError, match="loss of int8"):
        ready(tiny_weights(), int8=loss)


@pytest.mark.parametrize("precision", ["int8", "int7"])
@pytest.mark.parametrize("name", ["fsrcnn-fast-x2", "fsrcnn-narrow-x2", "fsrcnn-x2", "srcnn-x2"])
def test_lines_as_hard_as_text_are_within_the_ranges_of_networks_that_ship(name: str, precision: str) -> None:
    weights, drawing = load_model(name), line_drawing(2, seed=1)
    integers = Engine(weights, precision=precision, simulated=True)
    assert psnr(Engine(weights, precision="f32")(drawing), integers(drawing)) > 33
