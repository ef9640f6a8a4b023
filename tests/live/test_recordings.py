"""Moments are found in recordings, and exported exactly."""

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest
from commands import DAMAGED, SOURCE, TARGET, USAGE, Command, contents, full_disk
from numpy.typing import NDArray
from recorder_feed import RATE, camera_clip, play, recorder, segments

from vidsr.media.recording_export import export_recording
from vidsr.media.recording_index import RecordedSegment, RecordingIndex
from vidsr.media.recording_playback import write_fragmented
from vidsr.media.sink.retention import finished_segments, unfinished_parts

LATER = 1e12


def lumas(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """The luma of all frames, as players show them."""
    found = []
    for path in paths:
        with av.open(path) as container:
            found += [frame.reformat(format="gray").to_ndarray() for frame in container.decode(video=0)]
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the directory of a camera, of six seconds in segments of two."""
    folder = tmp_path_factory.mktemp("recorded")
    clip = camera_clip(folder / "camera.mp4", seconds=6)
    with recorder(folder / "all/front", segment_s=2, original=True) as made:
        play(made, clip, live=True)
    return folder / "all"


def test_the_index_is_restored_from_the_files_and_forgets_those_that_are_gone(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / "front"
    shutil.copytree(recorded / "front", folder)
    for _ in range(2):
        with RecordingIndex(folder) as index:
            found = list(index.segments(0, LATER))
        assert [each.path for each in found if not each.original] == segments(folder)
        assert sum(each.seconds for each in found if not each.original) == pytest.approx(6, abs=0.1)
        starts = [each.start_s for each in found if not each.original]
        assert np.diff(starts) == pytest.approx([2.4, 2.4], abs=0.3)  # a key frame every 0.8 s
        (folder / ".index.sqlite").unlink()
    (folder / ".index.sqlite").write_bytes(b"damaged" * 1000)
    found[0].path.unlink()
    with RecordingIndex(folder) as index:
        assert [each.path for each in index.segments(0, LATER)] == [each.path for each in found[1:]]


def test_a_directory_is_indexed_while_its_oldest_segments_are_deleted(tmp_path: Path) -> None:
    days = [tmp_path / f"2026-01-{number:02}" for number in range(1, 29)]
    for day in days:
        day.mkdir()
        for minute in range(60):
            (day / f"12-{minute:02}-00.mp4").touch()

    def delete() -> None:
        for day in days:
            shutil.rmtree(day)

    with ThreadPoolExecutor(1) as pool:
        deletion = pool.submit(delete)
        while not deletion.done():
            list(finished_segments(tmp_path))
            unfinished_parts(tmp_path)
            RecordingIndex(tmp_path).__exit__()
        deletion.result()


def test_a_name_that_is_damaged_or_no_text_is_indexed(recorded: Path, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "front") + b"\xff"))
    shutil.copytree(recorded / "front", folder, ignore=shutil.ignore_patterns(".*"))
    titled = segments(folder)[0].with_name("12-00-00.mp4")
    with av.open(segments(folder)[0]) as source, av.open(titled, "w") as output:
        output.metadata["title"] = "front-door"
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = copy
            output.mux(packet)
    titled.write_bytes(titled.read_bytes().replace(b"front-door", b"front\xffdoor"))
    with RecordingIndex(folder) as index:
        assert index.cameras() == {"front\ufffddoor", "front\ufffd"}


@pytest.mark.parametrize("original", [False, True])
def test_a_moment_is_exported_exactly_over_the_border_of_segments(
    original: bool, recorded: Path, tmp_path: Path, vidsr: Command
) -> None:
    with RecordingIndex(recorded / "front") as index:
        parts = [each for each in index.segments(0, LATER) if each.original == original]
    since, until = (datetime.fromtimestamp(parts[0].start_s + at_s).isoformat() for at_s in (1.01, 4.01))
    kind = ["--original"] if original else []
    times = ["--camera", "front", "--from", since, "--to", until]
    listed = vidsr("recordings", "list", recorded, *times, *kind, "--json")
    assert [each["path"] for each in json.loads(listed.out)] == [str(each.path) for each in parts[:2]]
    ended = vidsr("recordings", "export", recorded, *times, *kind, "--output", tmp_path / "moment.mp4")
    assert (ended.code, ended.out) == (0, f"{tmp_path / 'moment.mp4'}\n"), ended.err
    shown, all_ = lumas([tmp_path / "moment.mp4"]), lumas([each.path for each in parts])
    assert len(shown) in (3 * RATE, 3 * RATE + 1)  # with the one that is shown when the moment begins
    first = len(shown) - 3 * RATE
    assert all(np.array_equal(a, b) for a, b in zip(shown[first:], all_[RATE + 1 :], strict=False))
    with av.open(tmp_path / "moment.mp4") as container:
        assert container.streams.audio[0].duration * container.streams.audio[0].time_base == pytest.approx(3, abs=0.1)


def test_what_cannot_be_exported_is_said(recorded: Path, tmp_path: Path, vidsr: Command) -> None:
    (tmp_path / "there.mp4").touch()
    for code, words, arguments in [
        (SOURCE, "nothing is recorded of that time", ["--to", "2020-01-01T10:00", "--output", tmp_path / "x.mp4"]),
        (USAGE, "no camera 'back'; there are front\n", ["--camera", "back", "--output", tmp_path / "x.mp4"]),
        (TARGET, "must end in one of .m4v .mkv .mov .mp4 .nut .ts .webm\n", ["--output", tmp_path / "x.png"]),
        (TARGET, "x.webm: 'webm' format does not support 'h264' codec; use .mkv", ["--output", tmp_path / "x.webm"]),
        (TARGET, "there.mp4: already exists", ["--output", tmp_path / "there.mp4"]),
        (USAGE, "export takes --output FILE", []),
        (USAGE, "a time must be like 14:02", ["--from", "noon"]),
    ]:
        ended = vidsr("recordings", "export", recorded, *arguments)
        assert ended.code == code
        assert words in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["there.mp4"]
    for option in (["--output", tmp_path / "x.mp4"], ["--overwrite"], ["--model", "auto"], ["--scale", 2]):
        assert vidsr("recordings", "list", recorded, *option).code == USAGE
    assert vidsr("recordings", "list", recorded, "--camera", "back").code == USAGE


def test_a_disk_that_is_full_at_the_end_of_an_export_is_said(recorded: Path, tmp_path: Path, vidsr: Command) -> None:
    whole = tmp_path / "whole.mp4"
    assert vidsr("recordings", "export", recorded, "--output", whole).code == 0
    before = contents(tmp_path)
    with full_disk(whole.stat().st_size - 500):  # within the index
        ended = vidsr("recordings", "export", recorded, "--output", tmp_path / "x.mp4")
        assert (ended.code, f"{tmp_path / 'x.mp4'}: File too large" in ended.err) == (TARGET, True)
        ended = vidsr("recordings", "export", recorded, "--output", whole, "--overwrite")
    with full_disk(20_000):
        assert vidsr("recordings", "export", recorded, "--output", tmp_path / "x.mp4").code == TARGET
    assert contents(tmp_path) == before


def test_a_moment_is_upscaled_now_from_the_original(
    recorded: Path, tmp_path: Path, vidsr: Command, tiny_model: str
) -> None:
    with RecordingIndex(recorded / "front") as index:
        first = next(iter(index.segments(0, LATER)))
    since, until = (datetime.fromtimestamp(first.start_s + at_s).isoformat() for at_s in (1.01, 3.01))
    target = tmp_path / "moment.mp4"
    times = ["--from", since, "--to", until, "--output", target]
    ended = vidsr("recordings", "export", recorded, *times, "--model", tiny_model)
    assert (ended.code, ended.out) == (0, f"{target}\n"), ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moment.mp4"]
    shown = lumas([target])
    assert len(shown) in (2 * RATE, 2 * RATE + 1)
    assert shown[0].shape == (96, 128)
    again = vidsr("recordings", "export", recorded, *times, "--model", tiny_model)
    assert (again.code, "already exists" in again.err) == (TARGET, True)
    nowhere = vidsr("recordings", "export", recorded, "--model", tiny_model, "--output", tmp_path / "none/x.mp4")
    assert (nowhere.code, "No such file or directory" in nowhere.err) == (TARGET, True)
    both = vidsr("recordings", "export", recorded, *times, "--original", "--model", tiny_model)
    assert (both.code, "--original and --model exclude each other" in both.err) == (USAGE, True)


def test_an_error_names_the_output_and_not_a_temporary_file(
    recorded: Path, tmp_path: Path, vidsr: Command, tiny_model: str
) -> None:
    ended = vidsr("recordings", "export", recorded, "--model", tiny_model, "--output", tmp_path / "e7.txt")
    assert ended.code == TARGET
    assert f"{tmp_path / 'e7.txt'}: the name must end in one of" in ended.err


def test_no_export_replaces_a_segment(recorded: Path, tmp_path: Path, vidsr: Command, tiny_model: str) -> None:
    segment = segments(recorded / "front")[1]
    before = segment.read_bytes()
    (tmp_path / "link.mp4").symlink_to(segment)
    for output in (segment, tmp_path / "link.mp4"):
        for more in ([], ["--model", tiny_model]):
            ended = vidsr("recordings", "export", recorded, "--output", output, "--overwrite", *more)
            assert (ended.code, "is a segment of a recording" in ended.err) == (TARGET, True)
    assert segment.read_bytes() == before


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_segment_is_named_and_the_others_are_exported(
    number: int, indexed: bool, recorded: Path, tmp_path: Path, vidsr: Command
) -> None:
    folder, target = tmp_path / "front", tmp_path / "all.mp4"
    shutil.copytree(recorded / "front", folder)
    if not indexed:
        (folder / ".index.sqlite").unlink(missing_ok=True)
    parts = segments(folder)
    parts[number].write_bytes(parts[number].read_bytes()[: parts[number].stat().st_size // 2])
    target.touch()
    ended = vidsr("recordings", "export", folder, "--output", target, "--overwrite")
    assert (ended.code, ended.out) == (DAMAGED, f"{target}\n"), ended.err
    assert f"{parts[number]}: " in ended.err
    whole = lumas([each for each in parts if each != parts[number]])
    shown = lumas([target])
    assert all(any(np.array_equal(frame, each) for each in shown) for frame in whole)
    with av.open(target) as container:
        assert (container.duration or 0) / av.time_base == pytest.approx(6 if number else 3.6, abs=0.3)
    for part in parts:
        part.write_bytes(b"damaged")
    assert vidsr("recordings", "export", folder, "--output", tmp_path / "none.mp4").code == SOURCE
    assert not (tmp_path / "none.mp4").exists()


def test_what_is_readable_of_a_damaged_segment_is_exported(tmp_path: Path) -> None:
    whole = camera_clip(tmp_path / "whole.mkv", audio=0)
    cut, target = tmp_path / "cut.mkv", tmp_path / "out.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    parts = [
        RecordedSegment(path=path, camera="a", start_s=start_s, seconds=4, size=1, original=False)
        for path, start_s in [(cut, 100), (whole, 104)]
    ]
    paths, damage = export_recording(parts, target, since_s=100, until_s=108, overwrite=False)
    assert paths == [target]
    assert [sentence.partition(": ")[0] for sentence in damage] == [str(cut)]
    assert 4 * RATE < len(lumas([target])) < 7 * RATE


def test_a_damaged_segment_is_played_up_to_where_its_times_run_backwards(tmp_path: Path) -> None:
    clip, damaged, target = camera_clip(tmp_path / "clip.mp4", audio=0), tmp_path / "cut.mkv", tmp_path / "out.mp4"
    with av.open(clip) as source, av.open(damaged, "w", options={"cluster_time_limit": "1000"}) as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            packet.stream = copy
            output.mux(packet)
    content = bytearray(damaged.read_bytes())
    time_at = content.index(b"\xe7", content.rindex(b"\x1f\x43\xb6\x75")) + 2  # of the last cluster, in two bytes
    assert int.from_bytes(content[time_at : time_at + 2], "big") > 2000
    content[time_at : time_at + 2] = bytes(2)
    damaged.write_bytes(content)
    assert write_fragmented(damaged, target, start_s=0.0, headers_only=False) > 0
    assert 2 * RATE < len(lumas([target])) < 4 * RATE


@pytest.mark.parametrize("limit", [500, 5_000, 40_000])
def test_a_disk_that_is_full_is_no_damage_of_the_segment_that_is_played(limit: int, tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "clip.mp4")
    with full_disk(limit), pytest.raises(OSError, match="File too large"):
        write_fragmented(clip, tmp_path / "out.mp4", start_s=0.0, headers_only=False)


def test_packets_that_no_file_can_hold_are_damage(recorded: Path, tmp_path: Path, vidsr: Command) -> None:
    folder, target = tmp_path / "front", tmp_path / "out.mp4"
    shutil.copytree(recorded / "front", folder)
    bad = segments(folder)[0]
    content = bytearray(bad.read_bytes())
    begin, half = content.index(b"mdat") + 4, len(content) // 2
    content[begin : begin + half] = bytes([255]) * half
    bad.write_bytes(content)
    ended = vidsr("recordings", "export", folder, "--output", target)
    assert ended.code == DAMAGED
    assert f"{bad}: " in ended.err
    assert lumas([target])


def test_damage_of_the_original_is_told_where_it_is_upscaled(
    recorded: Path, tmp_path: Path, vidsr: Command, tiny_model: str
) -> None:
    shutil.copytree(recorded / "front", tmp_path / "front")
    with RecordingIndex(tmp_path / "front") as index:
        original = next(each.path for each in index.segments(0, LATER) if each.original)
    with av.open(original) as container:
        inside = [packet.pos + packet.size // 2 for packet in container.demux(video=0) if packet.size]
    data = bytearray(original.read_bytes())
    for place in inside[3:12]:
        data[place : place + 8] = b"\xff" * 8
    original.write_bytes(data)
    target = tmp_path / "moment.mp4"
    ended = vidsr("recordings", "export", tmp_path / "front", "--model", tiny_model, "--output", target)
    assert ended.code == DAMAGED
    assert "frames or packets of the source are damaged" in ended.err
    assert target.exists()
