"""The TOML file of cameras: a configuration for each of their processes."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args, get_origin, get_type_hints

from vidsr.live.config import CameraConfig
from vidsr.settings import EncodeSettings, LearnSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.settings.options import option_name
from vidsr.stream_url import StreamUrl

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

Values = Mapping[str, object]

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATH = r"""["']?[A-Za-z0-9_-]+["']?(?:\s*\.\s*["']?[A-Za-z0-9_-]+["']?)*"""
_HEADER = re.compile(rf"\s*\[\s*({_PATH})\s*\]")
_KEY = re.compile(rf"\s*({_PATH})\s*=")
_TABLE_AND_KEY = re.compile(r"([\w.-]+): (?:unknown setting )?([\w-]+)")
_SOURCES = ("source", "source-env", "source-file")
_MAIN = ("main", "main-env", "main-file")
_LEARN = "learn"
_TYPE_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_SETTINGS = (StreamSettings, RecordSettings, EncodeSettings, PoolSettings)
_EXCLUDED: dict[type, tuple[str, ...]] = {PoolSettings: ("ray_address", "timeout_s")}


def read_cameras(path: Path) -> tuple[CameraConfig, ...]:
    """A configuration for each table [cameras.NAME]; [defaults] holds the settings that it does not have itself.

    A camera learns if it has a table [cameras.NAME.learn] or there is [defaults.learn], unless it has `learn = false`.
    They have no `preview_dir`. Raises ValueError with one sentence that names the file, the camera and the key.
    """
    text = ""
    try:
        text = read_text(path)
        return _configs(tomllib.loads(text))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        found = _TABLE_AND_KEY.match(str(error))
        raise ValueError(f"{path}: {error}{_line_text(text, *found.groups()) if found else ''}") from error


def line_of_key(file: Path, camera: str, key: str) -> str:
    """The words (line N), to end a message with; "" if the key is in no table of its own."""
    try:
        return _line_text(read_text(file), camera, key)
    except (OSError, ValueError):
        return ""


def _line_text(text: str, table: str, key: str) -> str:
    """The line of a key in a table, NAME or NAME.learn, else in that of the defaults, else of the table."""
    found: dict[tuple[str, ...], int] = {}
    current: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            current = _names(header[1])
            current = current[1:] if current[0] == "cameras" else current
            found.setdefault(current, number)
        elif name := _KEY.match(line):
            found.setdefault((*current, *_names(name[1])), number)
    camera, *rest = table.split(".")
    places = ((camera, *rest, key), ("defaults", *rest, key), (camera, *rest), ("defaults", *rest), (camera,))
    numbers = [found[place] for place in places if place in found]
    return f" (line {numbers[0]})" if numbers else ""


def _names(path: str) -> tuple[str, ...]:
    """The parts of a dotted key."""
    return tuple(part.strip().strip("\"'") for part in path.split("."))


def read_url(kind: str, where: str) -> StreamUrl:
    """A URL: `where` itself ("source", "main"), an environment variable ("source-env"), or a file ("source-file").

    Raises ValueError when there is none.
    """
    if not kind.endswith(("-env", "-file")):
        return StreamUrl(where)
    text, message = os.environ.get(where, ""), f"the environment variable {where} is not set"
    if kind.endswith("-file"):
        try:
            text, message = read_text(Path(where)), f"{where} is empty"
        except OSError as error:
            raise ValueError(f"{where}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    if not text.strip():
        raise ValueError(message)
    return StreamUrl(text.strip())


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with a byte order mark or without. Raises OSError, and ValueError for no UTF-8."""
    data = path.read_bytes()
    if b"\0" in data:
        raise ValueError("is UTF-16 or no text; save it as UTF-8")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save the file as UTF-8") from None


def _configs(values: Values) -> tuple[CameraConfig, ...]:
    if unknown := sorted(values.keys() - {"cameras", "defaults"}):
        raise ValueError(f"{unknown[0]} is unknown; the tables are [defaults] and [cameras.NAME]")
    defaults, cameras = _table(values, "defaults"), _table(values, "cameras")
    if not cameras:
        raise ValueError("has no [cameras.NAME]")
    _refuse_unknown("defaults", {key: value for key, value in defaults.items() if key != _LEARN})
    _learn_table("defaults", defaults)
    return tuple(_config(name, defaults, _table(cameras, name)) for name in cameras)


def _table(values: Values, name: str) -> dict[str, object]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table, [{name}]")
    return table


def _config(name: str, defaults: Values, own: Values) -> CameraConfig:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: the name of a camera may only hold A-Z, a-z, 0-9, _ and -")
    _refuse_unknown(name, {key: value for key, value in own.items() if key not in (*_SOURCES, "targets", _LEARN)})
    values = {**defaults, **own}
    learn, main = _learn(name, defaults, own)
    return CameraConfig(
        name=name,
        source=_source(name, own),
        targets=_targets(name, own),
        stream=_settings(StreamSettings, name, values),
        record=_settings(RecordSettings, name, values),
        encode=_settings(EncodeSettings, name, values),
        pool=_settings(PoolSettings, name, values),
        learn=learn,
        main=main,
    )


def _source(name: str, own: Values) -> StreamUrl:
    found = [kind for kind in _SOURCES if kind in own]
    if len(found) != 1:
        raise ValueError(f"{name}: needs exactly one of source, source-env and source-file")
    return _url(name, found[0], own[found[0]])


def _url(table: str, kind: str, where: object) -> StreamUrl:
    if not isinstance(where, str):
        raise ValueError(f"{table}: {kind} must be text")
    try:
        return read_url(kind, where)
    except ValueError as error:
        raise ValueError(f"{table}: {kind}: {error}") from error


def _learn(name: str, defaults: Values, own: Values) -> tuple[LearnSettings | None, StreamUrl | None]:
    """How a camera learns, None if it does not; and its main stream, None for none."""
    if own.get(_LEARN) is False or _LEARN not in {**defaults, **own}:
        return None, None
    table, own_values = f"{name}.{_LEARN}", _learn_table(name, own)
    found = [kind for kind in _MAIN if kind in own_values]
    if len(found) > 1:
        raise ValueError(f"{table}: {found[1]} and {found[0]} exclude each other")
    settings = _settings(LearnSettings, table, {**_learn_table("defaults", defaults), **own_values})
    return settings, _url(table, found[0], own_values[found[0]]) if found else None


def _learn_table(name: str, values: Values) -> dict[str, object]:
    """The table NAME.learn, empty if there is none; only that of a camera names a main stream."""
    table = values.get(_LEARN, {})
    if not isinstance(table, dict):
        whole = "defaults" if name == "defaults" else f"cameras.{name}"
        raise ValueError(f"{name}: learn must be a table, [{whole}.{_LEARN}]")
    known = {*_fields(LearnSettings), *(_MAIN if name != "defaults" else ())}
    if unknown := sorted(table.keys() - known):
        raise ValueError(f"{name}.{_LEARN}: unknown setting {unknown[0]}")
    return table


def _targets(name: str, own: Values) -> tuple[StreamUrl, ...]:
    return tuple(map(StreamUrl, _texts(f"{name}: targets", own.get("targets"))))


def _fields(kind: "type[DataclassInstance]") -> dict[str, str]:
    """The fields of a settings class that may be set, by option name."""
    excluded = _EXCLUDED.get(kind, ())
    return {option_name(field.name): field.name for field in fields(kind) if field.name not in excluded}


def _refuse_unknown(name: str, values: Values) -> None:
    known = {key for kind in _SETTINGS for key in _fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"{name}: unknown setting {unknown[0]}")


def _settings(kind: "type[Settings]", name: str, values: Values) -> "Settings":
    """Settings of one class, from all values."""
    hints = get_type_hints(kind)
    chosen = {}
    for key, field in _fields(kind).items():
        if key in values:
            type_ = next(iter(get_args(hints[field])), hints[field])  # float for float | None
            read = _texts if get_origin(hints[field]) is tuple else partial(_value, kind=type_)
            chosen[field] = read(f"{name}: {key}", values[key])
    try:
        return kind(**chosen)
    except ValueError as error:  # the message begins with the name of the field
        field, _, fault = str(error).partition(" ")
        raise ValueError(f"{name}: {option_name(field)} {fault}") from error


def _texts(what: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{what} must be a list of at least one text")
    return tuple(value)


def _value(what: str, value: object, kind: type[int | float | str]) -> object:
    """The value, if it has the type `kind`; an int is converted to float. Raises ValueError."""
    if type(value) is int and kind is float:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{what} must be {_TYPE_NAMES[kind]}")
    return value
