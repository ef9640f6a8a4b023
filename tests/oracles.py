"""What the tests hold results against, written without the parts that are tested."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsr.model.weights import Weights
from vidsr.quality.imresize import imresize


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


def fsrcnn(weights: Weights, plane: NDArray[np.generic], peak: int = 255) -> NDArray[np.float64]:
    """The plane enlarged by FSRCNN as it is defined, in float64, neither clipped nor rounded: (H*scale, W*scale)."""
    tensors, scale, halo = weights.tensors, weights.architecture.scale, weights.architecture.halo
    padded = np.pad(plane.astype(np.float64), halo, mode="edge")
    x, margin = padded[None] / peak, halo
    for layer in weights.architecture.body:
        kernel, bias, slope = (tensors[f"{layer.name}.{part}"] for part in ("weight", "bias", "slope"))
        patches = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2))
        x = np.einsum("ihwyx,oiyx->ohw", patches, kernel) + bias[:, None, None]
        x = np.where(x > 0, x, slope[:, None, None] * x)
        margin -= kernel.shape[-1] // 2
    added = deconvolution(x, tensors["deconvolution.weight"], scale) + tensors["deconvolution.bias"]
    base = imresize(padded, scale)
    return _trimmed(base, halo * scale) + peak * _trimmed(added, margin * scale)


def deconvolution(x: NDArray[np.float64], kernel: NDArray[np.float32], scale: int) -> NDArray[np.float64]:
    """(H*scale, W*scale): every pixel of (inputs, H, W) adds its (inputs, 1, 9, 9) kernel where it comes to lie."""
    rows, columns = scale * x.shape[1], scale * x.shape[2]
    result = np.zeros((rows + 9, columns + 9))
    for row, column in np.ndindex(9, 9):
        places = result[row : row + rows : scale, column : column + columns : scale]
        places += np.tensordot(kernel[:, 0, row, column], x, 1)
    padding = 4 if scale == 2 else 3
    return result[padding : padding + rows, padding : padding + columns]


def _trimmed(plane: NDArray[np.float64], pixels: int) -> NDArray[np.float64]:
    return plane[pixels : len(plane) - pixels, pixels : plane.shape[1] - pixels]
