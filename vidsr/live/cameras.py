"""A file of cameras (TOML): what each of their processes is told."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints

from vidsr.live.camera_config import Order
from vidsr.settings import EncodeSettings, PoolSettings, RecordSettings, StreamSettings
from vidsr.settings.options import option_name
from vidsr.stream_url import Address

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)

Values = Mapping[str, object]

POOL_TIMEOUT_S = 3.0
"""Seconds a megapixel after which a worker counts as hung: a file can wait for longer than a camera."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SOURCES = ("source", "source-env", "source-file")
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_KINDS = (StreamSettings, RecordSettings, EncodeSettings, PoolSettings)
_NOT_SET: dict[type, tuple[str, ...]] = {PoolSettings: ("ray_address", "timeout_s")}


def read_cameras(path: Path) -> tuple[Order, ...]:
    """An order for each table [cameras.NAME], with the settings of [defaults] where it has none of its own.

    Their folders are still to be made. Raises ValueError with one sentence that names the file, the camera, the key.
    """
    try:
        return _orders(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def find_address(kind: str, where: str) -> Address:
    """An address: `where` itself ("source"), in the environment ("source-env"), or in a file ("source-file").

    Raises ValueError when there is none.
    """
    if kind == "source":
        return Address(where)
    text, words = os.environ.get(where, ""), f"there is no variable {where} in the environment"
    if kind == "source-file":
        try:
            text, words = Path(where).read_text(encoding="utf-8"), f"{where} is empty"
        except OSError as error:
            raise ValueError(f"{where}: {error.strerror}") from error
    if not text.strip():
        raise ValueError(words)
    return Address(text.strip())


def for_cameras(order: Order) -> Order:
    """The order with what differs from files: little patience with a worker."""
    return replace(order, pool=replace(order.pool, timeout_s=POOL_TIMEOUT_S))


def _orders(told: Values) -> tuple[Order, ...]:
    if strange := sorted(told.keys() - {"cameras", "defaults"}):
        raise ValueError(f"{strange[0]} is neither [defaults] nor [cameras.NAME]")
    defaults, cameras = _table(told, "defaults"), _table(told, "cameras")
    if not cameras:
        raise ValueError("there is no [cameras.NAME]")
    _refuse_unknown("defaults", defaults)
    return tuple(_order(name, defaults, _table(cameras, name)) for name in cameras)


def _table(values: Values, name: str) -> dict[str, object]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name} must be a table, [{name}]")
    return table


def _order(name: str, defaults: Values, own: Values) -> Order:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a camera's name is of A-Z, a-z, 0-9, _ and - alone")
    _refuse_unknown(name, {key: value for key, value in own.items() if key not in (*_SOURCES, "targets")})
    values = {**defaults, **own}
    order = Order(
        name=name,
        source=_source(name, own),
        targets=_targets(name, own),
        stream=_settings(StreamSettings, name, values),
        record=_settings(RecordSettings, name, values),
        encode=_settings(EncodeSettings, name, values),
        pool=_settings(PoolSettings, name, values),
    )
    return for_cameras(order)


def _source(name: str, own: Values) -> Address:
    given = [(kind, own[kind]) for kind in _SOURCES if kind in own]
    if len(given) != 1:
        raise ValueError(f"{name}: takes one of source, source-env and source-file")
    (kind, where), *_ = given
    if not isinstance(where, str):
        raise ValueError(f"{name}: {kind} must be text")
    try:
        return find_address(kind, where)
    except ValueError as error:
        raise ValueError(f"{name}: {kind}: {error}") from error


def _targets(name: str, own: Values) -> tuple[Address, ...]:
    targets = own.get("targets")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
        raise ValueError(f"{name}: targets must be a list of text, one at the least")
    return tuple(map(Address, targets))


def _fields(kind: "type[DataclassInstance]") -> dict[str, str]:
    """The fields of settings that may be set, by the names of their options."""
    not_set = _NOT_SET.get(kind, ())
    return {option_name(field.name): field.name for field in fields(kind) if field.name not in not_set}


def _refuse_unknown(name: str, values: Values) -> None:
    known = {key for kind in _KINDS for key in _fields(kind)}
    if strange := sorted(values.keys() - known):
        raise ValueError(f"{name}: there is no setting {strange[0]}")


def _settings(kind: "type[Settings]", name: str, values: Values) -> "Settings":
    """Settings of one kind, from all values."""
    hints = get_type_hints(kind)
    chosen = {}
    for key, field in _fields(kind).items():
        if key in values:
            type_ = next(iter(get_args(hints[field])), hints[field])  # float of float | None
            chosen[field] = _value(f"{name}: {key}", values[key], type_)
    try:
        return kind(**chosen)
    except ValueError as error:  # it begins with the name of the field
        field, _, fault = str(error).partition(" ")
        raise ValueError(f"{name}: {option_name(field)} {fault}") from error


def _value(what: str, value: object, kind: type[int | float | str]) -> object:
    """The value, when it is of its kind; a whole number is a number, too."""
    if type(value) is int and kind is float:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"{what} must be {_WORDS[kind]}")
    return value
