"""The original beside the segments, of cameras whose decoder returns the first frame after several packets."""

import io
import time
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frames
from kit.pattern import luma
from kit.recordings import decode_file, frame_numbers, recordings
from kit.runs import BUSY_S, running_stream, stream
from kit.servers import http
from recorder_feed import read_recording, segments

FPS, LENGTH = 40, 45


@pytest.mark.parametrize("frames_apart", [0, 3])
def test_the_first_segment_begins_with_the_first_key_frame(frames_apart: int, quick: list[str], place: Path) -> None:
    options = {"g": "250", "bf": str(frames_apart)}
    clip = make_video(place.parent / "clip.mp4", scene_frames(50, size=(64, 48)), options=options)
    arguments = [*quick, "--original", "--realtime", "--max-delay", "20"]
    with stream(clip, place, options=arguments, folder=place.parent) as run:
        run.wait_for_frames(more=40)
        assert run.end(within_s=15 + BUSY_S) == 0
    first = segments(place)[0]
    part, original = (read_recording(path) for path in (first, first.with_name(f"{first.stem}.original.mp4")))
    assert len(part.pts) >= 40
    assert len(original.packets) >= len(part.pts)
    assert original.keys[0] == part.keys[0] == 0
    for path, words in ((first, "upscaled by tiny"), (first.with_name(f"{first.stem}.original.mp4"), "unchanged")):
        with av.open(path) as container:
            tags = container.metadata
        made_s = datetime.fromisoformat(tags["creation_time"]).timestamp()
        assert abs(made_s - path.stat().st_mtime) < 15
        assert tags["title"] == "camera"
        assert words in tags["comment"]
        assert version("vidsr") in tags["comment"]


def reordered_ts(part: int, *, size: tuple[int, int], clock_s: int) -> bytes:
    """A transport stream with B-frames and a key frame every 30; frame numbers follow those of the part before."""
    pipe = io.BytesIO()
    options = {"preset": "ultrafast", "bf": "2", "b_strategy": "0", "g": "30", "sc_threshold": "0"}
    with av.open(pipe, "w", format="mpegts") as output:
        video = output.add_stream("libx264", rate=FPS, options=options)
        video.width, video.height = size
        for index in range(part * LENGTH, (part + 1) * LENGTH):
            data = luma(size, camera=0, number=index) + bytes([128]) * (size[0] * size[1] // 2)
            frame = av.VideoFrame.from_ndarray(np.frombuffer(data, np.uint8).reshape(-1, size[0]), format="yuv420p")
            frame.pts, frame.time_base = index + clock_s * FPS, Fraction(1, FPS)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return pipe.getvalue()


def test_no_frame_is_lost_where_clock_and_size_change_and_where_the_connection_ends(
    quick: list[str], place: Path
) -> None:
    parts = [
        reordered_ts(0, size=(160, 120), clock_s=0),
        reordered_ts(1, size=(160, 120), clock_s=5000),
        reordered_ts(2, size=(320, 240), clock_s=5000),
    ]
    calls: list[float] = []

    def body() -> Iterator[bytes]:
        calls.append(time.monotonic())
        for part in parts if len(calls) == 1 else []:
            length = len(part) // LENGTH + 1
            for start in range(0, len(part), length):
                time.sleep(1 / FPS)
                yield part[start : start + length]

    options = [*quick, "--original", "--segment", "1", "--max-delay", "20"]
    with http(body) as url, running_stream(url, place, options) as run:
        run.wait_for_text("closed the connection", within_s=20)
        assert run.number("vidsr_timestamps_repaired_total") > 0
        assert run.end() == 0
    originals = [path for path in recordings(place) if ".original." in path.name]
    for files in (originals, [path for path in recordings(place) if path not in originals]):
        assert frame_numbers([decode_file(path) for path in files]) == list(range(3 * LENGTH))
