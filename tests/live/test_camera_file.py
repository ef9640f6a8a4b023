"""The file of cameras: its settings, and the messages for its errors."""

import re
import shutil
from pathlib import Path

import pytest

from vidsr.live.camera_file import read_cameras, read_url
from vidsr.live.config import CameraConfig
from vidsr.live.preflight import POOL_TIMEOUT_S, check_cameras
from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings

WHOLE = """
[defaults]
segment = 30
keep-days = 7
crf = 25

[cameras.front-door]
source = "rtsp://admin:canary7@10.0.0.2/live"
targets = ["recordings/front", "rtmp://server/live/key"]
max-delay = 0.5
timeout = 3
original = true

[cameras.garage_2]
source-env = "GARAGE"
targets = ["recordings/garage"]
crf = 30
codec = "libsvtav1"
workers = 0
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cameras.toml"
    path.write_text(text)
    return path


def test_each_table_is_a_camera_with_the_defaults_beneath(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARAGE", "rtsp://garage/")
    front, garage = read_cameras(written(tmp_path, WHOLE))
    assert (front.name, front.source.text) == ("front-door", "rtsp://admin:canary7@10.0.0.2/live")
    assert [target.text for target in front.targets] == ["recordings/front", "rtmp://server/live/key"]
    assert front.stream == StreamSettings(max_delay_s=0.5, timeout_s=3.0)
    assert front.record == RecordSettings(segment_s=30.0, keep_days=7.0, original=True)
    assert front.encode == EncodeSettings(crf=25)
    assert front.pool == PoolSettings()
    assert (garage.name, garage.source.text) == ("garage_2", "rtsp://garage/")
    assert garage.encode == EncodeSettings(crf=30, codec="libsvtav1")
    assert garage.pool == PoolSettings(workers=0)


def test_an_address_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("rtsp://a:b@cam/\n")
    text = f'[cameras.a]\nsource-file = "{tmp_path}/url"\ntargets = ["x"]\n'
    (order,) = read_cameras(written(tmp_path, text))
    assert order.source.text == "rtsp://a:b@cam/"


A = '[cameras.a]\nsource = "rtsp://u:canary7@h/"\ntargets = ["x"]\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no [cameras.NAME]"),
        ("[cameras", "Expected ']' at the end of a table declaration (at end of document)"),
        ("[camera.a]", "camera is unknown; the tables are [defaults] and [cameras.NAME]"),
        ('[cameras."a/b"]', "'a/b': the name of a camera may only hold A-Z, a-z, 0-9, _ and -"),
        ("cameras = 3", "cameras must be a table, [cameras]"),
        ("[cameras]\na = 3", "a must be a table, [a]"),
        ("[cameras.a]", "a: needs exactly one of source, source-env and source-file"),
        (A + 'source-env = "B"', "a: needs exactly one of source, source-env and source-file"),
        ("[cameras.a]\nsource = 3", "a: source must be text"),
        ('[cameras.a]\nsource-env = "NOT_SET_7"', "a: source-env: the environment variable NOT_SET_7 is not set"),
        ('[cameras.a]\nsource-file = "/none"', "a: source-file: /none: No such file or directory"),
        ('[cameras.a]\nsource-file = "/dev/null"', "a: source-file: /dev/null is empty"),
        ('[cameras.a]\nsource = "x"', "a: targets must be a list of at least one text"),
        ('[cameras.a]\nsource = "x"\ntargets = "x"', "a: targets must be a list of at least one text"),
        (A + "max_delay = 3", "a: unknown setting max_delay"),
        (A + "ray-address = 'x'", "a: unknown setting ray-address"),
        ('[defaults]\nsource = "x"\n' + A, "defaults: unknown setting source"),
        (A + 'max-delay = "1"', "a: max-delay must be a number"),
        (A + "crf = 1.5", "a: crf must be a whole number"),
        (A + "crf = true", "a: crf must be a whole number"),
        (A + "original = 1", "a: original must be true or false"),
        (A + "transport = 1", "a: transport must be text"),
        (A + "max-delay = 0", "a: max-delay must be from 0.1 to 86400, not 0"),
        ("[defaults]\nscale = 5\n" + A, "a: scale must be 2, 3 or 4, not 5"),
    ],
)
def test_what_is_wrong_is_reported_in_one_sentence_without_a_secret(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        read_cameras(path)
    assert re.fullmatch(re.escape(f"{path}: {words}") + r"( \(line \d\))?", str(caught.value))


def test_what_is_wrong_is_found_by_its_line(tmp_path: Path) -> None:
    text = '[defaults]\ncrf = "low"\n[cameras.a]\nsource = "x"\ntargets = ["y"]\n'
    with pytest.raises(ValueError, match=r"a: crf must be a whole number \(line 2\)$"):
        read_cameras(written(tmp_path, text))
    with pytest.raises(ValueError, match=r"a: crf must be a whole number \(line 6\)$"):
        read_cameras(written(tmp_path, text + "crf = 1.5"))
    with pytest.raises(ValueError, match=r"\(at line 6, column 7\)$"):
        read_cameras(written(tmp_path, text + "crf = ]\n"))


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: No such file or directory"):
        read_cameras(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"# a\n# \xff")
    with pytest.raises(ValueError, match=r"bytes\.toml: line 2 is not UTF-8; save the file as UTF-8$"):
        read_cameras(tmp_path / "bytes.toml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_windows_are_read(encoding: str, newline: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("rtsp://a:b@cam/\n", encoding=encoding, newline=newline)
    path = tmp_path / "cameras.toml"
    path.write_text(
        f'[cameras.a]\nsource-file = "{tmp_path}/url"\ntargets = ["Tür"]\n', encoding=encoding, newline=newline
    )
    (camera,) = read_cameras(path)
    assert (camera.source.text, camera.targets[0].text) == ("rtsp://a:b@cam/", "Tür")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_gets_a_sentence(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text(WHOLE, encoding=encoding)
    with pytest.raises(ValueError, match=r"cameras\.toml: is UTF-16 or no text; save it as UTF-8$"):
        read_cameras(path)
    url = tmp_path / "url"
    url.write_text("rtsp://a:canary7@cam/", encoding=encoding)
    with pytest.raises(ValueError, match=r"url: is UTF-16 or no text; save it as UTF-8$"):
        read_url("source-file", str(url))


def test_another_model_under_the_same_name_makes_another_camera(tiny_model: str, tmp_path: Path) -> None:
    model = tmp_path / "model.npz"
    shutil.copy(tiny_model, model)
    text = f'[cameras.a]\nsource = "rtsp://h/"\ntargets = ["{tmp_path}/a"]\nmodel = "{model}"\n'

    def checked() -> CameraConfig:
        (config,), errors = check_cameras(read_cameras(written(tmp_path, text)))
        assert config.pool == PoolSettings(timeout_s=POOL_TIMEOUT_S)
        assert not errors
        return config

    before = checked()
    assert before.is_same_camera(checked())
    model.write_bytes(model.read_bytes() + b" ")
    assert not before.is_same_camera(checked())
