"""The comparison with what users would pick instead."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def test_two_ways_are_measured_side_by_side_and_a_peer_that_is_not_there_is_named(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ["vidsr:fsrcnn-fast-x2", "opencv", "lanczos"]
    options = ["--ways", *ways, "--commands", "lanczos", "--frames", "2", "--command-frames", "8", "--rounds", "1"]
    output = tmp_path / "peers.json"
    command = [sys.executable, TOOLS / "compare_peers.py", "--clip", clip, *options, "--weights", tmp_path]
    done = subprocess.run([*command, "--output", output], capture_output=True, text=True, check=True)
    figures = json.loads(output.read_text())
    ours, lanczos = figures["ways"]["vidsr:fsrcnn-fast-x2"], figures["ways"]["lanczos"]
    assert [ours["times"], ours["ours"], lanczos["ours"]] == [1, True, False]
    assert 30 < lanczos["clip_psnr"] + 1 < ours["clip_psnr"] < 60
    assert min(lanczos[figure] for figure in ("ms", "times", "command_fps", "steady_fps")) > 0
    assert "command_fps" not in ours
    (sentence,) = figures["missing"]
    assert sentence.startswith("opencv: there is no ")
    assert done.stderr.splitlines() == [sentence]
    monkeypatch.syspath_prepend(str(TOOLS))
    from readme_tables import peers_table

    assert [line.split(" | ")[0] for line in peers_table(figures).splitlines()[2:]] == [
        f"| **{ours['name']}**",
        "| FFmpeg lanczos",
    ]


def test_a_clip_that_is_not_there_ends_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, TOOLS / "compare_peers.py", "--clip", tmp_path / "no.mp4", "--ways", "lanczos"]
    done = subprocess.run([*command, "--output", tmp_path / "p.json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "no.mp4" in done.stderr
