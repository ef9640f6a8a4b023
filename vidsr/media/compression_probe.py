"""How hard a stream is compressed, as its first picture tells."""

from dataclasses import dataclass
from math import log2
from typing import cast

import numpy as np
from av import VideoFrame
from av.sidedata.encparams import VideoEncParams, VideoEncParamsType
from av.video.stream import VideoStream

from vidsr.media.side_data import carried

EXPORT = {"export_side_data": "venc_params"}
"""What a decoder is told so that its pictures carry their quantisers."""
_SMALLEST_STEP = 0.625  # of H.264, in grey levels, at a quantiser of 0; it doubles every 6
_DELTA_AT = 16  # bytes into a block of FFmpeg's AVVideoBlockParams, behind its place and size


@dataclass(frozen=True, kw_only=True)
class Compression:
    """What the first picture that a decoder gives says about a stream; it is a key frame, unless that is missing."""

    codec: str
    lossless: bool
    """Whether the codec can be nothing else."""
    quantiser: float | None
    """Mean over the luma, as H.264 counts it, 0 to 51 of 8 bits; None of codecs whose decoder does not tell."""
    bits_per_pixel: float
    """Of the first packet, for a pixel of the luma."""


def compression(video: VideoStream, picture: VideoFrame, packet_bytes: int) -> Compression:
    """What the first picture out of the decoder says, and the size of the first packet that went in."""
    codec = video.codec_context.codec
    return Compression(
        codec=codec.canonical_name,
        lossless=codec.lossless and not codec.lossy,
        quantiser=_quantiser(picture),
        bits_per_pixel=round(8 * packet_bytes / (picture.width * picture.height), 3),
    )


def _quantiser(picture: VideoFrame) -> float | None:
    """FFmpeg's decoders of H.264, VP9, and MPEG-1, -2, -4 and their kin tell; those of HEVC, AV1 and JPEG do not."""
    found = carried(picture).get("VIDEO_ENC_PARAMS")
    if found is None:
        return None
    told = cast("VideoEncParams", found)  # PyAV's stubs do not say that the one is the other, too
    own = told.qp + _mean_delta(told, bytes(found))
    if told.codec_type == VideoEncParamsType.H264:
        return round(own - 6 * (picture.format.components[0].bits - 8), 1)  # deep pictures begin lower
    # The first is VP9's table of steps; above 100 that grows faster, but all of it is coarse.
    step = (own + 4) / 8 if told.codec_type == VideoEncParamsType.VP9 else max(own, 1.0)
    return round(6 * log2(step / _SMALLEST_STEP), 1)


def _mean_delta(told: VideoEncParams, data: bytes) -> float:
    """What the blocks have beyond the quantiser of the picture, on average."""
    if not told.nb_blocks:
        return 0.0
    deltas = np.ndarray((told.nb_blocks,), np.int32, data, told.blocks_offset + _DELTA_AT, (told.block_size,))
    return float(deltas.mean())
