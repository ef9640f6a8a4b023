"""The newest frame before and after upscaling, as JPEG for the web page."""

import os
from contextlib import suppress
from pathlib import Path

from vidsr.media.frame import VideoFrame
from vidsr.media.image_writer import encode_image
from vidsr.media.luma_merger import LumaMerger

_INTERVAL_S = 2.0
_MAX_WIDTH = 1280


class PreviewWriter:
    """Writes `before.jpg` and `after.jpg` into a directory, atomically, about every two seconds."""

    def __init__(self, preview_dir: Path) -> None:
        self._preview_dir = preview_dir
        self._merger = LumaMerger()
        self._next_s = 0.0

    def write(self, decoded: VideoFrame, upscaled: VideoFrame, *, now_s: float) -> None:
        """Write both frames if it is time. Failed writes are ignored: the previous files stay."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + _INTERVAL_S
        with suppress(OSError):
            for name, frame in (("before.jpg", decoded), ("after.jpg", upscaled)):
                part = self._preview_dir / f"{name}.part"
                part.write_bytes(encode_image(self._shrunk(frame), "mjpeg"))
                os.replace(part, self._preview_dir / name)

    def _shrunk(self, frame: VideoFrame) -> VideoFrame:
        if frame.width <= _MAX_WIDTH:
            return frame
        return self._merger.resize(frame, (_MAX_WIDTH, max(2, frame.height * _MAX_WIDTH // frame.width // 2 * 2)))
