"""What is live over HTTP: previews, as images and as an endless MJPEG, and the HLS playlists of cameras."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Semaphore

from vidsr.live.config import CameraConfig
from vidsr.live.http_response import Environ, Response, file_answer, not_found, text_response
from vidsr.live.previews import preview_moments, preview_path

_PATH = re.compile(r"/camera/([A-Za-z0-9_-]+)/([^/\0]+)")
_PREVIEW = re.compile(r"(before|after)\.(jpg|mjpeg)")
_MOMENT = re.compile(r"moment=(\d{1,12})")
_PAIR_S = 10.0
"""How long a request for the frame after upscaling is answered with the moment of the last one before it."""
_MAX_MJPEG, _POLL_S, _SILENT_S = 4, 0.25, 60.0
_BOUNDARY = "vidsr-preview"
_PIECE_KINDS = {".m4s": "video/iso.segment", ".mp4": "video/mp4"}


class LiveSite:
    """Answers what is below /camera. At most four endless MJPEGs are sent at once, until `close`."""

    def __init__(
        self, names: Callable[[], set[str]], configs: Callable[[], Sequence[CameraConfig]], preview_dir: Path
    ) -> None:
        """The functions are called from several threads; `preview_dir` has a directory for each camera."""
        self._names, self._configs, self._preview_dir = names, configs, preview_dir
        self._last_before: dict[str, tuple[float, int]] = {}  # by camera: when it was served, and its moment
        self._mjpegs, self._closing = Semaphore(_MAX_MJPEG), Event()

    def close(self) -> None:
        """End the endless answers."""
        self._closing.set()

    def newest(self, camera: str) -> int:
        """The newest moment with previews; 0 without any."""
        try:
            return max(preview_moments(self._preview_dir / camera), default=0)
        except OSError:
            return 0

    def answer(self, environ: Environ) -> Response:
        """The answer to a request."""
        found = _PATH.fullmatch(environ["PATH_INFO"])
        if not found or found[1] not in self._names():
            return not_found()
        camera, file = found.groups()
        try:
            if (preview := _PREVIEW.fullmatch(file)) and preview[2] == "mjpeg":
                return self._mjpeg(camera, preview[1], is_head=environ["REQUEST_METHOD"] == "HEAD")
            if preview:
                asked = _MOMENT.fullmatch(environ["QUERY_STRING"])
                moment = int(asked[1]) if asked else self._moment(camera, preview[1])
                data = preview_path(self._preview_dir / camera, moment, preview[1]).read_bytes()
                return Response(headers={"Content-Type": "image/jpeg"}, body=data)
            return self._of_playlist(camera, file, environ)
        except OSError:  # no preview, or no segment, any more
            return not_found()

    def _of_playlist(self, camera: str, file: str, environ: Environ) -> Response:
        """The playlist of a camera as live.m3u8, or one of the files that it names."""
        playlist = next((config.playlist for config in self._configs() if config.name == camera), None)
        if playlist is None:
            return not_found()
        if file == "live.m3u8":
            return text_response("200 OK", playlist.read_text(), kind="application/vnd.apple.mpegurl")
        if not re.fullmatch(rf"{re.escape(playlist.stem)}-(init-)?\d+\.(m4s|mp4)", file):
            return not_found()
        path = playlist.with_name(file)
        return file_answer(path.open("rb"), environ, kind=_PIECE_KINDS[path.suffix])

    def _moment(self, camera: str, which: str) -> int:
        """The newest moment; for the frame after upscaling, that of the frame before which was just served."""
        now, (served_s, moment) = time.monotonic(), self._last_before.get(camera, (0.0, 0))
        if which == "after" and moment and now - served_s < _PAIR_S:
            return moment
        newest = self.newest(camera)
        if which == "before":
            self._last_before[camera] = now, newest
        return newest

    def _mjpeg(self, camera: str, which: str, *, is_head: bool) -> Response:
        headers = {"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
        if is_head:
            return Response(headers=headers, body=iter(()))
        if not self._mjpegs.acquire(blocking=False):
            return text_response("503 Service Unavailable", "too many previews are watched\n")
        return Response(headers=headers, body=_Parts(self._parts(camera, which), self._mjpegs.release))

    def _parts(self, camera: str, which: str) -> Iterator[bytes]:
        """Each new preview; ends a minute after the last one."""
        last, last_s = 0, time.monotonic()
        while not self._closing.is_set() and time.monotonic() - last_s < _SILENT_S:
            moment = self.newest(camera)
            if moment == last:
                self._closing.wait(_POLL_S)
                continue
            try:
                data = preview_path(self._preview_dir / camera, moment, which).read_bytes()
            except OSError:
                self._closing.wait(_POLL_S)
                continue
            last, last_s = moment, time.monotonic()
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            yield head.encode() + data + b"\r\n"


class _Parts:
    """An iterator that calls `on_close` when the server has done with it, also before its first part."""

    def __init__(self, parts: Iterator[bytes], on_close: Callable[[], None]) -> None:
        self._parts, self.close = parts, on_close

    def __iter__(self) -> Iterator[bytes]:
        return self._parts
