"""The precision that "auto" takes: by kind of CPU, by recorded losses, by what `vidsr tune` measured."""

from dataclasses import replace

import pytest
from made import AMX, AVX2, CLIENT, OLD, VNNI, ZEN2, random_weights

from vidsr.cpu import Cpu, this_cpu
from vidsr.engine import Engine, expected_precision
from vidsr.engine.autotune_cache import save_tuning
from vidsr.engine.precision import precision_order
from vidsr.errors import ModelError
from vidsr.model.architecture import fsrcnn
from vidsr.model.weights import Calibration, Weights
from vidsr.model.zoo import load_model


def order(weights: Weights, cpu: Cpu, precision: str = "auto", **tuned_ms: float) -> list[str]:
    return [choice.precision for choice in precision_order(precision, weights, cpu=cpu, tuned_ms=tuned_ms)]


def losing(**losses: float) -> Weights:
    """FSRCNN(16, 16, 1) x2 with these recorded losses."""
    weights = load_model("fsrcnn-narrow-x2")
    assert weights.calibration
    return replace(weights, calibration=Calibration(ranges=weights.calibration.ranges, losses=losses))


@pytest.mark.parametrize(
    ("cpu", "narrow", "fast", "fsrcnn"),
    [
        (AMX, "bf16", "int8", "int8"),
        (VNNI, "int8", "int8", "int8"),
        (CLIENT, "int8", "int8", "int8"),
        (ZEN2, "f32", "int7", "int7"),
        (AVX2, "int7", "int7", "int7"),
        (OLD, "int7", "int7", "int7"),
    ],
)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_auto_takes_the_fastest_on_each_kind_of_cpu(cpu: Cpu, narrow: str, fast: str, fsrcnn: str, scale: int) -> None:
    first = {
        name: order(load_model(f"{name}-x{scale}"), cpu)[0] for name in ("fsrcnn-narrow", "fsrcnn-fast", "fsrcnn")
    }
    assert first == {"fsrcnn-narrow": narrow, "fsrcnn-fast": fast, "fsrcnn": fsrcnn}


def test_auto_takes_nothing_that_loses_more_or_whose_loss_is_unknown() -> None:
    assert order(losing(int8=0.05, int7=0.051, bf16=0.05), AMX) == ["bf16", "int8", "f32"]
    assert order(losing(int8=0.051, bf16=-0.01), AMX) == ["bf16", "f32"]
    assert order(losing(int8=0.05, int7=0.051), AVX2) == ["f32"]
    assert order(losing(), AMX) == ["f32"]
    assert order(random_weights(fsrcnn(8, 4, 1, 2)), AMX) == ["f32"]
    assert "no other" in precision_order("auto", losing(), cpu=AMX)[0].why


def test_bf16_is_for_cpus_that_have_it() -> None:
    assert order(losing(bf16=0.0, int8=0.0), VNNI, "bf16")[0] == "f32"
    assert order(losing(bf16=0.0, int8=0.0), AMX, "bf16") == ["bf16", "int8", "f32"]


def test_what_was_measured_here_comes_before_what_is_known_of_the_kind() -> None:
    weights = losing(int8=0.01, bf16=0.01)
    assert order(weights, AMX, int8=1.0, bf16=2.0, f32=3.0) == ["int8", "bf16", "f32"]
    assert order(weights, AMX, int8=3.0, bf16=2.0, f32=1.0)[0] == "f32"
    assert order(weights, AMX, int8=float("inf"), bf16=2.0, f32=3.0)[0] == "bf16"
    for some in ({"int8": 1.0}, {"int8": 1.0, "f32": 2.0}):  # not all were measured: nothing to compare with
        assert order(weights, AMX, **some) == ["bf16", "int8", "f32"]
    assert "int8" not in order(losing(int8=0.0, int7=0.0), AVX2, int8=0.1, int7=1.0, f32=2.0), "it would overflow"
    assert order(losing(bf16=0.01), AMX, int8=1.0, bf16=2.0, f32=3.0) == ["bf16", "f32"]
    assert "vidsr tune" in precision_order("auto", weights, cpu=VNNI, tuned_ms={"int8": 1.0, "f32": 2.0})[0].why


def test_an_engine_takes_what_tune_measured(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("own")))
    weights = load_model("fsrcnn-fast-x2")
    here = order(weights, this_cpu())
    integers = here[0]
    assert integers in ("int8", "int7")
    assert expected_precision(weights).precision == integers
    save_tuning(weights.architecture, threads=1, ms=dict.fromkeys(here, 2.0) | {"f32": 1.0}, blocking={})
    assert Engine(weights, threads=1).precision == "f32"
    assert Engine(weights, threads=2).precision == integers
    assert Engine(weights, threads=1, precision="int8").precision == integers


def test_computers_of_several_kinds_compute_alike() -> None:
    weights = load_model("fsrcnn-narrow-x2")
    for one, other, first in ((AMX, VNNI, "int8"), (AMX, AVX2, "int7"), (VNNI, ZEN2, "f32"), (CLIENT, VNNI, "int7")):
        assert one.common(other).flags == other.common(one).flags
        assert order(weights, one.common(other))[0] == first
        assert set(order(weights, one.common(other))) <= {*order(weights, one), *order(weights, other), "int7"}
    assert AMX.common(AMX) == AMX


def test_integers_need_a_calibration() -> None:
    with pytest.raises(ModelError, match="no ranges"):
        precision_order("int8", random_weights(fsrcnn(8, 4, 1, 2)))
    with pytest.raises(ValueError, match="int4"):
        precision_order("int4", losing())
