"""The engine alone: grey levels in, larger grey levels out, no video and no Ray.

python examples/one_plane.py examples/street.mp4
"""

import sys
from pathlib import Path

from vidsr import Engine, Reader


def upscale_first_luma(source: Path, model: str = "fsrcnn-x2") -> tuple[int, ...]:
    """The shape of the first frame's luma, (H, W), once it is upscaled."""
    engine = Engine(model, threads=2)
    with Reader(source) as reader:
        plane = reader.first.luma  # any (H, W) uint8 or uint16 array will do
        large = engine(plane, reader.info.depth)
    print(f"{plane.shape} -> {large.shape}, grey levels {plane.mean():.1f} -> {large.mean():.1f} on average")
    return large.shape


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    upscale_first_luma(Path(sys.argv[1]), *sys.argv[2:])
