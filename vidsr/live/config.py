"""The configuration of a supervisor and of each camera's process, and its form in JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import repeat
from pathlib import Path
from types import UnionType
from typing import TypeVar, cast, get_args, get_origin, get_type_hints

from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.stream_url import StreamUrl


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """One camera: its source, its targets and its settings. Its process reads it as one line of JSON from stdin."""

    name: str
    source: StreamUrl
    targets: tuple[StreamUrl, ...]
    preview_dir: Path | None = None
    """A private directory of the supervisor for the newest frame before and after upscaling (before.jpg, after.jpg);
    None without a web page to show them."""
    stream: StreamSettings = field(default_factory=StreamSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    pool: PoolSettings = field(default_factory=PoolSettings)
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""
    restarted: bool = False
    """Whether an earlier process wrote to the same targets."""


@dataclass(frozen=True, kw_only=True)
class SupervisorConfig:
    """All cameras of a supervisor, and its HTTP server. The cameras have no `preview_dir` yet."""

    cameras: tuple[CameraConfig, ...]
    http: tuple[str, int] | None = None
    """Host and port of the HTTP server; None without one."""
    log_level: str = "WARNING"
    """The lowest level that is logged, by name."""


Config = TypeVar("Config", CameraConfig, SupervisorConfig)


def to_json(config: CameraConfig | SupervisorConfig) -> str:
    """One line of JSON, which holds the secrets of the URLs."""
    return json.dumps(_to_plain(config))


def from_json(kind: type[Config], text: str) -> Config:
    """The configuration of class `kind` that `to_json` made the text from."""
    return cast(Config, _from_plain(kind, json.loads(text)))


def _to_plain(value: object) -> object:
    if isinstance(value, StreamUrl):
        return value.text
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value):
        return {each.name: _to_plain(getattr(value, each.name)) for each in fields(value)}
    return [_to_plain(each) for each in value] if isinstance(value, tuple) else value


def _from_plain(kind: object, value: object) -> object:
    """The value of the type `kind`, which is a field's annotation."""
    if isinstance(kind, UnionType):  # X | None
        return None if value is None else _from_plain(get_args(kind)[0], value)
    if get_origin(kind) is tuple:
        first, second = get_args(kind)
        kinds = repeat(first) if second is Ellipsis else (first, second)
        return tuple(_from_plain(each, item) for each, item in zip(kinds, cast(Sequence[object], value), strict=False))
    if kind is StreamUrl:
        return StreamUrl(cast(str, value))
    if kind is Path:
        return Path(cast(str, value))
    if isinstance(kind, type) and is_dataclass(kind):
        hints, values = get_type_hints(kind), cast(dict[str, object], value)
        return kind(**{name: _from_plain(hints[name], each) for name, each in values.items()})
    return value
