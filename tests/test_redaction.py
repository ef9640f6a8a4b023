"""Neither URLs nor the redacting stream show a secret, whatever the form of the URL."""

import os
import traceback
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, unquote

import pytest

from vidsr.redaction import RedactingStream, Redactor
from vidsr.stream_url import StreamUrl

SPELT = {  # address: (what is shown, canaries that must be nowhere)
    "rtsp://us.er:canary7@cam:554/live": ("rtsp://cam:554", ["us.er", "canary7"]),
    "rtsp://user%40x:can%40ry%2f7@cam/live": ("rtsp://cam", ["user%40x", "user@x", "can%40ry%2f7", "can@ry/7"]),
    "rtsp://:canary7@cam": ("rtsp://cam", ["canary7"]),
    "rtsp://token77canary@cam/": ("rtsp://cam", ["token77canary"]),
    "rtsp://cam/user=admin_password=canary7_channel=1_stream=0.sdp": ("rtsp://cam", ["admin", "canary7"]),
    "http://cam:80/video?user=admin&pwd=canary7": ("http://cam:80", ["admin", "canary7"]),
    "https://cam/video.ts?token=canary.7#frag": ("https://cam", ["canary.7"]),
    "rtmp://server/app/canary-7?key=canary8": ("rtmp://server", ["canary-7", "canary8"]),
    "rtsp://admin:can/ary7@cam/live": ("rtsp://***", ["admin", "can/ary7"]),
    "rtsp://admin:can#ary?7@cam/live": ("rtsp://***", ["admin", "can#ary?7"]),
    "rtsp://admin:can@ary7@cam/live": ("rtsp://cam", ["admin", "can@ary7"]),
    "rtsp://admin:1234/56canary@cam/live": ("rtsp://***", ["admin", "56canary"]),
    "rtsp://cam/live?mail=me@canary7": ("rtsp://***", ["canary7"]),
    "RTSP://admin:Canary7@CAM/": ("rtsp://CAM", ["admin", "Canary7"]),
    "rtsp://admin:canary7@[::1]:554/": ("rtsp://[::1]:554", ["admin", "canary7"]),
    'rtsp://admin:"can\'ary"7@cam/': ("rtsp://cam", ["admin", '"can\'ary"7']),
    "rtsp://admin:can ary7@cam/": ("rtsp://***", ["can ary7"]),
    "rtsp://admin:kanarienvögel@cam/": ("rtsp://cam", ["admin", "kanarienvögel"]),
}


@pytest.mark.parametrize("url", SPELT)
def test_an_address_shows_scheme_host_and_port_alone(url: str) -> None:
    shown, canaries = SPELT[url]
    url = StreamUrl(url)
    assert str(url) == shown
    for text in (str(url), repr(url), f"{url}", f"{[url]}"):
        assert not [canary for canary in canaries if canary.lower() in text.lower()]


@pytest.mark.parametrize("url", SPELT)
def test_no_spelling_of_a_secret_passes_the_writer(url: str) -> None:
    _, canaries = SPELT[url]
    lines = [
        f"opening {url} failed",
        f"{url!r}: refused, then {url}, and http://example.org/",
        f"decoded {unquote(url)} and encoded {quote(url)} {quote(url, safe='')}",
        *(f"user {canary!r} password: {canary}, again={canary};{quote(canary, safe='')}" for canary in canaries),
        f"Authorization: Basic {b64encode(unquote(url.partition('://')[2].rpartition('@')[0]).encode()).decode()}",
    ]
    written = through(Redactor([StreamUrl(url)]), lambda writer: print("\n".join(lines), file=writer))
    hidden = {spelling for canary in canaries for spelling in (canary, quote(canary, safe=""), unquote(canary))}
    assert not [spelling for spelling in hidden if spelling.lower() in written.lower()]
    assert lines[-1].rpartition(" ")[2] not in written or "@" not in url
    assert written.count("\n") == len(lines)


def test_a_traceback_is_cleaned_though_it_is_written_in_pieces() -> None:
    url = "rtsp://admin:canary7@cam/"

    def fail(writer: TextIO) -> None:
        try:
            raise ValueError(f"cannot open {url}") from OSError("canary7")
        except ValueError:
            traceback.print_exc(file=writer)
        for letter in "said canary7 slowly\n":
            writer.write(letter)

    written = through(Redactor([StreamUrl(url)]), fail)
    assert "canary7" not in written
    assert "ValueError: cannot open rtsp://cam\n" in written
    assert "said *** slowly\n" in written


@pytest.mark.parametrize("password", ["a", "12", "cam", "é"])
def test_the_shortest_passwords_are_hidden_where_addresses_have_them_and_no_word_is_hurt(password: str) -> None:
    redactor = Redactor([StreamUrl(f"rtsp://u:{password}@host/")])
    said = f"a camera of 12 pictures (cam) said: password={password}; {password!r} rtsp://u:{password}@host/"
    assert redactor.redact(said) == "a camera of 12 pictures (cam) said: password=***; '***' rtsp://host"


def test_a_word_is_hidden_as_a_word_and_not_within_another() -> None:
    redactor = Redactor([StreamUrl("rtsp://admin:pass@host/")])
    assert redactor.redact("passed the admin, pass, user=admin_password=pass_x") == (
        "passed the ***, ***, user=***_password=***_x"
    )


@pytest.mark.parametrize("key", ["garage", "Garage", "front-door/garage", "front", "g%61rage"])
def test_a_camera_that_is_pushed_under_its_own_name_is_shown(key: str) -> None:
    urls = ["rtmp://admin:canary7@server/live/" + key, "rtsp://cam/1", "/rec/garage", "/rec/front-door"]
    redactor = Redactor(map(StreamUrl, urls), shown=["garage", "front-door"])
    for line in ("garage: is written again", "/rec/garage: 3 GB free", "front-door: no status", "/rec/front-door"):
        assert redactor.redact(line) == line
    assert "canary7" not in redactor.redact(f"{urls[0]} canary7 admin:canary7")


@pytest.mark.parametrize("password", ["garage", "garage7"])
def test_a_password_is_hidden_though_a_camera_bears_it(password: str) -> None:
    for url in (
        f"rtsp://admin:{password}@cam/",
        f"rtsp://cam/user=a_password={password}",
        f"rtmp://s/live/k?p={password}",
    ):
        assert password not in Redactor([StreamUrl(url)], shown=["garage", "garage7"]).redact(f"password={password}")


def test_the_name_of_a_user_that_a_camera_or_its_host_bears_is_shown() -> None:
    redactor = Redactor([StreamUrl("rtsp://garage:canary7@garage.lan/")], shown=["garage"])
    assert redactor.redact("garage: rtsp://garage:canary7@garage.lan/ canary7") == "garage: rtsp://garage.lan ***"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("rtsp://us.er:p@ss@h/x", "rtsp://***@h/x"),
        ("rtsp://:pass@h,rtsp://a:b/c#d@h2", "rtsp://***@h,rtsp://***@h2"),
        ("see http://h/x?token=abc now", "see http://h/x?*** now"),
        ("http://h/x and me@home", "http://h/x and me@home"),
    ],
)
def test_an_address_that_nobody_registered_loses_its_user_its_password_and_its_query(said: str, written: str) -> None:
    assert Redactor([]).redact(said) == written


def test_a_path_holds_no_secret() -> None:
    assert StreamUrl("recordings/a:b@c").secrets() == frozenset()
    assert str(StreamUrl("recordings/a:b@c")) == "recordings/a:b@c"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    redactor = Redactor([StreamUrl("http://h/?a=canary77&b=nary77xyz")])
    assert redactor.redact("canary77xyz") == "***"


def test_a_line_without_end_is_cut_where_no_secret_shows() -> None:
    secret = "canary" * 20
    written = through(
        Redactor([StreamUrl(f"rtsp://u:{secret}@h/")]),
        lambda writer: [writer.write(piece) for piece in ("x" * 4000, secret, secret * 200, "tail\n", "next\n")],
    )
    assert "canary" not in written
    assert written.endswith("***\nnext\n")
    assert len(written) < 4200


def test_a_reader_that_is_gone_or_stands_still_holds_nobody_up(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        clean = RedactingStream(stream, Redactor([]))
        for number in range(2000):
            print("x" * 100, number, file=clean)  # a pipe holds 64 KiB of that
        read = os.read(reader, 1 << 20)
        print("again", file=clean)
        read = os.read(reader, 1 << 20)
        assert b"lines were dropped" in read
        assert read.endswith(b"again\n")
        os.close(reader)
        print("to nobody", file=clean)


def through(redactor: Redactor, write: Callable[[TextIO], object]) -> str:
    """What a writer let through."""
    reader, end = os.pipe()
    with open(reader) as result:
        with open(end, "w") as stream:
            write(RedactingStream(stream, redactor))
        return result.read()
