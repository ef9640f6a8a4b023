"""A file that is being recorded."""

import errno
import os
import subprocess
import sys
from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest
from commands import full_disk
from footage import make_video, scene_frames
from oracles import read_with_av

from vidsr.errors import TargetError
from vidsr.media.sink.muxer import LiveEncoder
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import StreamTemplate, TimedPacket
from vidsr.settings import EncodeSettings

SECOND = 90_000
UNEVEN = list(islice(accumulate(cycle([3600, 9000, 3000, 12_000, 3600, 40_000]), initial=0), 90))


def video_packets(encoder: LiveEncoder) -> list[TimedPacket]:
    """One at each uneven time, a key frame each thirty."""
    found, noise = [], np.random.default_rng(0).integers(0, 256, (2, 48, 64), np.uint8)
    for number, pts in enumerate(UNEVEN):
        frame = av.VideoFrame.from_ndarray(noise[number % 2], format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = pts, TIME_BASE
        found += encoder.encode(frame, key=number % 30 == 0)
    return found + encoder.flush()


def audio_packets(container: av.container.OutputContainer) -> tuple[StreamTemplate, list[TimedPacket]]:
    stream, packets = container.add_stream("aac", rate=8000, layout="mono"), []
    for start in range(0, 8000 * UNEVEN[-1] // SECOND, 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, start
        packets += stream.encode(frame)
    times = [round(packet.pts * packet.time_base / TIME_BASE) for packet in packets]
    pairs = zip(packets, times, strict=True)
    return StreamTemplate(stream), [
        TimedPacket(av_packet=each, pts=pts, dts=pts, duration=11_520) for each, pts in pairs if pts >= 0
    ]


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
@pytest.mark.parametrize("ahead_s", [0.0, 0.2, 0.7])
def test_frames_keep_uneven_times_however_early_the_audio_comes(name: str, ahead_s: float, tmp_path: Path) -> None:
    encoder = LiveEncoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
    with av.open("-", "w", format="null") as container:
        sound, audio_timed = audio_packets(container)
        file = SegmentFile(tmp_path / name, video=encoder.stream, audio=sound, start_pts=0)
        video_timed = [(packet.pts, file.write_video, packet) for packet in video_packets(encoder)]
        order = [*video_timed, *((packet.pts - ahead_s * SECOND, file.write_audio, packet) for packet in audio_timed)]
        for _, write, packet in sorted(order, key=lambda each: each[0]):
            write(packet)
        assert file.finish()
    with av.open(tmp_path / name) as written:
        found = [float(packet.pts * packet.time_base) for packet in written.demux(video=0) if packet.size]
    assert found == pytest.approx([pts / SECOND for pts in UNEVEN], abs=1e-3)


@pytest.mark.parametrize("count", range(31, 36))
def test_a_camera_with_b_frames_has_its_last_frame_in_each_segment(count: int, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "in.mp4", scene_frames(count), options={"bf": "3", "b_strategy": "0"})
    with av.open(clip) as source:
        video = source.streams.video[0]
        file = SegmentFile(tmp_path / "out.mp4", video=video, audio=None, start_pts=0)
        for packet in source.demux(video):
            if packet.size:
                pts, dts = (round(time * packet.time_base / TIME_BASE) for time in (packet.pts, packet.dts))
                timed = TimedPacket(av_packet=packet, pts=pts, dts=dts, duration=3000, key=packet.is_keyframe)
                file.write_video(timed)
        assert file.finish()
    assert len(read_with_av(tmp_path / "out.mp4").times) == count


@pytest.mark.parametrize("lasts", [False, True])
def test_a_file_that_does_not_reach_the_disk_is_kept(
    lasts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = LiveEncoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
    file = SegmentFile(tmp_path / "out.mp4", video=encoder.stream, audio=None, start_pts=0)
    for packet in video_packets(encoder):
        file.write_video(packet)

    def refuse(handle: int) -> None:
        if not lasts:
            monkeypatch.undo()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises((TargetError, OSError), match="Input/output error"):
        file.finish_or_recover()
    (kept,) = tmp_path.iterdir()
    assert kept.name == ("out.mp4.part" if lasts else "out.mp4")  # a part is completed at the next start
    with av.open(kept) as written:
        assert sum(packet.size > 0 for packet in written.demux(video=0)) == len(UNEVEN)


def test_a_file_that_is_recovered_replaces_another_only_where_it_may(tmp_path: Path) -> None:
    encoder = LiveEncoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
    packets = video_packets(encoder)
    for overwrite in (False, True, True):
        file = SegmentFile(tmp_path / "out.mp4", video=encoder.stream, audio=None, start_pts=0, overwrite=overwrite)
        for packet in packets:
            file.write_video(packet)
        if not overwrite:
            (tmp_path / "out.mp4").write_text("of another program")
        assert file.recover()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out_2.mp4"]
        assert (tmp_path / "out.mp4").read_bytes().startswith(b"of another") == (not overwrite)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts", "out.nut"])
def test_a_disk_that_is_full_when_a_file_is_closed_is_named(name: str, tmp_path: Path) -> None:
    encoder = LiveEncoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
    file = SegmentFile(tmp_path / name, video=encoder.stream, audio=None, start_pts=0)
    for packet in video_packets(encoder):
        file.write_video(packet)
    with full_disk((tmp_path / f"{name}.part").stat().st_size), pytest.raises(OSError, match="File too large"):
        file.finish()
    file.discard()
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import av
from test_segment_file import UNEVEN, video_packets, audio_packets
from vidsr.media.sink.muxer import LiveEncoder
from vidsr.media.sink.segment_file import SegmentFile
from vidsr.settings import EncodeSettings

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
encoder = LiveEncoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
with av.open("-", "w", format="null") as container:
    sound, audio_timed = audio_packets(container)
    video_timed = video_packets(encoder)
    for room in range(0, 100_000, 5_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        audio = sound if room % 2000 else None
        file = SegmentFile(Path({folder!r}) / f"{{room}}.mp4", video=encoder.stream, audio=audio, start_pts=0)
        order = [(packet.pts, file.write_video, packet) for packet in video_timed]
        order += [(packet.pts, file.write_audio, packet) for packet in audio_timed]
        try:
            for _, write, packet in sorted(order, key=lambda each: each[0]):
                write(packet)
            raise SystemExit(f"{{room}} bytes were enough")
        except (av.FFmpegError, OSError):
            file.recover()
"""


def test_a_full_disk_ends_a_file_wherever_it_strikes_and_not_the_process(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = FULL.format(paths=paths, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
