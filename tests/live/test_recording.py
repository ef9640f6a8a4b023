"""A file that is recorded to."""

from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import pytest

from vidsr.media.live.clock import TIME_BASE
from vidsr.media.live.encoder import Encoder
from vidsr.media.live.feed import Stencil, Unit
from vidsr.media.live.recording import Recording
from vidsr.settings import EncodeSettings

SECOND = 90_000
UNEVEN = list(islice(accumulate(cycle([3600, 9000, 3000, 12_000, 3600, 40_000]), initial=0), 90))


def units_of_pictures(encoder: Encoder) -> list[Unit]:
    """One at each uneven time, a key picture each thirty."""
    found = []
    for number, pts in enumerate(UNEVEN):
        picture = av.VideoFrame(64, 48, "yuv420p")
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
