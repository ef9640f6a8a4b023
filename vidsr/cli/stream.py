"""Upscale live cameras until stopped; lost sources and failed targets are retried forever.

  vidsr stream rtsp://user:password@camera/stream recordings/
  vidsr stream --url-env CAMERA recordings/ --also rtmp://server/live/key
  vidsr stream --config cameras.toml --http 127.0.0.1:9090
  vidsr stream rtsp://camera/sub recordings/ --learn --main rtsp://camera/main

A target is a folder of segments, an HLS playlist (.m3u8), a single file (.mp4, .mkv), an rtmp(s):// or rtsp(s)://
server, or - for MPEG-TS on standard output.
"""

import argparse
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from vidsr.cli.options import Parser, add_options, settings, usage_errors
from vidsr.cli.output import UsageError, check_stdout, print_message
from vidsr.live.camera_file import read_cameras, read_text, read_url
from vidsr.live.config import CameraConfig, SupervisorConfig, exec_supervisor
from vidsr.live.preflight import check_cameras
from vidsr.settings import EncodeSettings, LearnSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.settings.options import option_name
from vidsr.stream_url import STDOUT, StreamUrl

_NAME = "camera"
_NOT_OF_CAMERAS = ("ray_address", "timeout_s")  # each has a Ray of its own; the time limit is the source's


def add_arguments(parser: Parser) -> None:
    """Declare the arguments."""
    parser.intermixed = True
    parser.usage = "vidsr stream [options] SOURCE TARGET"
    parser.add_argument(
        "places",
        nargs="*",
        metavar="SOURCE TARGET",
        help="rtsp(s)://, rtmp(s)://, http(s):// or udp:// URL, device such as /dev/video0, or file with --realtime; "
        "and the target",
    )
    source = parser.add_argument_group("source")
    source.add_argument("--url-env", metavar="NAME", help="environment variable that holds the URL of the source")
    source.add_argument("--url-file", metavar="PATH", help="file that holds the URL of the source")
    source.add_argument(
        "--config", metavar="FILE", type=Path, help="TOML file of cameras, instead of SOURCE and TARGET"
    )
    source.add_argument("--check", action="store_true", help="check the configuration, and start nothing")
    add_options(source, StreamSettings, part="source")
    add_options(parser.add_argument_group("quality"), StreamSettings, part="quality")
    recording = parser.add_argument_group("recording")
    recording.add_argument("--also", metavar="TARGET", action="append", default=[], help="another target; repeatable")
    add_options(recording, RecordSettings)
    learning = parser.add_argument_group("learning")
    learn_help = "learn the scene of the camera at night, and use what proves better; see `vidsr learn`"
    learning.add_argument("--learn", action="store_true", help=learn_help)
    main_help = "URL of its main stream, to learn from (default: its own originals)"
    learning.add_argument("--main", metavar="URL", help=main_help)
    learning.add_argument("--main-env", metavar="NAME", help="environment variable that holds that URL")
    add_options(parser.add_argument_group("encoding"), EncodeSettings)
    add_options(parser.add_argument_group("speed"), PoolSettings, omit=_NOT_OF_CAMERAS)
    http, http_help = parser.add_argument_group("status"), "serve /healthz, /metrics and a web page"
    http.add_argument("--http", metavar="HOST:PORT", help=f"{http_help} (default host: 127.0.0.1)")
    hosts_help = "a host name that --http answers to besides this machine's, as behind a proxy; repeatable"
    http.add_argument("--http-host", metavar="NAME", action="append", default=[], help=hosts_help)
    users_help = "file with a NAME:PASSWORD per line, of those whom --http answers; others are refused"
    http.add_argument("--http-users", metavar="FILE", type=Path, help=users_help)
    base_help = "a path below which --http answers, too, as behind a proxy, such as /cameras"
    http.add_argument("--http-base", metavar="PATH", default="", help=base_help)


def run(args: argparse.Namespace) -> int:
    """Check the configuration, and become the supervisor."""
    level = logging.getLevelName(logging.getLogger().getEffectiveLevel())
    http = _http(args.http) if args.http else None
    _refuse_unused(args)
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", args.http_base):
        raise UsageError(f"--http-base must be a path like /cameras, not {args.http_base!r}")
    users = _users(args.http_users) if args.http_users else {}
    with usage_errors():
        asked = _file_configs(args) if args.config else (_config(args),)
        configs, errors = check_cameras(asked, file=args.config)
    if errors and (args.check or not configs):
        for error in errors[1:]:
            print_message(str(error))
        raise errors[0]
    for error in errors:
        print_message(f"{error}; this camera is not started")
    if not args.check:
        if any(target.text == STDOUT for config in configs for target in config.targets):
            check_stdout()
        exec_supervisor(
            SupervisorConfig(
                cameras=tuple(replace(config, log_level=level) for config in configs),
                file=args.config.absolute() if args.config else None,
                http=http,
                http_hosts=tuple(args.http_host),
                http_base=args.http_base,
                http_users=users,
                log_level=level,
            )
        )
    return 0


def _refuse_unused(args: argparse.Namespace) -> None:
    """Raises UsageError for an option that would be left out without a word."""
    of_http = {"--http-host": args.http_host, "--http-users": args.http_users, "--http-base": args.http_base}
    if not args.learn and (args.main or args.main_env):
        raise UsageError(f"{'--main' if args.main else '--main-env'} needs --learn, which learns from it")
    if not args.http and (names := [name for name, value in of_http.items() if value]):
        raise UsageError(f"{names[0]} needs --http, whose answers it is about")


def _file_configs(args: argparse.Namespace) -> Sequence[CameraConfig]:
    if args.learn:
        raise UsageError(f"--config holds what cameras learn; put [defaults.learn] into {args.config}")
    if args.places or args.also or args.url_env or args.url_file:
        raise UsageError("--config holds the sources and targets; do not pass others")
    kinds = (StreamSettings, RecordSettings, EncodeSettings, PoolSettings)
    defaults = {field.name: field.default for kind in reversed(kinds) for field in fields(kind)}
    if set_ := [option_name(name) for name, default in defaults.items() if getattr(args, name, default) != default]:
        raise UsageError(
            f"--config holds the settings; put {', '.join(sorted(set_))} into [defaults] of {args.config}"
        )
    return read_cameras(args.config)


def _config(args: argparse.Namespace) -> CameraConfig:
    source, target = _source_and_target(args)
    chosen = {name: value for name, value in vars(args).items() if name not in _NOT_OF_CAMERAS}
    pool = argparse.Namespace(**{**vars(PoolSettings()), **chosen})
    return CameraConfig(
        name=_NAME,
        source=source,
        targets=tuple(map(StreamUrl, (target, *args.also))),
        stream=settings(StreamSettings, args),
        record=settings(RecordSettings, args),
        encode=settings(EncodeSettings, args),
        pool=settings(PoolSettings, pool),
        learn=LearnSettings() if args.learn else None,
        main=_main(args),
    )


def _main(args: argparse.Namespace) -> StreamUrl | None:
    """The main stream, None without one."""
    if args.main and args.main_env:
        raise UsageError("--main and --main-env exclude each other")
    if args.main_env:
        return read_url("main-env", args.main_env)
    return read_url("main", args.main) if args.main else None


def _source_and_target(args: argparse.Namespace) -> tuple[StreamUrl, str]:
    """The URL of the source, which may be passed in three ways, and the target."""
    if args.url_env and args.url_file:
        raise UsageError("--url-env and --url-file exclude each other")
    indirect = "source-env" if args.url_env else "source-file" if args.url_file else ""
    if len(args.places) != (1 if indirect else 2):
        raise UsageError(f"stream takes {'TARGET' if indirect else 'SOURCE TARGET'}; see vidsr stream --help")
    where = args.url_env or args.url_file or args.places[0]
    return read_url(indirect or "source", where), args.places[-1]


def _users(path: Path) -> dict[str, str]:
    """The passwords by name. Raises UsageError."""
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
        if path.stat().st_mode & 0o007:
            print_message(f"{path}: every user of this machine can read it; chmod 600 changes that")
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    pairs = [line.partition(":")[::2] for line in lines if line and not line.startswith("#")]
    if not pairs or not all(name and password for name, password in pairs):
        raise UsageError(f"{path}: must have lines like NAME:PASSWORD")
    users = dict(pairs)
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise UsageError(f"{path}: {twice[0]} has more than one password")
    return users


def _http(text: str) -> tuple[str, int]:
    """Host and port; without a host, this machine only."""
    found = re.fullmatch(r"(?:(?P<host>[^:\s]+|\[[0-9a-fA-F:]+\]):)?(?P<port>\d{1,5})", text)
    if not found or not 0 < int(found["port"]) < 1 << 16:
        raise UsageError(f"--http must be a port, or HOST:PORT, not {text!r}")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])
