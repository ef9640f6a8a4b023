"""Whether a machine affords the wide network is measured on it, once."""

import math
import time
from pathlib import Path

import pytest
from made import AMX, random_weights
from test_precision_fallback import INTEGERS, misjudged

from vidsr.engine import expected_precision
from vidsr.engine.autotune_cache import tuned_network
from vidsr.engine.slowdown import slowdown
from vidsr.model.architecture import fsrcnn
from vidsr.model.zoo import model_names
from vidsr.model_selection import _slowdown_here, select_family

HEAVY, LIGHT = random_weights(fsrcnn(24, 24, 3, 2)), random_weights(fsrcnn(4, 4, 1, 2))


def test_it_is_measured_once_and_kept(cache: Path) -> None:
    assert not cache.exists()
    first = slowdown(HEAVY, LIGHT, threads=1)
    assert first > 2
    assert cache.exists()
    before = cache.read_bytes()
    began = time.perf_counter()
    assert slowdown(HEAVY, LIGHT, threads=1) == first
    assert time.perf_counter() - began < 0.1
    assert cache.read_bytes() == before
    assert slowdown(LIGHT, HEAVY, threads=1) == pytest.approx(1 / first)


def test_a_precision_whose_graphs_are_wrong_has_no_time(cache: Path) -> None:
    wrong = misjudged()
    assert slowdown(wrong, LIGHT, threads=1) > 0
    ms = tuned_network(wrong.architecture, threads=1).ms
    assert ms[INTEGERS] == math.inf > ms["f32"]
    assert expected_precision(wrong, threads=1).precision == "f32"


def test_without_a_cache_it_is_measured_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert slowdown(HEAVY, LIGHT, threads=1) > 2


@pytest.mark.parametrize(("measured", "family"), [(1.35, "fsrcnn-wide"), (1.36, "fsrcnn-narrow")])
def test_a_cpu_with_amx_gets_the_wide_network_where_it_is_fast_enough_there(
    monkeypatch: pytest.MonkeyPatch, measured: float, family: str
) -> None:
    monkeypatch.setattr("vidsr.model_selection.this_cpu", lambda: AMX)
    monkeypatch.setattr("vidsr.model_selection.slowdown", lambda *_, **__: measured)
    _slowdown_here.cache_clear()
    try:
        assert select_family(None, scale=2, names=model_names()) == family
        assert select_family("best", scale=2, names=model_names()) == "fsrcnn-wide"
    finally:
        _slowdown_here.cache_clear()
