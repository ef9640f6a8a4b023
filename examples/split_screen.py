"""A loop of your own over the parts: the left half by the network, the right half by bicubic interpolation.

python examples/split_screen.py examples/street.mp4 split.mp4
"""

import sys
from pathlib import Path

from vidsr import LumaMerger, Reader, Writer, open_pool, upscale_frames
from vidsr.media.luma_merger import upscale_bicubic


def split_screen(source: Path, target: Path, model: str = "fsrcnn-x2", scale: int = 2) -> None:
    """Write the video, `scale` times as large, with its audio and everything else."""
    merger = LumaMerger()
    with Reader(source) as reader, open_pool(model) as pool:
        size = scale * reader.info.width, scale * reader.info.height
        with Writer(target, reader.template, size=size) as writer:
            for frame, luma in upscale_frames(reader, pool, reader.info.depth):
                split = upscale_bicubic(frame.luma, scale)
                split[:, : size[0] // 2] = luma[:, : size[0] // 2]
                writer.write(merger.merge(frame.av_frame, split), frame.packets)
            writer.finish(reader.trailing_packets())  # without it, or if anything fails before, there is no file


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    split_screen(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
