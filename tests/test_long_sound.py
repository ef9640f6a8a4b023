"""Sound for which no frame comes for long is copied whole, and not all of it is held in memory."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import SMALL, scene_frames, upscale

import vidsr.media.reader
from vidsr.media.reader import Reader

RATE, BLOCK = 8000, 400


def film(path: Path, times: list[int]) -> Path:
    """Frames at `times`, in 25ths of a second, and ten seconds of PCM."""
    with av.open(path, "w") as output:
        video = output.add_stream("mpeg4", rate=25, width=SMALL[0], height=SMALL[1], pix_fmt="yuv420p")
        video.codec_context.time_base = Fraction(1, 25)
        sound = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        packets = []
        for frame, time in zip(scene_frames(len(times)), times, strict=True):
            frame.pts, frame.time_base = time, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        for start in range(0, 10 * RATE, BLOCK):
            block = av.AudioFrame.from_ndarray(np.full((1, BLOCK), start // BLOCK, np.int16), format="s16")
            block.sample_rate, block.pts = RATE, start
            packets += sound.encode(block)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return path


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(path) as container:
        return [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(audio=0) if p.size]


@pytest.mark.parametrize("times", [[0, 1, 2], [0, 1, 125, 200], [0, 249]])
@pytest.mark.parametrize("suffix", ["mkv", "mov"])
def test_sound_without_frames_is_copied_whole(
    suffix: str, times: list[int], tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vidsr.media.reader, "_MAX_HELD_BYTES", 10 * BLOCK)
    source = film(tmp_path / f"in.{suffix}", times)
    report = upscale(source, tmp_path / f"out.{suffix}", tiny_model)
    assert (report.frames_written, report.damage, report.warnings) == (len(times), [], [])
    before, after = sound_of(source), sound_of(tmp_path / f"out.{suffix}")
    assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
    assert after == before or suffix == "mov"  # whose sound is divided anew


def test_only_a_part_of_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vidsr.media.reader, "_MAX_HELD_BYTES", 10 * BLOCK)
    source = film(tmp_path / "in.mkv", [0, 1, 2])
    with Reader(source) as reader:
        before = sum(packet.size for frame in reader for packet in frame.packets)
        held = sum(packet.size for packet in reader.trailing_packets())
        assert held <= 12 * BLOCK
        assert before + held + sum(packet.size for packet in reader.late_packets()) == sum(
            len(data) for _, data in sound_of(source)
        )
