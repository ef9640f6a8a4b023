"""The tools that measure and simulate the cost of upscaling."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

import scaling_study
import simulate as simulate_tool
from cost.model import Node, Pipeline, Route, Step, Window
from cost.pipeline_model import NetworkLink, Setup, StageCosts, build_pipeline, segment_time_s
from cost.process_monitor import run_monitored
from cost.simulator import simulate
from readme_tables import growth_table

ONE = {"here": Node(cores=8)}
FEW = Window(first="read", last="write", size=4)
COSTS = StageCosts(
    decode_call=0.0005,
    decode_threads=0.001,
    engine=0.08,
    engine_serial=0.1,
    send=0.001,
    give_back=0.002,
    receive=0.0005,
    merge=0.003,
    encode_call=0.002,
    encode_lookahead=0.008,
    encode_threads=0.022,
    in_gb=0.0003,
    out_gb=0.0012,
    engine_gb=0.3,
    rows_out=720,
)


def step(name: str, seconds: float, lane: str = "", **more: float) -> Step:
    return Step(name=name, lane=lane or name, seconds=seconds, node="here", **more)


def fps(pipeline: Pipeline) -> float:
    return simulate(pipeline, 101, edge=20).fps  # 60 are measured: whole rounds of 1 to 6 in parallel


def test_the_slowest_of_three_stages_sets_the_speed() -> None:
    pipeline = Pipeline(
        before=(step("read", 0.01), step("upscale", 0.05)), after=(step("write", 0.02),), nodes=ONE, windows=(FEW,)
    )
    outcome = simulate(pipeline, 101, edge=20)
    assert outcome.fps == pytest.approx(1 / 0.05)
    assert outcome.lanes == pytest.approx({"read": 0.2, "upscale": 1.0, "write": 0.4})


def test_steps_of_one_lane_add_up() -> None:
    pipeline = Pipeline(before=(step("read", 0.03, "main"),), after=(step("write", 0.02, "main"),), nodes=ONE)
    assert fps(pipeline) == pytest.approx(1 / 0.05)


def test_two_equal_stages_run_in_parallel() -> None:
    pipeline = Pipeline(before=(step("read", 0.02),), after=(step("write", 0.02),), nodes=ONE)
    assert fps(pipeline) == pytest.approx(1 / 0.02)


def test_with_a_window_of_one_frame_nothing_overlaps() -> None:
    one = Window(first="read", last="write", size=1)
    pipeline = Pipeline(before=(step("read", 0.01),), after=(step("write", 0.03),), nodes=ONE, windows=(one,))
    assert fps(pipeline) == pytest.approx(1 / 0.04)


def test_a_window_of_two_frames_holds_two() -> None:
    two = Window(first="read", last="write", size=2)
    stages = (step("read", 0.01), step("upscale", 0.06))
    pipeline = Pipeline(before=stages, after=(step("write", 0.01),), nodes=ONE, servers={"upscale": 4}, windows=(two,))
    assert fps(pipeline) == pytest.approx(2 / 0.08)  # two frames in 80 ms, although servers are free


def test_several_servers_of_a_lane_share_the_frames() -> None:
    pipeline = Pipeline(
        before=(step("upscale", 0.06),), after=(step("write", 0.001),), nodes=ONE, servers={"upscale": 3}
    )
    assert fps(pipeline) == pytest.approx(3 / 0.06)


def test_frames_leave_in_order_from_workers_of_different_speed() -> None:
    quick, slow = (Route(steps=(step("upscale", s, lane),)) for lane, s in (("quick", 0.01), ("slow", 0.07)))
    pipeline = Pipeline(before=(step("read", 0.005),), routes=(quick, slow), after=(step("write", 0.001),), nodes=ONE)
    assert simulate(pipeline, 60, edge=5).finished == tuple(range(60))


def test_steps_take_longer_where_cores_are_too_few() -> None:
    pipeline = Pipeline(
        before=(step("read", 0.02),), after=(step("write", 0.03),), nodes={"here": Node(cores=1)}, windows=(FEW,)
    )
    assert fps(pipeline) == pytest.approx(1 / 0.05)
    assert simulate(pipeline, 101, edge=20).cores["here"] == pytest.approx(1)


def test_memory_bandwidth_limits_a_node() -> None:
    node = Node(cores=8, bandwidth_gb_s=10)
    pipeline = Pipeline(
        before=(step("upscale", 0.01, traffic_gb=0.5),),
        after=(step("write", 0.001),),
        nodes={"here": node},
        servers={"upscale": 4},
    )
    assert fps(pipeline) == pytest.approx(10 / 0.5)


def test_a_slow_network_limits_the_workers_behind_it() -> None:
    away = Step(name="away", lane="network", seconds=0.1)
    pipeline = Pipeline(
        before=(step("send", 0.001),),
        routes=(Route(steps=(away, step("upscale", 0.02, "workers"))),),
        after=(step("write", 0.001),),
        nodes=ONE,
        servers={"workers": 4},
    )
    assert fps(pipeline) == pytest.approx(10)


def test_a_run_without_frames_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        simulate(Pipeline(before=(step("read", 1),), after=(), nodes=ONE), 10, edge=5)


def test_without_workers_all_other_stages_run_beside_the_engine() -> None:
    many, name = simulate_tool.simulate_setup(COSTS, Setup(cores=64, planned_cores=2, workers=0, threads=3))
    one, cores = simulate_tool.simulate_setup(COSTS, Setup(cores=1, workers=0, threads=1))
    assert many.fps == pytest.approx(3 / COSTS.engine, rel=0.02)
    assert name == "workers"
    assert one.fps == pytest.approx(1 / (0.0005 + 0.001 + 0.08 + 0.003 + 0.032), rel=0.01)
    assert cores == "cores of node 0"


def test_with_many_cores_the_serial_stage_is_the_bottleneck() -> None:
    few, _ = simulate_tool.simulate_setup(COSTS, Setup(cores=2, workers=2, threads=1))
    many, name = simulate_tool.simulate_setup(COSTS, Setup(cores=128, workers=16, threads=8))
    assert few.fps == pytest.approx(2 / 0.12, rel=0.01)  # a frame costs 120 ms of core time
    assert many.fps == pytest.approx(1 / (COSTS.merge + COSTS.encode_call), rel=0.02)
    assert name.startswith("writer")


def test_behind_a_slow_network_the_main_thread_is_the_bottleneck() -> None:
    setup = Setup(cores=16, workers=32, threads=1, nodes=2, network=NetworkLink(gb_s=0.01, latency_s=0))
    outcome, name = simulate_tool.simulate_setup(COSTS, setup)
    assert name.startswith("main thread: from a node")
    assert outcome.fps < 2 / (COSTS.out_gb / 0.01) * 1.2


def test_by_segments_cores_are_the_bottleneck_until_the_driver_is() -> None:
    one, name = simulate_tool.simulate_setup(COSTS, Setup(cores=64, workers=64, threads=1, segments=True))
    assert one.fps == pytest.approx(64 / segment_time_s(COSTS), rel=0.03)
    assert (segment_time_s(COSTS), name) == (pytest.approx(0.1165), "cores of node 0")
    four, _ = simulate_tool.simulate_setup(COSTS, Setup(cores=64, workers=256, threads=1, nodes=4, segments=True))
    assert four.fps == pytest.approx(1 / 0.0007, rel=0.15)  # 256 cores could do 2197
    many = Setup(cores=256, workers=1024, threads=1, nodes=4, segments=True)
    assert simulate_tool.simulate_setup(COSTS, many)[1].startswith("driver")


def test_workers_not_divisible_by_the_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 workers are not divisible"):
        build_pipeline(COSTS, Setup(cores=16, workers=3, threads=1, nodes=2))


def test_a_command_is_monitored_with_its_children() -> None:
    code = "import subprocess, sys, time; held = bytearray(60 << 20); subprocess.run(['sleep', '0.6']); print('done')"
    usage = run_monitored([sys.executable, "-c", code], pause_s=0.05)
    assert usage.output == "done\n"
    assert usage.processes == 2
    assert 60 < usage.peak_mb < 200


def test_the_smallest_run_of_the_tools_measures_checks_and_predicts(clip: Path, tmp_path: Path) -> None:
    measured, predicted = tmp_path / "growth.json", tmp_path / "predicted.json"
    table, plot = tmp_path / "predicted.md", tmp_path / "predicted.png"
    options = ["--clip", str(clip), "--output", str(measured), "--sizes", "270p", "--models", "fsrcnn-s-x2"]
    scaling_study.main(["stages", "resolution", *options, "--workers", "0", "--effort", "0.02"])
    kept = json.loads(measured.read_text())
    assert all(value >= 0 for value in kept["stages"][0]["costs"].values())
    assert kept["resolution"][0]["frames"] == 8
    drawn = ["--output", str(predicted), "--table", str(table), "--plot", str(plot)]
    simulate_tool.main([str(measured), "--machines", "2", "16x2", *drawn])
    assert "Mean error" in table.read_text()
    head, _, line = growth_table(json.loads(predicted.read_text())).splitlines()
    assert head.split(" | ")[3:] == ["2 cores", "16 cores x 2 computers |"]
    assert line.startswith(f"| 270p | fsrcnn-s-x2 | {kept['resolution'][0]['fps']} (")
    assert plot.read_bytes().startswith(b"\x89PNG")
