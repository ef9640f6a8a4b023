"""What is left of a connection that was lost: nothing, though nobody collects garbage."""

import gc
import threading
from functools import partial
from itertools import islice
from pathlib import Path

from cycles import in_cycles, uncollected
from kit.servers import http
from kit.transport import Kind, mpeg_ts
from processes import eventually
from taping import recorder

from vidsr.live.camera_config import Order
from vidsr.live.connection import Connection, Equipment
from vidsr.live.model_ladder import Rungs
from vidsr.live.reconnect import follow
from vidsr.live.status import State, Status
from vidsr.media.scale import upscale_bicubic
from vidsr.media.source.live_source import Camera
from vidsr.media.source.live_timestamps import Clock
from vidsr.pool import open_pool
from vidsr.settings import PoolSettings
from vidsr.settings.stream import StreamSettings
from vidsr.stream_url import Address


def test_a_lost_connection_is_freed_at_once_with_its_decoder_and_its_threads(tmp_path: Path, tiny_model: str) -> None:
    stream, status, stop = StreamSettings(model=tiny_model, timeout_s=2), Status(), threading.Event()
    rungs, pool_settings = Rungs(stream), PoolSettings(workers=0)
    fallback = partial(upscale_bicubic, scale=rungs.scale)
    with (
        http(lambda: islice(mpeg_ts(Kind(fps=50)), 20)) as url,
        recorder(tmp_path / "cam") as made,
        open_pool(rungs.usual, pool_settings, fallback=fallback) as pool,
        uncollected(),
    ):
        order = Order(name="cam", source=Address(url), targets=(), folder=None, stream=stream, pool=pool_settings)
        equipment = Equipment(
            order=order, pool=pool, rungs=rungs, recorder=made, status=status, clock=Clock(), stop=stop, say=id
        )
        thread = threading.Thread(target=follow, args=(equipment,))
        thread.start()
        try:
            eventually(lambda: status.state is State.WAITING and status.connects, within_s=60)
            eventually(lambda: not living(Camera) and not living(Connection), within_s=0.5)
            assert status.frames_in
            assert not in_cycles("av", "vidsr")
        finally:
            stop.set()
            thread.join()


def living(kind: type) -> list[object]:
    return [each for each in gc.get_objects() if type(each) is kind]
