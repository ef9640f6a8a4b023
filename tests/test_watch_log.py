"""What a watched folder holds, and the log of what became of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import full_disk

from vidsr.errors import TargetError
from vidsr.watch import LOG_NAME, Entry, Settling, Stamp, WatchLog, scan


def test_a_file_is_settled_when_it_has_kept_its_stamp(tmp_path: Path) -> None:
    warnings: list[str] = []
    settling, path = Settling(10, warnings.append), tmp_path / "a.mp4"
    assert list(settling.settled({path: Stamp(1, 1)}, 0)) == []
    assert list(settling.settled({path: Stamp(2, 1)}, 9)) == []
    assert list(settling.settled({path: Stamp(2, 1)}, 18)) == []
    assert list(settling.settled({path: Stamp(2, 1)}, 19)) == [path]
    assert list(settling.settled({path: Stamp(2, 2)}, 20)) == []
    assert list(settling.settled({}, 30)) == []
    assert list(settling.settled({path: Stamp(0, 2)}, 31)) == []
    assert list(settling.settled({path: Stamp(0, 2)}, 60)) == [], "it is empty: its writer has just begun"


def test_a_file_that_grows_for_ever_is_reported_once(tmp_path: Path) -> None:
    warnings: list[str] = []
    settling, path = Settling(10, warnings.append), tmp_path / "a.mp4"
    for second in range(2000):
        assert list(settling.settled({path: Stamp(second + 1, 1)}, second)) == []
    assert warnings == [f"{path}: has been growing for 601 s; it waits until it ends"]


def entry(**facts: object) -> Entry:
    return Entry(**{"source": "a.mp4", "size": 5, "mtime_ns": 7, "target": "a.mp4", **facts})  # type: ignore[arg-type]


@contextmanager
def log_of(folder: Path, *before: Entry) -> Iterator[WatchLog]:
    with WatchLog(folder) as log:
        for each in before:
            log.add(each)
    with WatchLog(folder) as log:
        yield log


def test_the_log_knows_what_was_done_and_what_a_crash_has_interrupted(tmp_path: Path) -> None:
    stamp = Stamp(5, 7)
    with log_of(tmp_path, entry(code=0)) as log:
        assert log.knows("a.mp4", stamp)
        assert not log.knows("a.mp4", Stamp(6, 7))
        assert not log.knows("b.mp4", stamp)
        assert log.has_made("a.mp4", "a.mp4")
        assert log.is_taken("b.mp4", "a.mp4")
        assert not log.is_taken("a.mp4", "a.mp4")
    with log_of(tmp_path, entry(), entry(attempt=2)) as log:
        assert not log.knows("a.mp4", stamp)
        assert log.attempts("a.mp4", stamp) == 2
        (tmp_path / "a.mp4").write_text("complete: it appears at once")
        assert log.knows("a.mp4", stamp)
    with log_of(tmp_path, entry(replaces=True)) as log:
        assert not log.knows("a.mp4", stamp), "the target is the old one"
        assert log.has_made("a.mp4", "a.mp4")
    with (tmp_path / LOG_NAME).open("ab") as file:
        file.write(b'{"source": "c.mp4", "si')
    with log_of(tmp_path, entry(source="d.mp4", code=3)) as log:
        assert log.attempts("a.mp4", stamp) == 1
        assert log.knows("d.mp4", stamp)
        assert not log.has_made("d.mp4", "a.mp4")


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).mkdir()
    with pytest.raises(TargetError, match=f"{LOG_NAME}: Is a directory"):
        WatchLog(tmp_path)


def test_a_disk_that_fills_up_costs_no_line_but_the_one_that_is_refused(tmp_path: Path) -> None:
    with WatchLog(tmp_path) as log:
        log.add(entry(code=0))
        size = (tmp_path / LOG_NAME).stat().st_size
        for room in (size // 2, 0):
            with full_disk(size + room), pytest.raises(TargetError, match=f"{LOG_NAME}: "):
                log.add(entry(source="b.mp4", code=0))
            size += room
        log.add(entry(source="c.mp4", code=0))
    with full_disk(size), WatchLog(tmp_path) as log:
        assert [log.knows(name, Stamp(5, 7)) for name in ("a.mp4", "b.mp4", "c.mp4")] == [True, False, True]


def test_a_line_that_is_none_of_the_log_is_left_out(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).write_text("\n".join(["[" * 100_000, '{"source": 5}', "[]", '{"source": "c.mp4", "si']))
    with full_disk((tmp_path / LOG_NAME).stat().st_size), WatchLog(tmp_path) as log:
        assert log.last("c.mp4") is None


def test_links_to_folders_are_not_followed_and_own_folders_not_watched(tmp_path: Path) -> None:
    (tmp_path / "sub" / "own").mkdir(parents=True)
    (tmp_path / "sub" / "round").symlink_to(tmp_path)
    for name in ("a.mp4", "sub/b.mp4", "sub/own/c.mp4"):
        (tmp_path / name).write_text("x")
    found = scan(tmp_path, lambda path: path.suffix == ".mp4", (tmp_path / "sub" / "own",))
    assert sorted(found) == [tmp_path / "a.mp4", tmp_path / "sub" / "b.mp4"]
