"""`vidsr bench`: its figures are those of the run, and the run leaves no files."""

import json
import os
import time
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from commands import SOURCE, TARGET, USAGE, Command
from made import make_sound
from PIL import Image

from vidsr.bench import OWN, candidate_plans, cpu_times, process_age_s, run_bench
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

HERE = ("--workers", "0", "--threads", "1", "--preset", "ultrafast")


@pytest.fixture
def kept() -> set[str]:
    """The benchmark folders that exist before the test."""
    return benched()


def benched() -> set[str]:
    return {name for name in os.listdir(gettempdir()) if name.startswith("vidsr-bench-")}


def test_a_table_has_every_stage_and_this_process(clip: Path, tiny_model: str, vidsr: Command, kept: set[str]) -> None:
    ended = vidsr("bench", *HERE, "--model", tiny_model, "--frames", "10", clip)
    assert (ended.code, ended.err) == (0, "")
    assert "10 frames to 192x128, 0 workers of 1 threads" in ended.out
    names = [line.split("  ")[0] for line in ended.out.splitlines()]
    assert {"stage", "read", "upscale", "merge", "write", "process", OWN} <= set(names)
    assert benched() == kept


def test_json_has_the_requested_number_of_frames(clip: Path, tiny_model: str, vidsr: Command) -> None:
    facts = json.loads(vidsr("bench", *HERE, "--model", tiny_model, "--frames", "7", "--json", clip).out)
    assert facts["report"]["frames_written"] == 7
    assert facts["start_s"] > 0
    assert facts["bottleneck"]
    assert facts["loaded_s"] > 0


def test_the_picture_has_a_row_of_bars_for_each_stage(
    clip: Path, tiny_model: str, vidsr: Command, tmp_path: Path
) -> None:
    target = tmp_path / "stages.png"
    assert vidsr("bench", *HERE, "--model", tiny_model, "--picture", target, clip).code == 0
    with Image.open(target) as drawn:
        colours = np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0).tolist()
    assert all(colour in colours for colour in ([31, 119, 180], [255, 127, 14], [44, 160, 44], [214, 39, 40]))
    assert vidsr("bench", *HERE, "--model", tiny_model, "--picture", target, clip).code == TARGET


def test_work_of_one_thread_does_not_overlap(clip: Path, tiny_model: str) -> None:
    done = run_bench(
        clip,
        settings=UpscaleSettings(model=tiny_model),
        encode=EncodeSettings(preset="ultrafast"),
        pool=PoolSettings(workers=0, threads=1),
        frames=12,
        traced_frames=8,
    )
    for stages in (("read",), ("upscale",), ("merge", "write")):
        spans = [span for span in done.spans if span.stage in stages]
        assert len(spans) == 8 * len(stages)
        assert all(one.ended_s <= other.began_s for one, other in pairwise(spans))


def test_cpu_times_are_those_of_work(kept: set[str]) -> None:
    before, began = cpu_times()[OWN], time.process_time()
    while time.process_time() < began + 0.2:
        sum(range(10_000))
    after = cpu_times()[OWN]
    assert after.ran_s - before.ran_s == pytest.approx(0.2, abs=0.1)
    assert after.waited_s >= before.waited_s
    assert 0 < process_age_s() < 3600 * 24


@pytest.mark.parametrize("cores", [1, 2, 3, 8, 64])
def test_no_plan_uses_more_cores_than_exist(cores: int) -> None:
    plans = [(plan.workers, plan.threads) for plan in candidate_plans(cores, PoolSettings())]
    assert len(plans) == len(set(plans))
    assert all(max(1, workers or 0) * (threads or 0) <= cores for workers, threads in plans)
    assert {(0, cores), (1, cores), (min(cores, 16), 1)} <= set(plans)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--frames", "0"], USAGE), (["--segments"], USAGE), (["--plan", "--picture", "a.png"], USAGE), ([], SOURCE)],
)
def test_invalid_options_and_sources_are_refused_in_one_line(
    arguments: list[str], code: int, vidsr: Command, tmp_path: Path
) -> None:
    ended = vidsr("bench", *arguments, make_sound(tmp_path / "sound.mp4"))
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
