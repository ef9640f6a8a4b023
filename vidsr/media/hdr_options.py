"""HDR: whether a frame is, and its static metadata as encoder options."""

import struct
from fractions import Fraction

from av import VideoFrame
from av.video.reformatter import ColorTrc

from vidsr.media.side_data import FrameKind, side_data


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame's levels are those of PQ or HLG."""
    return frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)


def hdr_options(frame: VideoFrame, codec: str) -> dict[str, str]:
    """The encoder option that writes the frame's mastering display and light levels; {} if there is none."""
    mastering = _mastering_display(frame)
    light = _light_levels(frame)
    if codec == "libx265":
        words = [f"master-display={_x265_display(mastering)}"] if mastering else []
        words += [f"max-cll={light[0]},{light[1]}", "hdr10=1"] if light else []
        return {"x265-params": ":".join(words)} if words else {}
    if codec == "libx264":
        words = [f"mastering-display={_x265_display(mastering)}"] if mastering else []
        words += [f"cll={light[0]},{light[1]}"] if light else []
        return {"x264-params": ":".join(words)} if words else {}
    if codec == "libsvtav1":
        words = [f"mastering-display={_svtav1_display(mastering)}"] if mastering else []
        words += [f"content-light={light[0]},{light[1]}"] if light else []
        return {"svtav1-params": ":".join(words)} if words else {}
    return {}


def _mastering_display(frame: VideoFrame) -> tuple[Fraction, ...] | None:
    """Red, green, blue and white (x, y), then the lowest and the highest luminance in cd/m²."""
    data = side_data(frame, FrameKind.MASTERING_DISPLAY_METADATA)
    if data is None:
        return None
    numbers = struct.unpack("22i", data[:88])  # AVMasteringDisplayMetadata: ten rationals, two flags
    pairs = list(zip(numbers[0:20:2], numbers[1:20:2], strict=True))
    complete = numbers[20] and numbers[21] and all(denominator for _, denominator in pairs)
    return tuple(Fraction(*pair) for pair in pairs) if complete else None


def _light_levels(frame: VideoFrame) -> tuple[int, int] | None:
    """MaxCLL and MaxFALL in cd/m²."""
    data = side_data(frame, FrameKind.CONTENT_LIGHT_LEVEL)
    return None if data is None else struct.unpack("2I", data[:8])


def _x265_display(mastering: tuple[Fraction, ...]) -> str:
    """In units of 1/50000 and 1/10000 cd/m², as x264 and x265 read them."""
    red, green, blue, white = (
        f"({round(mastering[i] * 50000)},{round(mastering[i + 1] * 50000)})" for i in range(0, 8, 2)
    )
    low, high = (round(level * 10000) for level in mastering[8:])
    return f"G{green}B{blue}R{red}WP{white}L({high},{low})"


def _svtav1_display(mastering: tuple[Fraction, ...]) -> str:
    red, green, blue, white = (f"({float(mastering[i]):.5f},{float(mastering[i + 1]):.5f})" for i in range(0, 8, 2))
    low, high = (float(level) for level in mastering[8:])
    return f"G{green}B{blue}R{red}WP{white}L({high:.4f},{low:.4f})"
