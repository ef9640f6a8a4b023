"""Hours of which only the original is recorded, to be upscaled later."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from commands import SOURCE, Command
from kit.runs import BUSY_S, stream
from recorder_feed import RATE, camera_clip, play, read_recording, recorder, segments

import vidsr.media.sink.recorder
import vidsr.media.sink.recording_dir
from vidsr.media.recording_index import RecordingIndex
from vidsr.settings import RecordSettings

NIGHT = "22-6"


def at(hour: int, minute: int = 0) -> float:
    return datetime(2026, 11, 29, hour, minute).timestamp()


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("22-6", [(22, 0), (23, 59), (0, 0), (5, 59)], [(6, 0), (12, 0), (21, 59)]),
        ("8:30-17:15", [(8, 30), (17, 14)], [(8, 29), (17, 15), (0, 0)]),
        ("always", [(0, 0), (12, 0)], []),
        ("never", [], [(0, 0), (12, 0)]),
    ],
)
def test_hours_may_pass_midnight(hours: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]) -> None:
    record = RecordSettings(original_only=hours)
    assert all(record.is_original_only(at(*moment)) for moment in inside)
    assert not any(record.is_original_only(at(*moment)) for moment in outside)


@pytest.mark.parametrize("hours", ["", "night", "22", "22-22", "24-6", "22-6:60", "22-6 ", "-1-6", "5-5:00"])
def test_other_words_are_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="original_only must be hours like 22-6, always or never"):
        RecordSettings(original_only=hours)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera") / "camera.mp4", seconds=6)


def originals(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.original.mp4"))


def clock_by_frames(patch: pytest.MonkeyPatch, time_s: Callable[[int], float]) -> Callable[[int], None]:
    """Have the recorder's clock, by which files are named too, go by the frames; to be called before each frame."""
    now = [time_s(0)]
    for module in (vidsr.media.sink.recorder, vidsr.media.sink.recording_dir):
        patch.setattr(module, "time", lambda: now[0])
    return lambda frame: now.__setitem__(0, time_s(frame))


def test_only_the_originals_are_recorded_and_not_a_packet_is_missing(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = clock_by_frames(monkeypatch, lambda frame: at(12) + frame / RATE)
    with recorder(tmp_path / "cam", segment_s=2, original_only="always") as made:
        fed = play(made, clip, on_frame=turn)
        assert made.is_original_only
    assert segments(tmp_path / "cam") == []
    parts = [read_recording(path) for path in originals(tmp_path / "cam")]
    assert len(parts) == 3
    assert [packet for part in parts for packet in part.packets] == fed.packets
    assert all(part.audio and part.keys[0] == 0 for part in parts)
    assert made.frames_written == fed.frames
    with RecordingIndex(tmp_path / "cam") as index:
        assert all(each.original for each in index.segments(0, 1e12))


def test_other_targets_get_every_frame_at_any_hour(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mp4", segment_s=2, original_only="always") as made:
        fed = play(made, clip)
        assert not made.is_original_only
    assert segments(tmp_path / "cam") == []
    assert len(read_recording(tmp_path / "one.mp4").pts) == fed.frames


def test_the_evening_and_the_morning_lose_no_frame(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evening comes within the second segment, the morning within a later one."""

    def time_s(frame: int) -> float:
        began = at(21, 59) if frame < 20 else at(22) if frame < 50 else at(7) + 86_400
        return began + frame / RATE

    turn = clock_by_frames(monkeypatch, time_s)
    with recorder(tmp_path / "cam", segment_s=1.5, original_only=NIGHT) as made:
        fed = play(made, clip, on_frame=turn)
    assert made.frames_written == fed.frames
    kept = [packet for path in originals(tmp_path / "cam") for packet in read_recording(path).packets]
    assert kept == fed.packets
    upscaled = [read_recording(path) for path in segments(tmp_path / "cam")]
    n_night = fed.frames - sum(len(part.pts) for part in upscaled)
    assert n_night == 36  # from the first key frame in the night, 24, to the first in the morning, 60
    pairs = [path.with_name(f"{path.stem}.original.mp4") for path in segments(tmp_path / "cam")]
    assert [len(read_recording(path).packets) for path in pairs] == [len(part.pts) for part in upscaled]


@pytest.mark.slow
def test_a_night_is_healthy_and_upscaled_on_demand(
    quick: list[str], place: Path, tiny_model: str, vidsr: Command
) -> None:
    clip = camera_clip(place.parent / "clip.mp4", seconds=20)
    options = [*quick, "--original-only", "always", "--realtime"]
    with stream(clip, place, options=options, folder=place.parent) as run:
        run.wait_for_frames(more=3 * RATE)
        run.wait_until(lambda: bool(originals(place)), within_s=60, what="an original")
        time.sleep(2)
        assert run.number("vidsr_frames_upscaled_total", "original only") > RATE
        assert run.number("vidsr_frames_upscaled_total", "swscale") == 0
        assert '"state": "ok"' in run.get("/healthz")[1]
        assert run.end(within_s=15 + BUSY_S) == 0
    target = place.parent / "later.mp4"
    ended = vidsr("recordings", "export", place, "--output", target)
    assert (ended.code, "but the original: export it by --original" in ended.err) == (SOURCE, True)
    assert vidsr("recordings", "export", place, "--output", target, "--model", tiny_model).code == 0
    assert read_recording(target).size == (128, 96)
