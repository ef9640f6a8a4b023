"""`vidsr stream`: errors before any work, and no secret in a command line or environment."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import MODEL, SOURCE, TARGET, USAGE, Command
from live.supervisor_process import eventually

ROOT = Path(__file__).parents[2]
CAMERA = "rtsp://admin:canary77@127.0.0.1:1/live"


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (USAGE, [], "stream takes SOURCE TARGET; see vidsr stream --help"),
        (USAGE, [CAMERA], "stream takes SOURCE TARGET; see vidsr stream --help"),
        (
            USAGE,
            [CAMERA, "out", "--http", "1", "--http-base", "cameras/"],
            "--http-base must be a path like /cameras, not 'cameras/'",
        ),
        (USAGE, [CAMERA, "out", "--http-base", "/cameras"], "--http-base needs --http, whose answers it is about"),
        (USAGE, [CAMERA, "out", "--http-host", "cam"], "--http-host needs --http, whose answers it is about"),
        (USAGE, [CAMERA, "out", "--http-users", "none"], "--http-users needs --http, whose answers it is about"),
        (USAGE, ["--url-env", "NONE77", "out"], "the environment variable NONE77 is not set"),
        (
            USAGE,
            ["--url-env", "A", "--url-file", "b", "out"],
            "--url-env and --url-file exclude each other",
        ),
        (USAGE, ["--url-file", "none", "out"], "none: No such file or directory"),
        (USAGE, ["--config", "none.toml"], "none.toml: No such file or directory"),
        (USAGE, ["--config", "x", "out"], "--config holds the sources and targets; do not pass others"),
        (
            USAGE,
            ["ftp://cam/canary77", "out"],
            "ftp://cam: must be a path or begin with one of rtsp://, rtsps://, rtmp://, rtmps://, http://, https://, udp://",
        ),
        (
            USAGE,
            [CAMERA, "http://cam/canary77"],
            "http://cam: must be a path or begin with one of rtmp://, rtmps://, rtsp://, rtsps://",
        ),
        (
            USAGE,
            ["clip.mp4", "out"],
            "clip.mp4: is not the URL of a camera; --realtime plays a file as if it were one",
        ),
        (SOURCE, ["--realtime", "clip.mp4", "out"], "clip.mp4: No such file or directory"),
        (USAGE, [CAMERA, "out", "--also", "out"], "out: is already a target of camera"),
        (USAGE, [CAMERA, "out", "--max-delay", "0"], "--max-delay must be from 0.1 to 86400, not 0"),
        (USAGE, [CAMERA, "out", "--workers", "-1"], "--workers must be from 0 to 1024, not -1"),
        (USAGE, [CAMERA, "out", "--http", "x:y"], "--http must be a port, or HOST:PORT, not 'x:y'"),
        (TARGET, [CAMERA, "file"], "file: is already a file"),
        (TARGET, [CAMERA, "file/below"], "file/below: {here}/file is not a folder"),
        (TARGET, [CAMERA, "folder.mp4"], "folder.mp4: is already a folder"),
        (
            TARGET,
            [CAMERA, "out.avi"],
            "out.avi: the name must end in one of .jpeg .jpg .m4v .mkv .mov .mp4 .nut .png .ts .webm",
        ),
        (USAGE, [CAMERA, "out", "--codec", "aac"], "aac encodes audio, not video"),
        (5, [CAMERA, "out", "--model", "none.npz"], "none.npz: No such file or directory"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_without_a_secret(
    vidsr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder.mp4").mkdir()
    result = vidsr("stream", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err == f"vidsr: {words.format(here=tmp_path)}\n"
    assert not Path("out").exists()


def test_a_password_with_a_raw_slash_is_refused_with_the_way_to_write_it(vidsr: Command) -> None:
    result = vidsr("stream", "rtsp://admin:cana/ry77@cam/", "out")
    assert (result.code, result.out) == (USAGE, "")
    assert result.err.startswith("vidsr: rtsp://***: is not a valid URL; in the user name")
    assert "cana" not in result.err


@pytest.mark.parametrize("url", [CAMERA, "rtsp://cam/user=admin_password=canary77", "rtsp://u:canary77/x@cam"])
@pytest.mark.parametrize("option", ["--max-delay", "--crf", "--http"])
def test_an_address_in_the_wrong_place_is_refused_without_its_secret(vidsr: Command, option: str, url: str) -> None:
    result = vidsr("stream", option, url, "clip.mp4", "out")
    assert (result.code, result.out) == (USAGE, "")
    assert option in result.err
    assert "canary77" not in result.err


@pytest.mark.parametrize(
    "way", ["argument", *(pytest.param(way, marks=pytest.mark.slow) for way in ("environment", "file", "config"))]
)
def test_no_secret_is_in_any_command_line_environment_or_log(tmp_path: Path, way: str) -> None:
    (tmp_path / "url").write_text(CAMERA)
    (tmp_path / "cameras.toml").write_text(f'[cameras.a]\nsource-env = "CAMERA"\ntargets = ["{tmp_path}/out"]\n')
    arguments = {
        "argument": [CAMERA, "out"],
        "environment": ["--url-env", "CAMERA", "out"],
        "file": ["--url-file", "url", "out"],
        "config": ["--config", "cameras.toml"],
    }[way]
    environment = {**os.environ, "CAMERA": CAMERA, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "err").open("w") as err:
        command = [sys.executable, "-m", "vidsr", "stream", "-v", *arguments]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=err)
        try:
            eventually(lambda: b"vidsr.live\0" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), within_s=30)
            eventually(lambda: (tmp_path / "err").read_text())  # its camera's process has said something
            for pid in family(process.pid):
                for kind in ("cmdline", "environ"):
                    assert b"canary77" not in Path(f"/proc/{pid}/{kind}").read_bytes()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    assert "canary77" not in (tmp_path / "err").read_text()


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "vidsr", "stream", CAMERA, str(tmp_path / "out"), "--http", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == USAGE
    assert done.stderr == f"vidsr: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def family(pid: int) -> list[int]:
    """A process and those below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in map(int, children) for each in family(child))]


TWO = """
[cameras.a]
source = "rtsp://127.0.0.1:1/x"
targets = ["o/a"]
[cameras.b]
"""


@pytest.mark.parametrize(
    ("code", "text", "more", "words"),
    [
        (USAGE, "rtp://127.0.0.1:1/y|o/b", [], "b: source: rtp://127.0.0.1:1: must be a path or begin with one of"),
        (
            USAGE,
            "rtsp://127.0.0.1:99999/y|o/b",
            [],
            "b: source: rtsp://127.0.0.1:99999: the port must be at most 65535",
        ),
        (USAGE, "rtsp://127.0.0.1:1/y|o/a", [], "b: targets: o/a: is already a target of a"),
        (
            TARGET,
            "rtsp://127.0.0.1:1/y|/dev/null/b",
            [],
            "b: targets: /dev/null/b: /dev/null is not a folder (line 7)",
        ),
        (MODEL, "rtsp://127.0.0.1:1/y|o/b|model", [], "b: model: "),
        (USAGE, "rtsp://127.0.0.1:1/y|o/b|codec", [], "b: codec: "),
        (0, "rtsp://127.0.0.1:1/y|o/b", [], ""),
        (USAGE, "rtsp://127.0.0.1:1/y|o/b", ["--keep-days", "3"], "--config holds the settings; put keep-days into"),
        (USAGE, "rtsp://127.0.0.1:1/y|o/b", ["--model", "x", "--workers", "1"], "put model, workers into [defaults]"),
        (USAGE, "rtsp://127.0.0.1:1/y|o/b", ["--timeout", "3"], "put timeout into [defaults]"),
    ],
)
def test_a_file_of_cameras_is_checked_and_what_is_wrong_named_by_file_camera_and_key(
    vidsr: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str, more: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source, target, *key = text.split("|")
    lines = [f'source = "{source}"', f'targets = ["{target}"]', *(f'{each} = "nonsense"' for each in key)]
    Path("c.toml").write_text(TWO + "\n".join(lines) + "\n")
    result = vidsr("stream", "--config", "c.toml", "--check", *more)
    assert result.code == code
    assert words in result.err
    assert bool(result.err) == bool(words)
    assert os.listdir() == ["c.toml"]
    if not more and words:
        assert "c.toml: b: " in result.err
