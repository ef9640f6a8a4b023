"""What encoders are told so that they work as cameras do: no B-frames, and the same bytes on every machine."""

from dataclasses import dataclass, field

YUV420 = "yuv420p"


@dataclass(frozen=True, kw_only=True)
class Coding:
    """An encoder, and its options in the words of FFmpeg."""

    codec: str
    options: dict[str, str] = field(default_factory=dict)
    format: str = YUV420
    """The pixel format it gets; its luma is stored as it is."""


def x264(crf: float, *, gop: int, preset: str) -> Coding:
    """H.264 of constant quality."""
    return Coding(codec="libx264", options={"crf": f"{crf:g}", **_as_cameras(gop, preset)})


def x264_at_rate(bits_s: float, *, gop: int, preset: str) -> Coding:
    """H.264 held to so many bits a second, with a buffer of a second."""
    bits = f"{bits_s:.0f}"
    return Coding(codec="libx264", options={"b": bits, "maxrate": bits, "bufsize": bits, **_as_cameras(gop, preset)})


def x265(crf: float, *, gop: int, preset: str) -> Coding:
    """HEVC of constant quality."""
    told = f"log-level=none:bframes=0:keyint={gop}:pools=none:frame-threads=1"  # its results hang on its threads
    return Coding(codec="libx265", options={"crf": f"{crf:g}", "preset": preset, "x265-params": told})


def mjpeg(quality: float) -> Coding:
    """JPEG pictures about as coarse as libjpeg's of that quality, 10 to 95."""
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality  # of JPEG's own table
    # FFmpeg has MPEG's table, which multiplied by 10 / 8 is as coarse as JPEG's where pictures have most.
    step = str(min(31, max(2, round(percent / 10))))
    return Coding(codec="mjpeg", options={"qmin": step, "qmax": step, "threads": "1"}, format="yuvj420p")


def _as_cameras(gop: int, preset: str) -> dict[str, str]:
    # x264's faster ways to spread quality over time depend on the CPU; on one with AVX-512 they did not repeat.
    same = {"threads": "1", "x264-params": "cpu-independent=1"}
    return {"preset": preset, "g": str(gop), "bf": "0", **same}
