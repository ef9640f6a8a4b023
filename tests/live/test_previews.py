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
