"""What the tests hold results against, written without the parts that are tested."""

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


@dataclass
class Read:
    """A file as plain PyAV reads it."""

    pts: list[float] = field(default_factory=list)
    """Of every decoded picture, in seconds."""
    pictures: list[av.VideoFrame] = field(default_factory=list)
    packets: dict[int, list[bytes]] = field(default_factory=dict)
    """The payloads of every other stream, by its number."""


def read_with_av(path: Path) -> Read:
    """All pictures of the first video that is no cover, and all packets beside it."""
    result = Read()
    with av.open(f"file:{path}") as container:
        video = next(s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic)
        for packet in container.demux():
            if packet.stream is video:
                for picture in packet.decode():
                    result.pts.append(float(picture.pts * video.time_base))
                    result.pictures.append(picture)
            elif packet.size:
                result.packets.setdefault(packet.stream.index, []).append(bytes(packet))
    return result


def double(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """The plane, each pixel four times."""
    return np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1)
