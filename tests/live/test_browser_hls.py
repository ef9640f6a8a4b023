"""Live HLS in a real Chromium, by hls.js: it plays on where the camera changes or is lost."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from kit.browser import browser
from live.status_server import serving, status
from recorder_feed import SECOND, camera_clip, play, recorder

from vidsr.live.config import CameraConfig
from vidsr.stream_url import StreamUrl

HLS_JS = Path(__file__).parents[2] / ".test-packages/node_modules/hls.js/dist/hls.min.js"
PART_S = 7
LOST_S = 2
BY_HLS_JS = """hls = new Hls({liveSyncDurationCount: 2}); fatal = [];
hls.on(Hls.Events.ERROR, (name, data) => { if (data.fatal) fatal.push(data.details); });
hls.loadSource('/camera/front/live.m3u8'); hls.attachMedia(video)"""
WATCH = """moments = []; sizes = []; setInterval(() => {
  moments.push([performance.now() / 1000, video.currentTime]);
  if (sizes.at(-1) !== video.videoWidth) sizes.push(video.videoWidth);
}, 100)"""

pytestmark = pytest.mark.slow


@contextmanager
def live(folder: Path) -> Iterator[tuple[int, Thread]]:
    """A camera that changes its size after 7 s, and is lost for 2 s after 14; its server's port, and its thread."""
    clip = camera_clip(folder / "camera.mp4", seconds=PART_S)
    playlist = folder / "hls/door.m3u8"

    def feed() -> None:
        with recorder(playlist) as made:
            play(made, clip, live=True)
            play(made, clip, live=True, start=PART_S * SECOND, size=(96, 80))
            made.end_segment()
            time.sleep(LOST_S)
            play(made, clip, live=True, start=(2 * PART_S + LOST_S) * SECOND, size=(96, 80))

    front = CameraConfig(name="front", source=StreamUrl("x"), targets=(), playlist=playlist)
    with serving(folder, status(), configs=(front,), timeout_s=20.0) as port:
        thread = Thread(target=feed)
        thread.start()
        until = time.monotonic() + 60
        while not playlist.exists() or playlist.read_text().count("#EXTINF") < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        yield port, thread
        thread.join()


def longest_stop(moments: list[list[float]]) -> float:
    """The longest time for which the shown moment stood still, in pairs of the clock and that moment."""
    began, shown, longest = moments[0][0], moments[0][1], 0.0
    for now, moment in moments:
        if moment != shown:
            began, shown = now, moment
        longest = max(longest, now - began)
    return longest


def test_a_player_plays_on_through_changes_and_losses(tmp_path: Path) -> None:
    if not HLS_JS.exists():
        pytest.skip("needs hls.js: tools/install-test-packages with npm")
    with browser(tmp_path) as page, live(tmp_path) as (port, camera):
        page.bypass_csp()
        page.open(f"http://127.0.0.1:{port}/healthz")
        page.wait_for("document.body && document.body.textContent.includes('front')")
        page.evaluate("video = document.createElement('video'), video.muted = true, document.body.append(video), 1")
        page.evaluate(HLS_JS.read_text() + ";1")
        page.evaluate(f"{BY_HLS_JS}; video.play(), 1")
        page.wait_for("video.currentTime > 0")
        page.evaluate(f"{WATCH}, 1")
        camera.join()
        moments, sizes = page.evaluate("moments"), page.evaluate("sizes")
        assert page.evaluate("fatal") == []
    assert sizes == [64, 96]
    assert moments[-1][1] - moments[0][1] > 2 * PART_S
    assert longest_stop(moments) < LOST_S + 2 + 2  # the loss, a segment, and what a busy machine adds
