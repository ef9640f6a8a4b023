"""A file that is recorded to."""

import subprocess
import sys
from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest

from vidsr.media.sink.live_encoder import Encoder
from vidsr.media.sink.segment_file import Recording
from vidsr.media.source.live_timestamps import TIME_BASE
from vidsr.media.stream_template import Stencil, Unit
from vidsr.settings import EncodeSettings

SECOND = 90_000
UNEVEN = list(islice(accumulate(cycle([3600, 9000, 3000, 12_000, 3600, 40_000]), initial=0), 90))


def units_of_pictures(encoder: Encoder) -> list[Unit]:
    """One at each uneven time, a key picture each thirty."""
    found, noise = [], np.random.default_rng(0).integers(0, 256, (2, 48, 64), np.uint8)
    for number, pts in enumerate(UNEVEN):
        picture = av.VideoFrame.from_ndarray(noise[number % 2], format="gray").reformat(format="yuv420p")
        picture.pts, picture.time_base = pts, TIME_BASE
        found += encoder.encode(picture, key=number % 30 == 0)
    return found + encoder.finish()


def units_of_sound(container: av.container.OutputContainer) -> tuple[Stencil, list[Unit]]:
    stream, packets = container.add_stream("aac", rate=8000, layout="mono"), []
    for start in range(0, 8000 * UNEVEN[-1] // SECOND, 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, start
        packets += stream.encode(frame)
    times = [round(packet.pts * packet.time_base / TIME_BASE) for packet in packets]
    pairs = zip(packets, times, strict=True)
    return Stencil(stream), [Unit(packet=each, pts=pts, dts=pts, duration=11_520) for each, pts in pairs if pts >= 0]


@pytest.mark.parametrize("name", ["out.mp4", "out.mov"])
@pytest.mark.parametrize("ahead_s", [0.0, 0.2, 0.7])
def test_pictures_keep_uneven_times_however_early_the_sound_comes(name: str, ahead_s: float, tmp_path: Path) -> None:
    encoder = Encoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
    with av.open("-", "w", format="null") as container:
        sound, heard = units_of_sound(container)
        file = Recording(tmp_path / name, video=encoder.stream, audio=sound, begin=0)
        seen = [(unit.pts, file.video, unit) for unit in units_of_pictures(encoder)]
        order = [*seen, *((unit.pts - ahead_s * SECOND, file.sound, unit) for unit in heard)]
        for _, write, unit in sorted(order, key=lambda each: each[0]):
            write(unit)
        assert file.finish()
    with av.open(tmp_path / name) as written:
        found = [float(packet.pts * packet.time_base) for packet in written.demux(video=0) if packet.size]
    assert found == pytest.approx([pts / SECOND for pts in UNEVEN], abs=1e-3)


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import av
from test_segment_file import UNEVEN, units_of_pictures, units_of_sound
from vidsr.media.sink.live_encoder import Encoder
from vidsr.media.sink.segment_file import Recording
from vidsr.settings import EncodeSettings

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
encoder = Encoder(av.VideoFrame(64, 48, "yuv420p"), EncodeSettings(preset="ultrafast"), source=None)
with av.open("-", "w", format="null") as container:
    sound, heard = units_of_sound(container)
    seen = units_of_pictures(encoder)
    for room in range(0, 100_000, 5_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        audio = sound if room % 2000 else None
        file = Recording(Path({folder!r}) / f"{{room}}.mp4", video=encoder.stream, audio=audio, begin=0)
        order = [*((unit.pts, file.video, unit) for unit in seen), *((unit.pts, file.sound, unit) for unit in heard)]
        try:
            for _, write, unit in sorted(order, key=lambda each: each[0]):
                write(unit)
            raise SystemExit(f"{{room}} bytes were enough")
        except (av.FFmpegError, OSError):
            file.rescue()
"""


def test_a_full_disk_ends_a_file_wherever_it_strikes_and_not_the_process(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    code = FULL.format(paths=paths, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
