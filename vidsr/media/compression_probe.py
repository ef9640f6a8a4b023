"""How strongly a stream is compressed, measured on its first frame."""

from dataclasses import dataclass
from math import log2
from struct import Struct

import numpy as np
from av import VideoFrame
from av.codec import Codec

from vidsr.media.side_data import FrameKind, side_data

EXPORT_QUANTISERS = {"export_side_data": "venc_params"}
"""Decoder options that add the quantisers to the frames' side data."""
_SMALLEST_STEP = 0.625  # of H.264, in grey levels, at a quantiser of 0; it doubles every 6
_VP9, _H264 = 0, 1
_ENC_PARAMS = Struct("@IQQii")  # the first fields of FFmpeg's AVVideoEncParams
_DELTA_OFFSET = 16  # bytes of FFmpeg's AVVideoBlockParams before the delta: position and size of the block


@dataclass(frozen=True, kw_only=True)
class Compression:
    """The compression of a stream as its first decoded frame shows it: a key frame, unless that one is missing."""

    codec: str
    lossless: bool
    """Whether the codec is always lossless."""
    quantiser: float | None
    """Mean over the luma on H.264's scale, 0 to 51 at 8 bits; of HEVC that of its first slice; else None."""
    bits_per_pixel: float
    """Size of the first packet per luma pixel."""


def probe_compression(
    codec: Codec, frame: VideoFrame, packet_bytes: int, *, header_quantiser: float | None = None
) -> Compression:
    """The compression by the first decoded frame, the size of the first packet and the quantiser in its headers."""
    return Compression(
        codec=codec.canonical_name,
        lossless=codec.lossless and not codec.lossy,
        quantiser=_quantiser(frame) if header_quantiser is None else header_quantiser,
        bits_per_pixel=round(8 * packet_bytes / (frame.width * frame.height), 3),
    )


def _quantiser(frame: VideoFrame) -> float | None:
    """FFmpeg's decoders of H.264, VP9 and MPEG-1, -2, -4 export it; those of HEVC, AV1 and JPEG do not."""
    data = side_data(frame, FrameKind.VIDEO_ENC_PARAMS)
    if data is None:
        return None
    blocks, offset, block_bytes, codec, quantiser = _ENC_PARAMS.unpack_from(data)
    mean = float(quantiser)
    if blocks:  # the mean difference between the quantisers of the blocks and that of the frame
        mean += float(np.ndarray((blocks,), np.int32, data, offset + _DELTA_OFFSET, (block_bytes,)).mean())
    if codec == _H264:
        return round(mean - 6 * (frame.format.components[0].bits - 8), 1)  # more bits, lower first quantiser
    # VP9's quantiser indexes a table of steps; above 100 the table grows faster, but all of that is coarse.
    step = (mean + 4) / 8 if codec == _VP9 else max(mean, 1.0)
    return round(6 * log2(step / _SMALLEST_STEP), 1)
