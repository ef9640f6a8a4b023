"""The tables of what a camera learns, in the file of cameras: their settings, and the messages for their errors."""

import re
from pathlib import Path

import pytest
from commands import TARGET, USAGE, Command

from vidsr.live.camera_file import read_cameras
from vidsr.live.config import CameraConfig
from vidsr.live.preflight import check_cameras
from vidsr.settings import LearnSettings

CAMERA = '[cameras.a]\nsource = "rtsp://u:canary7@h/sub"\ntargets = ["out"]\n'
MAIN = 'main = "rtsp://u:canary8@h/main"\n'
LEARNS = CAMERA + "[cameras.a.learn]\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "cameras.toml"
    path.write_text(text)
    return path


def checked(folder: Path, text: str) -> CameraConfig:
    path = written(folder, text)
    (config,), errors = check_cameras(read_cameras(path), file=path)
    assert not errors
    return config


def test_a_table_makes_a_camera_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = checked(tmp_path, LEARNS + MAIN + 'hours = "22-6"\nkeep-gb = 1\nmasks = ["0,0,320,40"]\nevery = 60\n')
    assert config.learn == LearnSettings(hours="22-6", keep_gb=1.0, masks=("0,0,320,40",), every_s=60.0)
    assert config.main
    assert config.main.text == "rtsp://u:canary8@h/main"
    assert config.learn_dir == tmp_path / "out" / "learn"


def test_without_a_table_nothing_is_learned(tmp_path: Path) -> None:
    config = checked(tmp_path, CAMERA)
    assert (config.learn, config.main, config.learn_dir) == (None, None, None)


def test_the_defaults_make_all_cameras_learn_but_those_that_refuse(tmp_path: Path) -> None:
    other = '[cameras.{}]\nsource = "rtsp://h/"\ntargets = ["{}"]\n'
    text = "[defaults]\noriginal = true\n[defaults.learn]\ncores = 2\nsteps = 9\n"
    text += other.format("b", "b") + other.format("c", "c") + "learn = false\n" + LEARNS + MAIN + "steps = 8\n"
    b, c, a = read_cameras(written(tmp_path, text))
    assert (b.learn, b.main) == (LearnSettings(cores=2, steps=9), None)
    assert (c.learn, c.main) == (None, None)
    assert a.learn == LearnSettings(cores=2, steps=8)
    assert a.main


def test_the_main_stream_may_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIN77", "rtsp://h/env")
    (tmp_path / "url").write_text("rtsp://h/file\n")
    (config,) = read_cameras(written(tmp_path, LEARNS + 'main-env = "MAIN77"'))
    assert config.main
    assert config.main.text == "rtsp://h/env"
    (config,) = read_cameras(written(tmp_path, LEARNS + f'main-file = "{tmp_path}/url"'))
    assert config.main
    assert config.main.text == "rtsp://h/file"


NO_MAIN = (
    "a.learn: main: missing: without the camera's main stream it learns from its own originals, which needs "
    "original = true and a folder of segments among the targets"
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (CAMERA + "learn = 3", 4, "a: learn must be a table, [cameras.a.learn]"),
        ("[defaults]\nlearn = true\n" + CAMERA, 2, "defaults: learn must be a table, [defaults.learn]"),
        (LEARNS + MAIN + "cores = 0", 6, "a.learn: cores must be from 1 to 1024, not 0"),
        (LEARNS + MAIN + "cores = 1.5", 6, "a.learn: cores must be a whole number"),
        (LEARNS + MAIN + "\nhours = '25-6'", 7, "a.learn: hours must be like 22-6, or always, not '25-6'"),
        (CAMERA + "learn.hours = 'x'", 4, "a.learn: hours must be like 22-6, or always, not 'x'"),
        (CAMERA + "learn = {every = 9}", 4, "a.learn: every must be from 10 to 86400, not 9"),
        ("[defaults.learn]\nmoment = 4\n" + CAMERA, 2, "a.learn: moment must be from 5 to 60, not 4"),
        (LEARNS + MAIN + "masks = ['0,0,0,4']", 6, "a.learn: masks must be areas like 0,0,320,40, not '0,0,0,4'"),
        (LEARNS + MAIN + "masks = '1,1,1,1'", 6, "a.learn: masks must be a list of at least one text"),
        (LEARNS + "keep_gb = 1", 5, "a.learn: unknown setting keep_gb"),
        (LEARNS + "[ 'cameras' . a . learn.x ]", 5, "a.learn: unknown setting x"),
        ("[defaults.learn]\n" + MAIN + CAMERA, 2, "defaults.learn: unknown setting main"),
        (LEARNS + MAIN + "main-env = 'B'", 6, "a.learn: main-env and main exclude each other"),
        (LEARNS + "main = 3", 5, "a.learn: main must be text"),
        (LEARNS + "main-env = 'NOT_SET_7'", 5, "a.learn: main-env: the environment variable NOT_SET_7 is not set"),
        (LEARNS, 4, NO_MAIN),
        ("[defaults.learn]\n" + CAMERA, 1, NO_MAIN),
        (CAMERA.replace('"out"', '"rtmp://h/key"') + "original = true\n[cameras.a.learn]", 5, NO_MAIN),
        (
            LEARNS + "main = 'rtsp://u:canary7@h/sub'",
            5,
            "a.learn: main: rtsp://h: is the source itself, from which nothing can be learned",
        ),
        (
            LEARNS + "main = 'ftp://u:canary7@h/'",
            5,
            "a.learn: main: ftp://h: must be a path or begin with one of rtsp://, rtsps://, rtmp://, rtmps://, "
            "http://, https://, udp://",
        ),
        (
            LEARNS + "main = 'main.mp4'",
            5,
            "a.learn: main: main.mp4: is not the URL of a camera; --realtime plays a file as if it were one",
        ),
        (
            LEARNS.replace('"out"', '"rtmp://h/key"') + MAIN,
            4,
            "a.learn: folder: missing: it is needed where no target is a folder of segments",
        ),
    ],
)
def test_what_is_wrong_is_reported_in_one_sentence_with_its_line_and_key(
    tmp_path: Path, vidsr: Command, text: str, line: int, words: str
) -> None:
    path = written(tmp_path, text)
    ended = vidsr("stream", "--config", path, "--check")
    assert (ended.code, ended.out, ended.err) == (USAGE, "", f"vidsr: {path}: {words} (line {line})\n")


def test_a_folder_is_of_one_camera(tmp_path: Path, vidsr: Command) -> None:
    text = (
        LEARNS + MAIN + f'[cameras.b]\nsource = "rtsp://h/b"\ntargets = ["{tmp_path}/b"]\n[cameras.b.learn]\n' + MAIN
    )
    path = written(tmp_path, text + 'folder = "out/learn"\n')
    ended = vidsr("stream", "--config", path, "--check")
    taken = rf"{path}: b\.learn: folder: \S+/out/learn: is already used by a \(line 11\)"
    assert ended.code == USAGE
    assert re.fullmatch(f"vidsr: {taken}\n", ended.err)


def test_a_folder_that_cannot_be_made_costs_its_camera_only(tmp_path: Path, vidsr: Command) -> None:
    (tmp_path / "file").write_text("")
    path = written(tmp_path, LEARNS + MAIN + f'folder = "{tmp_path}/file"\n')
    ended = vidsr("stream", "--config", path, "--check")
    words = f"{path}: a.learn: folder: {tmp_path}/file: is already a file (line 6)"
    assert (ended.code, ended.err) == (TARGET, f"vidsr: {words}\n")


def test_a_camera_that_learns_is_accepted(tmp_path: Path, vidsr: Command) -> None:
    ended = vidsr("stream", "--config", written(tmp_path, LEARNS + MAIN), "--check")
    assert (ended.code, ended.out, ended.err) == (0, "", "")
