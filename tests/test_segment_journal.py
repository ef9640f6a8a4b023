"""The journal: what is finished is believed by its hash, and nothing else is."""

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from commands import full_disk

from vidsr.errors import TargetError
from vidsr.media.packet_data import PacketData
from vidsr.segments.journal import SegmentJournal, segment_bytes, segment_of_bytes
from vidsr.segments.plan import PlannedSegment
from vidsr.segments.work import UpscaledSegment

KEY = {"the source": "one", "the encoder": "crf=18"}


def segment(index: int, data: bytes = b"in") -> PlannedSegment:
    return PlannedSegment(
        index=index, packets=(PacketData(data=data, pts=index, dts=index),), start=index, end=index + 1
    )


def done(index: int, size: int = 10) -> UpscaledSegment:
    return UpscaledSegment(
        index=index,
        packets=(
            PacketData(data=bytes([index]) * size, pts=2, dts=-1, duration=1, key=True),
            PacketData(data=b"", pts=1, dts=0),
        ),
        headers=b"\0\xff\n",
        times=(1, 2),
        corrupt=1,
        before_key=0,
        retimed=0,
        flattened=0,
        resized=False,
        dropped=("captions",),
        precision="int8",
        precision_why="fast",
        warnings=(),
        reused=0.25,
    )


def made(target: Path, count: int) -> Path:
    """A journal of so many finished segments."""
    with SegmentJournal(target, KEY) as journal:
        for index in range(count):
            assert journal.get(segment(index)) is None
            journal.put(done(index))
        return journal.folder


def kept(target: Path, count: int, key: dict[str, str] = KEY) -> list[bool]:
    """Which of the segments are believed."""
    with SegmentJournal(target, key) as journal:
        found = [journal.get(segment(index)) for index in range(count)]
    assert all(each in (None, done(index)) for index, each in enumerate(found))
    return [each is not None for each in found]


def test_finished_segments_are_found_by_the_same_run(tmp_path: Path) -> None:
    folder = made(tmp_path / "out.mp4", 3)
    assert folder == tmp_path / "out.mp4.segments"
    assert kept(tmp_path / "out.mp4", 4) == [True, True, True, False]


def test_a_segment_of_other_packets_is_none(tmp_path: Path) -> None:
    made(tmp_path / "out.mp4", 1)
    with SegmentJournal(tmp_path / "out.mp4", KEY) as journal:
        assert journal.get(segment(0, b"other")) is None
        assert journal.get(replace(segment(0), end=5)) is None
        assert journal.get(segment(0)) == done(0)


def test_another_key_begins_anew_and_names_what_changed(tmp_path: Path) -> None:
    folder = made(tmp_path / "out.mp4", 2)
    with SegmentJournal(tmp_path / "out.mp4", KEY | {"the encoder": "crf=20"}) as journal:
        assert journal.changed == ["the encoder"]
        assert list(folder.glob("*.segment")) == []
        assert journal.get(segment(0)) is None
        journal.put(done(0))
    assert kept(tmp_path / "out.mp4", 2) == [False, False]


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def forged(path: Path, content: bytes) -> None:
    """A segment that is none, with a hash that is right."""
    path.write_bytes(content)
    journal = path.parent / "journal"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[2]["sha256"] = hashlib.sha256(content).hexdigest()
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "harm",
    [
        flipped,
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: forged(path, b""),
        lambda path: forged(path, b"{}\n"),
        lambda path: forged(path, b"[]\n"),
        lambda path: forged(path, segment_bytes(done(1)).replace(b'"times": [1, 2]', b'"times": [1, "2"]')),
        lambda path: forged(path, segment_bytes(done(1)).replace(b'"reused": 0.25', b'"reused": null')),
        lambda path: forged(path, segment_bytes(done(1)).replace(b"[[10, 2", b"[[11, 2")),
        lambda path: forged(path, segment_bytes(done(1)).replace(b"[[10, 2", b'[["10", 2')),
        lambda path: forged(path, segment_bytes(done(1)).replace(b'"00ff0a"', b'"xx"')),
        lambda path: forged(path, segment_bytes(done(7))),
    ],
)
def test_a_segment_that_is_not_as_it_was_is_made_again(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    harm(made(tmp_path / "out.mp4", 3) / "000001.segment")
    assert kept(tmp_path / "out.mp4", 3) == [True, False, True]


@pytest.mark.parametrize(
    "line", [b'{"segment": 1, "sou', b"\0\xff garbage", b"[1, 2]\n", b'{"segment": "1"}\n', b"{}"]
)
def test_a_line_that_is_cut_off_or_none_costs_no_other(tmp_path: Path, line: bytes) -> None:
    folder = made(tmp_path / "out.mp4", 2)
    with (folder / "journal").open("ab") as journal:
        journal.write(line)
    with SegmentJournal(tmp_path / "out.mp4", KEY) as again:
        assert again.get(segment(2)) is None
        again.put(done(2))
    assert kept(tmp_path / "out.mp4", 3) == [True, True, True]


@pytest.mark.parametrize("content", [b"", b"garbage", b"garbage\n", b'{"key": 5}\n', b'{"segment": 0}\n'])
def test_a_journal_that_is_none_begins_anew(tmp_path: Path, content: bytes) -> None:
    folder = made(tmp_path / "out.mp4", 2)
    (folder / "journal").write_bytes(content)
    with SegmentJournal(tmp_path / "out.mp4", KEY) as journal:
        assert journal.changed == (["journal"] if content else [])
    assert kept(tmp_path / "out.mp4", 2) == [False, False]


def test_a_stop_names_no_folder_that_it_deletes(tmp_path: Path) -> None:
    with SegmentJournal(tmp_path / "out.mp4", KEY) as journal:
        assert journal.kept == "no segment is finished yet"
        assert journal.get(segment(0)) is None
        journal.put(done(0))
        assert journal.kept == f"1 finished segments are kept in {journal.folder}"


def test_a_folder_without_finished_segments_is_not_left_behind(tmp_path: Path) -> None:
    with SegmentJournal(tmp_path / "out.mp4", KEY):
        assert (tmp_path / "out.mp4.segments" / "journal").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("becomes_target", [True, False])
def test_a_run_that_ended_behind_its_last_step_leaves_no_segments(tmp_path: Path, becomes_target: bool) -> None:
    target, part = tmp_path / "out.mp4", tmp_path / "out.mp4.part"
    part.write_bytes(b"all of it")
    folder = made(target, 3)
    with SegmentJournal(target, KEY) as journal:
        journal.complete(part)
    assert folder.exists()
    if becomes_target:
        part.rename(target)
    else:
        target.write_bytes(b"of somebody")
    with pytest.raises(TargetError), SegmentJournal(target, KEY):
        raise TargetError("exists already")
    assert folder.exists() is not becomes_target


def test_files_of_others_stay(tmp_path: Path) -> None:
    folder = made(tmp_path / "out.mp4", 2)
    (folder / "precious").write_text("of somebody")
    with SegmentJournal(tmp_path / "out.mp4", KEY) as journal:
        journal.discard()
    assert [path.name for path in folder.iterdir()] == ["precious"]


def test_two_runs_do_not_share_a_journal(tmp_path: Path) -> None:
    made(tmp_path / "out.mp4", 1)
    another = pytest.raises(TargetError, match="another run works on these segments")
    with SegmentJournal(tmp_path / "out.mp4", KEY), another:
        SegmentJournal(tmp_path / "out.mp4", KEY | {"the source": "two"})
    assert kept(tmp_path / "out.mp4", 1) == [True]


def test_a_file_system_without_locks_has_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    made(tmp_path / "out.mp4", 2)
    assert kept(tmp_path / "out.mp4", 3) == [True, True, False]


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    with SegmentJournal(tmp_path / "out.mp4", KEY) as journal:
        for index in range(2):
            journal.get(segment(index))
        journal.put(done(0))
        with full_disk(2000), pytest.raises(TargetError, match=r"out.mp4.segments/000001.segment: File too large"):
            journal.put(done(1, size=5000))
    assert kept(tmp_path / "out.mp4", 2) == [True, False]


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.segments").write_text("mine")
    with pytest.raises(TargetError, match="File exists"):
        SegmentJournal(tmp_path / "out.mp4", KEY)


def test_a_segment_comes_back_as_it_was() -> None:
    assert segment_of_bytes(segment_bytes(done(3))) == done(3)
