"""The newest picture before and after, for people to look at."""

import os
from contextlib import suppress
from pathlib import Path

from vidsr.media.frame import VideoFrame
from vidsr.media.image_writer import encode_image
from vidsr.media.scale import LumaMerger

_EVERY_S = 2.0
_WIDEST = 1280


class Snapshots:
    """`before.jpg` and `after.jpg` in a folder, each there whole, about every two seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._merger = LumaMerger()
        self._next_s = 0.0

    def take(self, before: VideoFrame, after: VideoFrame, *, now_s: float) -> None:
        """Keep the two, if it is time to. Where they cannot be kept, the newest ones are old."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        with suppress(OSError):
            for name, picture in (("before.jpg", before), ("after.jpg", after)):
                part = self._folder / f"{name}.part"
                part.write_bytes(encode_image(self._shown(picture), "mjpeg"))
                os.replace(part, self._folder / name)

    def _shown(self, picture: VideoFrame) -> VideoFrame:
        if picture.width <= _WIDEST:
            return picture
        return self._merger.resize(picture, (_WIDEST, max(2, picture.height * _WIDEST // picture.width // 2 * 2)))
