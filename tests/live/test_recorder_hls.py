"""HLS playlists."""

import itertools
import re
from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from commands import full_disk
from recorder_feed import RATE, SECOND, camera_clip, play, recorder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera") / "camera.mp4", seconds=5)


def ended(playlist: Path) -> Path:
    """The playlist for a player that does not wait for more."""
    copy = playlist.with_name("ended.m3u8")
    copy.write_text(playlist.read_text() + "#EXT-X-ENDLIST\n")
    return copy


def test_a_player_finds_the_frames_and_the_audio(clip: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "live.m3u8"
    with recorder(playlist) as made:
        fed = play(made, clip)
        assert made.target_states == {str(playlist): "ok"}
    counts = {"video": 0, "audio": 0}
    with av.open(ended(playlist)) as container:
        for packet in container.demux():
            counts[packet.stream.type] += len(packet.decode())
    assert counts["video"] == fed.frames
    assert counts["audio"] > 200


def test_every_segment_begins_at_a_key_frame_two_seconds_after_the_last(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "live.m3u8") as made:
        play(made, clip)
    text = (tmp_path / "live.m3u8").read_text()
    assert [float(length) for length in re.findall(r"#EXTINF:([\d.]+)", text)] == pytest.approx([2, 2, 1], abs=0.01)
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in text
    assert text.count("#EXT-X-PROGRAM-DATE-TIME") == 3


def test_another_size_continues_the_playlist(clip: Path, tmp_path: Path) -> None:
    playlist, seen = tmp_path / "live.m3u8", list[list[int]]()

    def look(_frame: int) -> None:
        if playlist.exists():
            seen.append([int(number) for number in re.findall(r"live-(\d+)\.m4s", playlist.read_text())])

    with recorder(playlist) as made:
        for number, size in enumerate([(64, 48), (96, 80), (64, 48)]):
            play(made, clip, start=9 * number * SECOND, size=size, on_frame=look)
    listed = sorted({number for numbers in seen for number in numbers})
    assert listed == list(range(listed[0], listed[-1] + 1))
    assert all(numbers == sorted(numbers) and len(numbers) <= 5 for numbers in seen)
    assert all(before[-1] in numbers for before, numbers in itertools.pairwise(seen))
    text = playlist.read_text()
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    (passed,) = map(int, re.findall(r"#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)", text))
    assert passed == 1  # the first of two discontinuities has left the list
    with av.open(ended(playlist)) as container:
        frames = list(container.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(64, 48), (96, 80)}
    assert len(frames) == (3 + 5) * RATE
    assert not any(frame.is_corrupt for frame in frames)
    with recorder(playlist) as made:  # the number goes on: a player may go on, too
        play(made, clip)
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:3\n" in playlist.read_text()


def test_only_the_last_seconds_are_kept_and_a_new_start_leaves_none_of_the_old(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=24)
    folder = tmp_path / "live"
    (folder / "other-1.m4s").parent.mkdir()
    (folder / "other-1.m4s").write_text("somebody else's")
    with recorder(folder / "live.m3u8") as made:
        play(made, clip)
    first = {path.name for path in folder.iterdir()}
    assert len([name for name in first if name.endswith(".m4s")]) <= 8
    with recorder(folder / "live.m3u8"):
        assert [path.name for path in folder.iterdir()] == ["other-1.m4s"]


def test_a_segment_that_is_cut_off_by_a_full_disk_is_not_listed(clip: Path, tmp_path: Path) -> None:
    playlist, warnings, disk = tmp_path / "live.m3u8", list[str](), ExitStack()

    def fill(number: int) -> None:
        if number == 3 * RATE:
            disk.enter_context(full_disk(4000))

    with recorder(playlist, warnings=warnings) as made, disk:
        play(made, clip, on_frame=fill)
        assert made.target_states == {str(playlist): warnings[0].partition(": ")[2].partition("; ")[0]}
    assert re.search(r"live-\d+\.m4s is cut off: the disk is full, or was; retrying until it works$", warnings[0])
    assert re.findall(r"#EXTINF:([\d.]+)", playlist.read_text()) == ["2.000000"]
