"""The previews on the page are of one moment."""

import http.client
import io
import time
from pathlib import Path

import av
import pytest
from kit.frame_mark import Mark
from kit.recordings import frame_mark
from kit.runs import running_stream
from kit.servers import http as served
from kit.transport import Kind, mpeg_ts

from vidsr.live.writer_thread import PreviewWriter

PAIRS = 16
pytestmark = pytest.mark.fault


def preview(port: int, which: str) -> tuple[Mark | None, tuple[int, int]]:
    """The mark and the size of what the page of the camera shows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", f"/camera/camera/{which}.jpg")
    data = connection.getresponse().read()
    connection.close()
    with av.open(io.BytesIO(data)) as image:
        frame = next(image.decode(video=0))
    return frame_mark(frame), (frame.width, frame.height)


def test_before_and_after_are_of_one_moment_and_in_full_size(quick: list[str], place: Path) -> None:
    with served(lambda: mpeg_ts(Kind(size=(720, 480)))) as url, running_stream(url, place, quick) as run:
        run.wait_until(lambda: "after.jpg" in run.get("/")[1], within_s=10, what="previews")
        moments = set()
        began, number = time.monotonic(), 0
        while number < PAIRS or len(moments) < 2:
            assert time.monotonic() - began < 60
            number += 1
            before, after = preview(run.port, "before"), preview(run.port, "after")
            time.sleep(0.15)
            assert before[0] == after[0] is not None
            assert (before[1], after[1]) == ((720, 480), (1440, 960))
            moments.add(before[0])
        assert run.end() == 0


def test_a_frame_beyond_what_jpeg_holds_has_no_preview_and_costs_nothing(tmp_path: Path) -> None:
    writer = PreviewWriter(tmp_path)
    small, wide = (av.VideoFrame(width, 16, "yuv420p") for width in (35_000, 70_000))
    writer.write(small, wide, now_s=0.0)
    assert not list(tmp_path.glob("*.jpg"))
    writer.write(small, small, now_s=10.0)
    assert len(list(tmp_path.glob("*.jpg"))) == 2
