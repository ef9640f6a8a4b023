"""Arrays in, arrays out, in order and a few ahead: no file, no encoder.

python examples/upscale_array.py frames.npy large.npy   # (N, H, W, 3) RGB of 8 bits
"""

import sys
from collections.abc import Iterable, Iterator

import av
import numpy as np

from vidsr import LumaMerger, PoolSettings, open_pool, upscale_frames
from vidsr.media.formats import luma_of
from vidsr.media.frame import Frame


def upscale_array(frames: Iterable[np.ndarray], model: str = "fsrcnn-x2", workers: int = 0) -> Iterator[np.ndarray]:
    """Each (H, W, 3) uint8 RGB array, upscaled: luma by the network, chroma by bicubic interpolation."""
    yuv = (av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv444p") for rgb in frames)
    merger = LumaMerger()
    with open_pool(model, PoolSettings(workers=workers)) as pool:
        for frame, luma in upscale_frames((Frame(av_frame=each, luma=luma_of(each)) for each in yuv), pool, 8):
            yield merger.merge(frame.av_frame, luma).to_ndarray(format="rgb24")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    np.save(sys.argv[2], np.stack(list(upscale_array(np.load(sys.argv[1]), *sys.argv[3:]))))
