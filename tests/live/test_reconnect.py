"""A lost connection is freed at once, without the garbage collector; a file that ended begins again at once."""

import gc
import threading
from functools import partial
from itertools import islice
from pathlib import Path

from cycles import in_cycles, uncollected
from footage import make_video, scene_frames
from kit.runs import running_stream
from kit.servers import http
from kit.transport import Kind, mpeg_ts
from recorder_feed import recorder
from supervisor_process import eventually

from vidsr.live.config import CameraConfig
from vidsr.live.connection import CameraContext, Connection
from vidsr.live.learned_network import SceneWatch
from vidsr.live.quality_ladder import ModelLadder
from vidsr.live.reconnect import run_reconnect_loop
from vidsr.live.status import State, Status
from vidsr.media.luma_merger import upscale_bicubic
from vidsr.media.source.live_source import LiveSource
from vidsr.media.source.live_timestamps import LiveTimeline
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import StreamUrl


def test_a_lost_connection_is_freed_at_once_with_its_decoder_and_its_threads(tmp_path: Path, tiny_model: str) -> None:
    stream, status, stop = StreamSettings(model=tiny_model, timeout_s=2), Status(), threading.Event()
    models, pool_settings = ModelLadder(stream), PoolSettings(workers=0)
    fallback = partial(upscale_bicubic, scale=models.scale)
    with (
        http(lambda: islice(mpeg_ts(Kind(fps=50)), 20)) as url,
        recorder(tmp_path / "cam") as made,
        open_pool(models.default, pool_settings, fallback=fallback) as pool,
        uncollected(),
    ):
        config = CameraConfig(
            name="cam", source=StreamUrl(url), targets=(), preview_dir=None, stream=stream, pool=pool_settings
        )
        context = CameraContext(
            config=config,
            pool=pool,
            models=models,
            recorder=made,
            scene=SceneWatch(),
            status=status,
            timeline=LiveTimeline(),
            stop=stop,
            on_warning=id,
        )
        thread = threading.Thread(target=run_reconnect_loop, args=(context,))
        thread.start()
        try:
            eventually(lambda: status.state is State.WAITING and status.connects, within_s=60)
            eventually(lambda: not living(LiveSource) and not living(Connection), within_s=0.5)
            assert status.frames_in
            assert not in_cycles("av", "vidsr")
        finally:
            stop.set()
            thread.join()


def living(kind: type) -> list[object]:
    return [each for each in gc.get_objects() if type(each) is kind]


def test_a_short_file_is_played_over_and_over_without_growing_pauses(
    quick: list[str], place: Path, tmp_path: Path
) -> None:
    clip = make_video(tmp_path / "clip.mp4", scene_frames(10, size=(64, 48)))
    with running_stream(clip, place, [*quick, "--realtime"]) as run:
        run.wait_until(lambda: run.number("vidsr_reconnects_total") > 5, within_s=30, what="it is played six times")
        assert run.last_pause_s() <= 1
        assert run.end() == 0
