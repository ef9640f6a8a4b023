"""tools/compare_peers.py: the comparison with other upscaling tools."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def test_two_backends_are_measured_in_turn_and_a_missing_one_is_reported(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backends = ["vidsr:fsrcnn-fast-x2", "opencv", "lanczos"]
    options = [
        "--backends",
        *backends,
        "--commands",
        "lanczos",
        "--frames",
        "2",
        "--command-frames",
        "8",
        "--rounds",
        "1",
    ]
    output = tmp_path / "peers.json"
    command = [sys.executable, TOOLS / "compare_peers.py", "--clip", clip, *options, "--weights", tmp_path]
    done = subprocess.run([*command, "--output", output], capture_output=True, text=True, check=True)
    figures = json.loads(output.read_text())
    ours, lanczos = figures["backends"]["vidsr:fsrcnn-fast-x2"], figures["backends"]["lanczos"]
    assert [ours["times"], ours["ours"], lanczos["ours"]] == [1, True, False]
    assert 30 < lanczos["clip_psnr"] + 1 < ours["clip_psnr"] < 60
    assert min(lanczos[figure] for figure in ("ms", "times", "command_fps", "steady_fps")) > 0
    assert "command_fps" not in ours
    (sentence,) = figures["missing"]
    assert "is not installed: pip install" in sentence
    assert done.stderr.splitlines() == [sentence]
    monkeypatch.syspath_prepend(str(TOOLS))
    from readme_tables import peers_table

    assert [line.split(" | ")[0] for line in peers_table(figures).splitlines()[2:]] == [
        f"| **{ours['name']}**",
        "| FFmpeg lanczos",
    ]


def test_a_missing_clip_ends_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, TOOLS / "compare_peers.py", "--clip", tmp_path / "no.mp4", "--backends", "lanczos"]
    done = subprocess.run([*command, "--output", tmp_path / "p.json"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "no.mp4" in done.stderr
