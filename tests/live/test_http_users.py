"""Who may read the status pages: those of a file of users."""

import base64
import re
from pathlib import Path

import pytest
from commands import USAGE, Command
from live.status_server import serving, status
from test_playback import data_of

PATHS = ["/", "/healthz", "/metrics", "/camera/front/after.jpg", "/api/recordings", "/recordings/front/", "/none"]


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_only_users_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path, status(), users={"ann": "pass:wörd", "bob": "b"}) as port:
        for path in PATHS:
            code, headers, body = data_of(port, path)
            assert (code, headers["www-authenticate"][:5]) == (401, "Basic")
            assert b"front" not in body
        for good in ("ann:pass:wörd", "bob:b"):
            assert data_of(port, "/healthz", Authorization=basic(good))[0] == 200
        for bad in ("ann:b", "bob:", "eve:b", ":", "", "bob:bb", "None:None"):
            assert data_of(port, "/healthz", Authorization=basic(bad))[0] == 401
        for bad in ("Basic", "Basic ???", "Basic /w==", "Bearer YjpiCg==", basic("bob:b").replace("Basic", "Digest")):
            assert data_of(port, "/healthz", Authorization=bad)[0] == 401
        wrong_host = data_of(port, "/healthz", Authorization=basic("bob:b"), Host="evil.example")
        assert wrong_host[0] == 403


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "NAME:PASSWORD"),
        ("ann", "NAME:PASSWORD"),
        (":x", "NAME:PASSWORD"),
        ("ann:x\nann:\n", "NAME:PASSWORD"),
        ("ann:x\nbob:y\n ann:x\n", ": ann has more than one password\n"),
        ("\ufeffann:x\nann:y\n", ": ann has more than one password\n"),
    ],
)
def test_a_file_without_users_is_refused(text: str, words: str, tmp_path: Path, vidsr: Command) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    ended = vidsr("stream", "rtsp://127.0.0.1:1/x", tmp_path / "out", "--http", "1", "--http-users", file)
    assert ended.code == USAGE
    assert re.search(words, ended.err)
    ended = vidsr("stream", "rtsp://127.0.0.1:1/x", tmp_path / "out", "--http", "1", "--http-users", tmp_path / "none")
    assert (ended.code, "No such file" in ended.err) == (USAGE, True)
