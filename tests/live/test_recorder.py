"""All frames, audio and packets given to a recorder are in its files, in sync."""

import time
from fractions import Fraction
from pathlib import Path

import av
import pytest
from cycles import in_cycles, uncollected
from live.supervisor_process import eventually
from made import make_clip
from recorder_feed import RATE, SECOND, camera_clip, play, read_recording, recorder, segments

from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.settings import EncodeSettings

HOURS = 10 * 3600 * SECOND


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return camera_clip(tmp_path_factory.mktemp("camera") / "camera.mp4")


def test_the_encoder_takes_its_own_options_a_pixel_format_and_a_bitrate(clip: Path, tmp_path: Path) -> None:
    encode = EncodeSettings(encoder_option=("profile=high10",), pixel_format="yuv420p10le", bitrate="300k")
    with recorder(tmp_path / "one.mp4", encode=encode) as made:
        play(made, clip)
    with av.open(tmp_path / "one.mp4") as container:
        assert {frame.format.name for frame in container.decode(video=0)} == {"yuv420p10le"}
        assert container.streams.video[0].bit_rate < 600_000


def test_every_frame_and_every_packet_of_audio_comes_out_of_every_target(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mkv", tmp_path / "two.mp4", tmp_path / "three.ts") as made:
        fed = play(made, clip, start=HOURS)
        assert set(made.target_states.values()) == {"ok"}
        assert list(made.disk_free) == [str(tmp_path / "cam")]
    parts = [read_recording(path) for path in segments(tmp_path / "cam")]
    assert len(parts) == made.segments - 3 == 4
    assert [len(part.pts) for part in parts] == [RATE] * 4
    assert all(part.pts[0] == 0 and part.keys[0] == 0 for part in parts)
    last = (fed.frames - 1) / RATE
    heard = [sound for part in parts for sound in part.audio]
    assert heard == [sound for sound in fed.audio if sound in heard]
    for name in ("one.mkv", "two.mp4", "three.ts"):
        whole = read_recording(tmp_path / name)
        assert len(whole.pts) == made.frames_written == fed.frames
        assert whole.pts[-1] - whole.pts[0] == pytest.approx(last, abs=2e-3)
    assert not list(tmp_path.rglob("*.part"))


def test_audio_stays_in_step_in_each_segment(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam") as made:
        fed = play(made, clip, start=HOURS)
    with av.open(clip) as source:
        times = {
            bytes(packet): float(packet.pts * packet.time_base) for packet in source.demux(audio=0) if packet.size
        }
    checked = 0
    for number, path in enumerate(segments(tmp_path / "cam")):
        part = read_recording(path)
        for sound, pts in zip(part.audio, part.audio_pts, strict=True):
            if fed.audio.count(sound) == 1:
                assert pts == pytest.approx(times[sound] - number, abs=1e-3)
                checked += 1
    assert checked > 100


def test_another_size_begins_a_new_segment_and_another_file_at_that_size(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mp4") as made:
        play(made, clip)
        play(made, clip, start=5 * SECOND, size=(96, 80))
    assert {read_recording(path).size for path in segments(tmp_path / "cam")} == {(64, 48), (96, 80)}
    assert read_recording(tmp_path / "one.mp4").size == (64, 48)
    assert read_recording(tmp_path / "one_2.mp4").size == (96, 80)


def test_a_connection_again_begins_a_segment_and_goes_on_in_one_file(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mp4", segment_s=60) as made:
        play(made, clip)
        play(made, clip, start=9 * SECOND)
    assert [len(read_recording(path).pts) for path in segments(tmp_path / "cam")] == [60, 60]
    whole = read_recording(tmp_path / "one.mp4")
    assert len(whole.pts) == 120
    assert whole.pts[60] == pytest.approx(9)
    assert 60 in whole.keys


def test_while_a_source_is_lost_its_segment_has_its_name_and_one_file_stays_open(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mp4", segment_s=60) as made:
        play(made, clip)
        made.end_segment()
        until = time.monotonic() + 5
        while not made.segments and time.monotonic() < until:
            time.sleep(0.01)
        assert len(segments(tmp_path / "cam")) == 1
        play(made, clip, start=9 * SECOND)
    assert [len(read_recording(path).pts) for path in segments(tmp_path / "cam")] == [60, 60]
    assert len(read_recording(tmp_path / "one.mp4").pts) == 120


def test_aspect_and_colours_reach_every_container(tmp_path: Path) -> None:
    names = ("one.mp4", "two.mkv")
    wide = make_clip(tmp_path / "wide.ts", options={"x264-params": "sar=4/3"})
    with av.open(wide) as source, recorder(*(tmp_path / name for name in names)) as made:
        frame = av.VideoFrame(128, 96, "yuv420p")
        frame.pts, frame.time_base = 7, TIME_BASE
        frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = 1, 1, 1, 1
        made.begin(frame, video=source.streams.video[0], audio=None)
        made.write_frame(frame)
    for name in names:
        with av.open(tmp_path / name) as container:
            stored = next(container.decode(video=0))
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
            assert (stored.colorspace, stored.color_range, stored.color_primaries, stored.color_trc) == (1, 1, 1, 1)


def test_what_ends_before_its_first_frame_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", tmp_path / "one.mp4"):
        pass
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9"])
def test_other_encoders_hold_no_frame_back(codec: str, clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", codec=codec) as made:

        def catch_up(number: int) -> None:
            """The muxer holds a frame, and that of a file that is being finished another."""
            eventually(lambda: made.frames_written >= number - 2)

        play(made, clip, on_frame=catch_up)
    assert [len(read_recording(path).pts) for path in segments(tmp_path / "cam")] == [RATE] * 4


def test_audio_that_mp4_cannot_hold_is_dropped_and_reported_once(tmp_path: Path) -> None:
    clip, warnings = tmp_path / "g711.mov", list[str]()
    with av.open(camera_clip(tmp_path / "plain.mp4", audio=0)) as source, av.open(clip, "w") as output:
        copy = output.add_stream_from_template(source.streams.video[0])
        sound = output.add_stream("pcm_mulaw", rate=8000, layout="mono")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
        for index in range(20):
            frame = av.AudioFrame(format="s16", layout="mono", samples=1600)
            frame.sample_rate, frame.pts = 8000, 1600 * index
            output.mux(sound.encode(frame))
    with recorder(tmp_path / "cam", warnings=warnings) as made:
        play(made, clip)
        play(made, clip, start=9 * SECOND)
    assert warnings == [f"{tmp_path / 'cam'}: mp4 cannot hold pcm_mulaw; the audio is dropped"]
    assert sum(len(read_recording(path).pts) for path in segments(tmp_path / "cam")) == 120


def test_audio_that_never_comes_costs_the_room_for_it_and_nothing_else(tmp_path: Path) -> None:
    clip = camera_clip(tmp_path / "camera.mp4", seconds=8)
    with recorder(tmp_path / "cam", segment_s=60) as made:
        play(made, clip, with_audio=False)
    lengths = [len(read_recording(path).pts) for path in segments(tmp_path / "cam")]
    assert sum(lengths) == 8 * RATE
    with av.open(segments(tmp_path / "cam")[-1]) as last:
        assert not last.streams.audio


def test_the_original_is_the_source_packet_by_packet_and_cut_at_the_same_frames(clip: Path, tmp_path: Path) -> None:
    with recorder(tmp_path / "cam", original=True) as made:
        fed = play(made, clip, start=HOURS)
    parts = segments(tmp_path / "cam")
    originals = [read_recording(path.with_name(f"{path.stem}.original.mp4")) for path in parts]
    assert len(parts) > 1
    assert sum(len(original.packets) for original in originals) == len(fed.packets)
    for path, original in zip(parts, originals, strict=True):
        part = read_recording(path)
        assert part.pts == pytest.approx(original.pts, abs=1e-3)
        assert original.keys[0] == part.keys[0] == 0
        assert original.audio == part.audio


def test_nothing_of_what_is_over_is_left_to_the_garbage_collector(clip: Path, tmp_path: Path) -> None:
    targets = tmp_path / "cam", tmp_path / "one.mp4", tmp_path / "live.m3u8"
    with recorder(*targets, original=True) as made, uncollected():
        for number, size in enumerate([(64, 48), (96, 80), (64, 48), (96, 80)]):
            play(made, clip, start=9 * number * SECOND, size=size)
            made.end_segment()
        assert not in_cycles("av", "vidsr")
