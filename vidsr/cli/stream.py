"""`vidsr stream`: live cameras, enlarged until it is told to stop."""

import argparse
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from vidsr.cli.messages import UsageError
from vidsr.cli.options import Commands, Help, add_options, settings
from vidsr.live.camera_config import Order
from vidsr.live.cameras import find_address, for_cameras, read_cameras
from vidsr.live.launch import become_supervisor
from vidsr.live.preflight import check_orders
from vidsr.live.supervisor_config import Plan
from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.stream_url import Address

_EXAMPLE = """Enlarge a live camera until told to stop; what goes wrong is tried again for ever.

  vidsr stream rtsp://user:password@camera/stream recordings/
  vidsr stream --url-env CAMERA recordings/ --also rtmp://server/live/key
  vidsr stream --config cameras.toml --http 127.0.0.1:9090

A target is a folder of segments, a playlist (.m3u8) for HLS, one file (.mp4, .mkv), or rtmp:// or rtsp:// to push to.
"""
_SOURCE = {
    "transport": ("KIND", "how RTSP brings its packets: tcp or udp"),
    "timeout_s": ("S", "seconds of silence after which a connection is lost"),
    "realtime": ("", "play a file at its own speed, as if it were a camera"),
    "insecure": ("", "do not verify certificates"),
    "fail_fast": ("", "end with the first fault of the source"),
    "max_megapixels": ("N", "refuse larger pictures"),
}
_PICTURE = {
    "model": (
        "NAME",
        "a name of the zoo (see `vidsr models`), an .npz file, or auto: by how the source is compressed",
    ),
    "scale": ("N", "2, 3 or 4; without it, what the model asks for"),
    "max_delay_s": ("S", "seconds behind the camera, kept by cheaper networks and by leaving pictures out"),
}
_RECORDING = {
    "segment_s": ("S", "seconds of a segment"),
    "keep_days": ("N", "days after which a segment is deleted"),
    "keep_gb": ("N", "gigabytes that a folder may take"),
    "min_free_gb": ("N", "gigabytes that stay free on the disk"),
    "original": ("", "keep the source's own packets beside the enlarged ones"),
}
_ENCODING = {
    "codec": ("NAME", "libx264, libx265, libsvtav1 or another encoder"),
    "crf": ("N", "quality, lower is better; without it, one that fits the codec"),
    "preset": ("NAME", "speed against size; without it, veryfast for x264 and x265"),
}
_SPEED = {
    "workers": ("N", "processes a camera; 0: threads of its own, without Ray; by default one a core, none up to 4"),
    "threads": ("N", "threads of each worker, or of this process"),
    "precision": ("NAME", "f32, bf16 or int8; auto: the fastest that loses at most 0.05 dB"),
    "reuse": ("N", "enlarge no part again that differs by at most N of 256 grey levels; 0: exact"),
}
_NAME = "camera"


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "stream",
        help="live cameras, enlarged until told to stop",
        usage="vidsr stream [options] SOURCE TARGET",
        description=_EXAMPLE,
        formatter_class=Help,
    )
    parser.intermixed = True
    parser.add_argument(
        "places",
        nargs="*",
        metavar="SOURCE TARGET",
        help="rtsp(s)://, http(s):// or udp:// address, and where to put it",
    )
    source = parser.add_argument_group("source")
    source.add_argument("--url-env", metavar="NAME", help="the environment variable with the source's address")
    source.add_argument("--url-file", metavar="PATH", help="the file with the source's address")
    source.add_argument("--config", metavar="FILE", type=Path, help="a TOML file of cameras, in place of all else")
    add_options(source, StreamSettings, fields=_SOURCE)
    add_options(parser.add_argument_group("picture"), StreamSettings, fields=_PICTURE)
    recording = parser.add_argument_group("recording")
    recording.add_argument("--also", metavar="TARGET", action="append", default=[], help="another target; repeatable")
    add_options(recording, RecordSettings, fields=_RECORDING)
    add_options(parser.add_argument_group("encoding"), EncodeSettings, fields=_ENCODING)
    add_options(parser.add_argument_group("speed"), PoolSettings, fields=_SPEED)
    output = parser.add_argument_group("output")
    output.add_argument("--http", metavar="HOST:PORT", help="answer there: /healthz, /metrics, and a page; host: this")
    output.add_argument("-v", "--verbose", action="store_true", help="say more")
    output.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> NoReturn:
    """Check what can be checked, and become the supervisor."""
    level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
    http = _http(args.http) if args.http else None
    with _usage():
        orders = _orders_of_file(args) if args.config else (_order(args),)
        check_orders(orders)
    become_supervisor(Plan(cameras=tuple(replace(order, level=level) for order in orders), http=http, level=level))


def _orders_of_file(args: argparse.Namespace) -> tuple[Order, ...]:
    if args.places or args.also or args.url_env or args.url_file:
        raise UsageError("--config has the sources and targets; name none beside it")
    return read_cameras(args.config)


def _order(args: argparse.Namespace) -> Order:
    source, target = _places(args)
    pool = argparse.Namespace(**{**vars(PoolSettings()), **{name: getattr(args, name) for name in _SPEED}})
    order = Order(
        name=_NAME,
        source=source,
        targets=tuple(map(Address, (target, *args.also))),
        stream=settings(StreamSettings, args),
        record=settings(RecordSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, pool),
    )
    return for_cameras(order)


def _places(args: argparse.Namespace) -> tuple[Address, str]:
    """The source, which may be named in three ways, and the target."""
    if args.url_env and args.url_file:
        raise UsageError("--url-env and --url-file name the same thing; take one")
    hidden = "source-env" if args.url_env else "source-file" if args.url_file else ""
    if len(args.places) != (1 if hidden else 2):
        raise UsageError(f"stream takes {'TARGET' if hidden else 'SOURCE TARGET'}; see vidsr stream --help")
    where = args.url_env or args.url_file or args.places[0]
    return find_address(hidden or "source", where), args.places[-1]


def _http(text: str) -> tuple[str, int]:
    """Host, this machine alone where none is given, and port."""
    found = re.fullmatch(r"(?:(?P<host>[^:\s]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d{1,5})", text)
    if not found or not 0 < int(found["port"]) < 1 << 16:
        raise UsageError(f"--http must be a port, or HOST:PORT, not {text!r}")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


@contextmanager
def _usage() -> Iterator[None]:
    """What makes no sense is a fault of usage."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error
