"""The newest picture before and after, for people to look at."""

import os
from contextlib import suppress
from pathlib import Path

from vidsr.media.frame import Picture
from vidsr.media.image_writer import encoded
from vidsr.media.scale import Merger

_EVERY_S = 2.0
_WIDEST = 1280


class Snapshots:
    """`before.jpg` and `after.jpg` in a folder, each there whole, about every two seconds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._merger = Merger()
        self._next_s = 0.0

    def take(self, before: Picture, after: Picture, *, now_s: float) -> None:
        """Keep the two, if it is time to. Where they cannot be kept, the newest ones are old."""
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        with suppress(OSError):
            for name, picture in (("before.jpg", before), ("after.jpg", after)):
                part = self._folder / f"{name}.part"
                part.write_bytes(encoded(self._shown(picture), "mjpeg"))
                os.replace(part, self._folder / name)

    def _shown(self, picture: Picture) -> Picture:
        if picture.width <= _WIDEST:
            return picture
        return self._merger.fit(picture, (_WIDEST, max(2, picture.height * _WIDEST // picture.width // 2 * 2)))
