"""The bytes of an upscaled segment: a line of JSON with its facts, then the data of its packets."""

import dataclasses
import json
from typing import Any, get_args, get_type_hints

from vidsr.media.packet_data import PacketData
from vidsr.segments.work import UpscaledSegment

_FACTS = [field.name for field in dataclasses.fields(UpscaledSegment) if field.name not in ("packets", "headers")]
_TYPES = get_type_hints(UpscaledSegment)


def segment_bytes(done: UpscaledSegment) -> bytes:
    """The segment as bytes."""
    packets = [[len(each.data), each.pts, each.dts, each.duration, each.key] for each in done.packets]
    facts = {name: getattr(done, name) for name in _FACTS}
    line = json.dumps(facts | {"headers": done.headers.hex(), "packets": packets})
    return b"".join([line.encode(), b"\n", *(each.data for each in done.packets)])


def segment_of_bytes(content: bytes) -> UpscaledSegment:
    """The segment of such bytes. Raises ValueError, KeyError or TypeError for others."""
    line, _, data = content.partition(b"\n")
    facts = json.loads(line)
    packets, at = [], 0
    for size, pts, dts, duration, key in facts["packets"]:
        if not all(isinstance(number, int) for number in (size, pts, dts, duration)) or size < 0:
            raise TypeError("a packet without a size and times")
        packets.append(PacketData(data=data[at : at + size], pts=pts, dts=dts, duration=duration, key=bool(key)))
        at += size
    if at != len(data):
        raise ValueError(f"{len(data)} bytes of packets, not {at}")
    made = {name: _fact(name, facts[name]) for name in _FACTS}
    return UpscaledSegment(packets=tuple(packets), headers=bytes.fromhex(facts["headers"]), **made)


def _fact(name: str, value: Any) -> Any:
    """The value of a field. Raises TypeError if it is of another type."""
    arguments = get_args(_TYPES[name])
    each, kind = (value, arguments[0]) if arguments else ([value], _TYPES[name])
    if not isinstance(each, list) or any(type(one) is not kind for one in each):
        raise TypeError(f"{name} is {value!r}")
    return tuple(value) if arguments else value
