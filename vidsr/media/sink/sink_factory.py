"""The sink for each target."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from vidsr.callbacks import OnWarning
from vidsr.errors import TargetError
from vidsr.media.containers import READABLE_VIDEOS, container_for
from vidsr.media.sink.background import BackgroundWorker
from vidsr.media.sink.hls import HlsSink
from vidsr.media.sink.push import PushSink
from vidsr.media.sink.recording_dir import RecordingDir, require_writable
from vidsr.media.sink.recovery import part_path, recover_part, unused_path
from vidsr.media.sink.segment_sink import SegmentSink
from vidsr.media.sink.sink import Sink
from vidsr.settings import RecordSettings
from vidsr.stream_url import TARGET_SCHEMES, StreamUrl


def is_playlist(path: Path) -> bool:
    """Whether a target is an HLS playlist."""
    return path.suffix.lower() == ".m3u8"


def is_video(path: Path) -> bool:
    """Whether a target is a single file, of a writable format or not. All other paths are directories."""
    return path.suffix.lower() in READABLE_VIDEOS


class SinkFactory:
    """Creates sinks, and adds the directories of segments among them to `recording_dirs`.

    `on_segment` is called after each finished file. With `restarted`, an existing file does not make a target invalid.
    """

    def __init__(
        self,
        record: RecordSettings,
        *,
        recording_dirs: dict[str, RecordingDir],
        background: BackgroundWorker,
        on_segment: Callable[[], None],
        restarted: bool,
    ) -> None:
        self._record, self._recording_dirs = record, recording_dirs
        self._background, self._on_segment, self._restarted = background, on_segment, restarted
        self._stack = ExitStack()

    def close(self) -> None:
        """Release the directories."""
        self._stack.close()

    def create(self, url: StreamUrl, on_warning: OnWarning) -> Sink:
        """The sink for a target. Raises TargetError for one that can never be written."""
        path = url.path
        if path is None:
            if url.scheme not in TARGET_SCHEMES:
                known = ", ".join(TARGET_SCHEMES)
                raise TargetError(f"{url}: cannot push to {url.scheme}://; supported are {known}")
            return PushSink(url, on_warning)
        if is_playlist(path):
            return HlsSink(path, on_warning)
        if is_video(path):
            return self._file_sink(path, on_warning)
        return self._segment_sink(path, on_warning)

    def _segment_sink(self, path: Path, on_warning: OnWarning) -> Sink:
        recording_dir = RecordingDir(path, self._record, on_warning=on_warning)
        self._stack.callback(recording_dir.close)
        self._recording_dirs[str(path)] = recording_dir

        def on_segment() -> None:
            recording_dir.segment_added()
            self._on_segment()

        return SegmentSink(
            recording_dir.next_path,
            container=container_for(Path("x.mp4")),
            segment_s=self._record.segment_s,
            passthrough=self._record.original,
            background=self._background,
            on_segment=on_segment,
            on_warning=on_warning,
        )

    def _file_sink(self, path: Path, on_warning: OnWarning) -> Sink:
        container, part = container_for(path), part_path(path)
        crashed = part.exists()
        try:
            if crashed:
                recover_part(part)
            if path.exists() and not (crashed or self._restarted):
                raise TargetError(f"{path}: already exists")
            require_writable(path.parent)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error
        return SegmentSink(
            lambda: unused_path(path),
            container=container,
            segment_s=None,
            passthrough=False,
            background=self._background,
            on_segment=self._on_segment,
            on_warning=on_warning,
        )
