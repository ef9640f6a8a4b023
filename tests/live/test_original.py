"""The original beside the segments, of cameras whose decoder returns the first frame after several packets."""

from pathlib import Path

import pytest
from footage import make_video, scene_frames
from kit.runs import BUSY_S, stream
from recorder_feed import read_recording, segments


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
