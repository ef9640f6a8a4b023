"""Atomic files: the target appears complete or not at all, under exactly its name; no other file is read."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path

import av
import pytest
from footage import make_video, scene_frames, upscale
from fork_server import run_forked
from oracles import read_with_av

from vidsr.errors import SourceError, TargetError
from vidsr.media.atomic_file import part_path
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer

NAMES = [
    "a:b.mp4",
    "http:x.mp4",
    "concat:a.mp4|b.mp4",
    "subfile,,start,0,end,99,,:a.mp4",
    "file:a.mp4",
    "-y\n.mp4",
    "%03d.mp4",
    "50% off?.mp4",
    "été 映画 .mp4",
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return make_video(tmp_path / "source" / "in.mp4", scene_frames(6))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def write_and_fail(source: Path, target: Path, *, count: int, overwrite: bool = False) -> None:
    with Reader(source) as reader, Writer(target, reader.template, size=(32, 24), overwrite=overwrite) as writer:
        for frame in islice(reader, count):
            writer.write(frame.av_frame, frame.packets)
        raise KeyError("in the middle")


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize("count", [0, 6, 90])
def test_a_failure_leaves_nothing(count: int, suffix: str, tmp_path: Path, folder: Path) -> None:
    source = make_video(tmp_path / "in.mp4", scene_frames(90))
    with pytest.raises(KeyError):
        write_and_fail(source, folder / f"out.{suffix}", count=count)
    assert list(folder.iterdir()) == []


def test_a_failure_keeps_the_existing_target(source: Path, folder: Path) -> None:
    (folder / "out.mp4").write_bytes(b"precious")
    with pytest.raises(KeyError):
        write_and_fail(source, folder / "out.mp4", count=3, overwrite=True)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("out.mp4", b"precious")]


def test_the_target_is_replaced_on_finish(source: Path, folder: Path) -> None:
    target = folder / "out.mp4"
    target.write_bytes(b"precious")
    with Reader(source) as reader, Writer(target, reader.template, size=(32, 24), overwrite=True) as writer:
        for frame in reader:
            writer.write(frame.av_frame, frame.packets)
        assert target.read_bytes() == b"precious"
        writer.finish(reader.trailing_packets())
        assert len(read_with_av(target).times) == 6
    assert [path.name for path in folder.iterdir()] == ["out.mp4"]


def test_of_two_runs_for_one_target_the_later_one_wins(source: Path, folder: Path) -> None:
    target = folder / "out.mp4"
    with (
        Reader(source) as one,
        Reader(source) as two,
        Writer(target, one.template, size=(32, 24)) as earlier,
        Writer(target, two.template, size=(32, 24)) as later,
    ):
        for frame in one:
            earlier.write(frame.av_frame, frame.packets)
        with pytest.raises(TargetError, match="another run writes the same file"):
            earlier.finish(one.trailing_packets())
        for frame in two:
            later.write(frame.av_frame, frame.packets)
        later.finish(two.trailing_packets())
    assert len(read_with_av(target).times) == 6
    assert [path.name for path in folder.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("kind", ["same", "symlink", "hard link", "link at the part"])
def test_the_source_is_never_the_target(kind: str, source: Path, tiny_model: str) -> None:
    target, before = source.with_name("out.mp4"), source.read_bytes()
    if kind == "same":
        target = source
    elif kind == "symlink":
        target.symlink_to(source)
    elif kind == "hard link":
        os.link(source, target)
    else:
        target.with_name("out.mp4.vidsr.part").symlink_to(source)
    with pytest.raises(TargetError, match="is the source itself"):
        upscale(source, target, tiny_model, overwrite=True)
    assert source.read_bytes() == before


def test_a_link_at_the_part_file_is_not_followed(source: Path, folder: Path, tiny_model: str) -> None:
    (folder / "precious").write_bytes(b"precious")
    (folder / "out.mp4.vidsr.part").symlink_to(folder / "precious")
    upscale(source, folder / "out.mp4", tiny_model)
    assert (folder / "precious").read_bytes() == b"precious"
    assert {path.name for path in folder.iterdir()} == {"out.mp4", "precious"}


def test_a_part_file_of_another_program_is_left_alone(source: Path, folder: Path, tiny_model: str) -> None:
    (folder / "out.mp4.part").write_bytes(b"mine")
    upscale(source, folder / "out.mp4", tiny_model)
    assert (folder / "out.mp4.part").read_bytes() == b"mine"
    assert {path.name for path in folder.iterdir()} == {"out.mp4", "out.mp4.part"}


def test_a_part_file_of_an_interrupted_run_is_replaced(source: Path, folder: Path, tiny_model: str) -> None:
    part_path(folder / "out.mp4").write_bytes(b"half")
    upscale(source, folder / "out.mp4", tiny_model)
    assert [path.name for path in folder.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("name", ["n" * 247 + ".mp4", "n" * 251 + ".mp4", "д" * 124 + "ab.mp4", "д" * 125 + "a.mkv"])
def test_a_name_may_be_as_long_as_the_system_allows(name: str, source: Path, folder: Path, tiny_model: str) -> None:
    upscale(source, folder / name, tiny_model)
    assert [path.name for path in folder.iterdir()] == [name]
    other = name.replace(name[-5], "x")
    assert part_path(folder / name) != part_path(folder / other)


def test_a_name_longer_than_the_system_allows_is_one_sentence(source: Path, folder: Path, tiny_model: str) -> None:
    with pytest.raises(TargetError, match="File name too long"):
        upscale(source, folder / ("n" * 252 + ".mp4"), tiny_model)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "open"])
def test_a_folder_that_cannot_be_synced_is_no_failure(
    call: str, source: Path, folder: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CIFS and some of FUSE answer; a folder may also be closed to reading."""

    def refuse(*arguments: object) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, call, refuse)
    upscale(source, folder / "out.mp4", tiny_model)
    monkeypatch.undo()
    assert len(read_with_av(folder / "out.mp4").times) == 6


def test_data_that_does_not_reach_the_disk_is_a_failure(
    source: Path, folder: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(TargetError, match="Input/output error"):
        upscale(source, folder / "out.mp4", tiny_model)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_special_characters_in_a_name_are_literal(name: str, source: Path, folder: Path, tiny_model: str) -> None:
    for other in ("a.mp4", "b.mp4", "x.mp4", "001.mp4"):
        make_video(folder / other, scene_frames(1, size=(64, 64)))
    (folder / name).write_bytes(source.read_bytes())
    with Reader(folder / name) as reader:
        assert (reader.info.width, len(list(reader))) == (32, 6)
    upscale(source, folder / f"2 {name}", tiny_model)
    upscale(source, folder / name, tiny_model, overwrite=True)
    assert len(read_with_av(folder / name).times) == 6
    assert (folder / name).read_bytes() == (folder / f"2 {name}").read_bytes()
    assert len(list(folder.iterdir())) == 6


def test_a_file_name_pattern_opens_one_image(folder: Path) -> None:
    for number in range(3):
        make_video(folder / f"x{number:03d}.png", scene_frames(1, "rgb24"), codec="png")
    (folder / "x%03d.png").write_bytes(
        make_video(folder / "y.png", scene_frames(1, "rgb24", size=(40, 30)), codec="png").read_bytes()
    )
    with Reader(folder / "x%03d.png") as reader:
        assert (reader.info.width, len(list(reader))) == (40, 1)


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """The URL of a server and the list of its requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{url}/a.mp4'\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{url}/</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "asx": '<asx version="3.0"><entry><ref href="{url}/a.wmv"/></entry></asx>',
    "rtsptext": "RTSPtext\nrtsp://127.0.0.1/a\n",
}


@pytest.mark.parametrize("suffix", ["mp4", "ts", "m3u8", "mkv"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_nothing(
    kind: str, suffix: str, canary: tuple[str, list[str]], source: Path, folder: Path
) -> None:
    url, asked = canary
    for address in (url, f"file://{source.parent}"):
        path = folder / f"list.{suffix}"
        path.write_text(PLAYLISTS[kind].format(url=address))
        with pytest.raises(SourceError, match="not a media file"):
            Reader(path)
    assert asked == []


@pytest.mark.parametrize("name", ["{url}/a.mp4", "concat:{url}/a.mp4", "crypto:{url}/a.mp4", "async:{url}/a.mp4"])
def test_a_url_is_read_as_a_file_name(name: str, canary: tuple[str, list[str]]) -> None:
    url, asked = canary
    with pytest.raises(SourceError, match="No such file"):
        Reader(Path(name.format(url=url)))
    assert asked == []


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_encoders_are_silent(codec: str, source: Path, folder: Path, tiny_model: str) -> None:
    command = ["upscale", "-q", "--workers", "0", "--model", tiny_model, "--codec", codec, source, folder / "out.mkv"]
    make_video(source, scene_frames(6, size=(64, 64)))
    done = run_forked([sys.executable, "-m", "vidsr", *command])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


KILLED = """
import os, signal, sys
from pathlib import Path
from vidsr.media.reader import Reader
from vidsr.media.writer import Writer
with Reader(Path(sys.argv[1])) as reader, Writer(Path(sys.argv[2]), reader.template, size=(32, 24)) as writer:
    for frame in reader:
        writer.write(frame.av_frame, frame.packets)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_killed_writer_leaves_a_playable_part(suffix: str, folder: Path) -> None:
    source = make_video(folder / "in.mp4", scene_frames(400), options={"preset": "ultrafast"})
    target = folder / f"out.{suffix}"
    done = run_forked([sys.executable, "-c", KILLED, source, target])
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    found = 0
    with av.open(f"file:{target}.vidsr.part") as container:
        for packet in container.demux(video=0):
            found += len(packet.decode())
    assert found > 200
