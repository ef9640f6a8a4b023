"""The plugins for Unmanic, by its own worker, and for Tdarr, by node with the inputs that Tdarr documents."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, which
from typing import Any

import pytest
from oracles import read_with_av

ROOT = Path(__file__).parent.parent
UNMANIC = ROOT / "examples" / "unmanic" / "vidsr_upscale"
TDARR = ROOT / "examples" / "tdarr" / "vidsrUpscale" / "1.0.0" / "index.js"
RUN_TDARR = """
const [script, source, workDir, inputs] = process.argv.slice(1);
const { details, plugin } = require(script);
const updates = [], log = [];
const parseArgsStringToArgv = (text, env, file) => text.split(' ').filter((word) => word);
const args = {
  inputs: JSON.parse(inputs), inputFileObj: { _id: source, container: 'mp4' }, workDir, variables: { user: {} },
  librarySettings: {}, originalLibraryFile: { _id: source }, job: {}, logFullCliOutput: false, platform: 'linux',
  jobLog: (text) => log.push(text), updateWorker: (update) => updates.push(update), deps: { parseArgsStringToArgv },
};
const print = (more) => console.log(JSON.stringify({ details: details(), log, updates, ...more }));
plugin(args).then((output) => print({ output }), (error) => print({ error: error.message }));
"""


@pytest.fixture
def command(tiny_model: str) -> list[str]:
    """vidsr with the small network, without its being installed."""
    return ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "vidsr"]


@pytest.fixture(scope="module")
def unmanic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with Unmanic, whose home is beside it."""
    folder = tmp_path_factory.mktemp("unmanic")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run([folder / "venv" / "bin" / "pip", "install", "-q", "unmanic==0.4.1"], check=True)
    copytree(UNMANIC, folder / ".unmanic" / "plugins" / UNMANIC.name)
    return folder / "venv" / "bin" / "python"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_unmanic_queues_small_videos_shows_the_progress_and_fails_with_the_command(
    unmanic: Path, command: list[str], tiny_model: str, clip: Path, tmp_path: Path
) -> None:
    home = unmanic.parent.parent.parent
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HOME": str(home), "HOME_DIR": str(home)}

    def run(source: Path, options: str, height: int = 64) -> dict[str, Any]:
        settings = {"command": shlex.join(command), "up to height": str(height), "options": options}
        words = [unmanic, ROOT / "tests" / "unmanic_worker.py", home / ".unmanic" / "plugins" / UNMANIC.name]
        words += [source, tmp_path / "cache", json.dumps(settings)]
        ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
        result: dict[str, Any] = json.loads(ended.stdout.partition("RESULT")[2])
        return result

    options = f"--workers 0 --model {tiny_model}"
    result = run(clip, options)
    assert result["errors"] == {"library_management.file_test": [], "worker.process": []}
    assert (result["queued"], result["done"]) == (True, True), result["log"]
    assert result["percents"] == sorted(result["percents"])
    assert result["percents"][-1] == 100
    assert len(read_with_av(tmp_path / "cache" / "clip.mkv").pictures) == 24
    assert not run(clip, options, height=63)["queued"]
    failed = run(clip, f"{options} --codec nosuch")
    assert not failed["done"]
    assert "vidsr: no encoder named 'nosuch'" in failed["log"]
    (tmp_path / "notes.mp4").write_text("no video")
    failed = run(tmp_path / "notes.mp4", options)
    assert (failed["queued"], failed["done"]) == (False, False)


@pytest.mark.skipif(which("node") is None, reason="node is not installed")
def test_tdarr_gets_the_file_its_progress_and_an_output_by_the_exit_code(
    command: list[str], tiny_model: str, clip: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "vidsr"
    tool.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    tool.chmod(0o755)

    def run(source: Path, options: str = "", tool: Path = tool) -> dict[str, Any]:
        inputs = {"command": str(tool), "options": f"--workers 0 --model {tiny_model}  {options}"}
        words = ["node", "-e", RUN_TDARR, TDARR, source, tmp_path, json.dumps(inputs)]
        ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        result: dict[str, Any] = json.loads(ended.stdout)
        return result

    copy(clip, tmp_path / "a film.mp4")
    result = run(tmp_path / "a film.mp4")
    assert [each["name"] for each in result["details"]["inputs"]] == ["command", "options"]
    assert result["output"]["outputNumber"] == 1, result
    assert len(read_with_av(Path(result["output"]["outputFileObj"]["_id"])).pictures) == 24
    assert result["output"]["variables"] == {"user": {}}
    assert result["updates"][-1]["percentage"] == 100
    assert result["updates"][-1]["ETA"] == "00:00:00"
    damaged = tmp_path / "damaged.mp4"
    data = bytearray(clip.read_bytes())
    place = data.index(b"mdat") + 2000
    data[place : place + 1500] = bytes(1500)
    damaged.write_bytes(data)
    result = run(damaged)
    assert result["output"]["outputNumber"] == 2, result
    assert Path(result["output"]["outputFileObj"]["_id"]).exists()
    (tmp_path / "notes.mp4").write_text("no video")
    result = run(tmp_path / "notes.mp4")
    assert (result["output"]["outputNumber"], result["output"]["outputFileObj"]["container"]) == (3, "mp4")
    failed = run(clip, "--codec nosuch")
    assert failed["error"].startswith("vidsr ended with 2: vidsr: no encoder named 'nosuch'")
    assert "ENOENT" in run(clip, tool=tmp_path / "none")["error"]
