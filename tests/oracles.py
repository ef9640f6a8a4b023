"""What the tests hold results against, written without the parts that are tested."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsr.model.weights import Weights
from vidsr.quality.matlab import imresize


@dataclass
class Read:
    """A file as plain PyAV reads it."""

    pts: list[float] = field(default_factory=list)
    """Of every decoded picture, in seconds."""
    times: list[Fraction] = field(default_factory=list)
    """The same, exactly."""
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
                    result.times.append(picture.pts * video.time_base)
                    result.pts.append(float(result.times[-1]))
                    result.pictures.append(picture)
            elif packet.size:
                result.packets.setdefault(packet.stream.index, []).append(bytes(packet))
    return result


def samples(picture: av.VideoFrame) -> list[NDArray[np.generic]]:
    """(H, W) of every plane of a planar picture, as it is stored."""
    dtype = np.uint8 if picture.format.components[0].bits == 8 else np.uint16
    rows = [np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype().itemsize) for plane in picture.planes]
    return [row[: plane.height, : plane.width] for row, plane in zip(rows, picture.planes, strict=True)]


def double(plane: NDArray[np.generic]) -> NDArray[np.generic]:
    """The plane, each pixel four times."""
    return np.repeat(np.repeat(plane, 2, axis=0), 2, axis=1)


def network(weights: Weights, plane: NDArray[np.generic], peak: int = 255) -> NDArray[np.float64]:
    """The plane enlarged by the network as it is defined, in float64, neither clipped nor rounded: (H*scale, W*scale).

    FSRCNN sees the plane with its edge repeated; SRCNN sees the bicubic enlargement of that.
    """
    architecture, tensors = weights.architecture, weights.tensors
    scale, halo, tail = architecture.scale, architecture.halo, architecture.tail
    padded = np.pad(plane.astype(np.float64), halo, mode="edge")
    base = imresize(padded, scale)
    x, margin = (base, halo * scale) if tail.stride == 1 else (padded, halo)
    x = x[None] / peak
    outputs = []
    for layer in architecture.body:
        kernel, bias, slope = (tensors[f"{layer.name}.{part}"] for part in ("weight", "bias", "slope"))
        patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2))
        x = np.einsum("ihwyx,oiyx->ohw", patches, kernel) + bias[:, None, None]
        x = np.where(x > 0, x, slope[:, None, None] * x)
        margin -= kernel.shape[-1] // 2
        outputs.append(x)
    if architecture.long_skip:
        lost = (outputs[0].shape[-1] - x.shape[-1]) // 2
        x = x + outputs[0][:, lost : lost + x.shape[1], lost : lost + x.shape[2]]
    added = deconvolution(x, tensors[f"{tail.name}.weight"], tail.stride, tail.padding) + tensors[f"{tail.name}.bias"]
    added = peak * _trimmed(added, margin * tail.stride)
    return _trimmed(base, halo * scale) + added if architecture.residual else added


def deconvolution(
    x: NDArray[np.float64], kernel: NDArray[np.float32], stride: int, padding: int
) -> NDArray[np.float64]:
    """(H*stride, W*stride): every pixel of (inputs, H, W) adds its (inputs, 1, k, k) kernel where it comes to lie."""
    size = kernel.shape[-1]
    rows, columns = stride * x.shape[1], stride * x.shape[2]
    result = np.zeros((rows + size, columns + size))
    for row, column in np.ndindex(size, size):
        places = result[row : row + rows : stride, column : column + columns : stride]
        places += np.tensordot(kernel[:, 0, row, column], x, 1)
    return result[padding : padding + rows, padding : padding + columns]


def _trimmed(plane: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    return plane[pixels : len(plane) - pixels, pixels : plane.shape[1] - pixels]
