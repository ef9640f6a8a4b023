"""Which kind of target an address is."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from vidsr.errors import TargetError
from vidsr.media.containers import READ_ONLY_VIDEO_SUFFIXES, VIDEO_SUFFIXES, container_for
from vidsr.media.sink.background import Finisher
from vidsr.media.sink.hls import Hls
from vidsr.media.sink.push import Push
from vidsr.media.sink.recording_dir import Folder, require_writable
from vidsr.media.sink.recovery import part_of, salvage, unused
from vidsr.media.sink.segment_sink import Files
from vidsr.media.sink.sink import Target
from vidsr.settings import RecordSettings
from vidsr.stream_url import TARGETS, Address

Say = Callable[[str], None]


def is_playlist(path: Path) -> bool:
    """Whether a target is a playlist in a folder that players follow."""
    return path.suffix.lower() == ".m3u8"


def is_video(path: Path) -> bool:
    """Whether a target is one file, which need not be of a kind that can be written. All others are folders."""
    return path.suffix.lower() in VIDEO_SUFFIXES | READ_ONLY_VIDEO_SUFFIXES


class Targets:
    """The targets of addresses, by their kind; the folders of segments among them are put in `folders`.

    `ended` hears of each file that is done. `restarted`: a file that is there is no reason to refuse a target.
    """

    def __init__(
        self,
        record: RecordSettings,
        *,
        folders: dict[str, Folder],
        finisher: Finisher,
        ended: Callable[[], None],
        restarted: bool,
    ) -> None:
        self._record, self._folders = record, folders
        self._finisher, self._ended, self._restarted = finisher, ended, restarted
        self._stack = ExitStack()

    def close(self) -> None:
        """Let others have the folders."""
        self._stack.close()

    def make(self, address: Address, say: Say) -> Target:
        """The target at an address. Raises TargetError for one that can never be written."""
        path = address.path
        if path is None:
            if address.scheme not in TARGETS:
                known = ", ".join(TARGETS)
                raise TargetError(f"{address}: nothing can be sent by {address.scheme}, but by {known}")
            return Push(address, say)
        if is_playlist(path):
            return Hls(path, say)
        if is_video(path):
            return self._one_file(path, say)
        return self._segments(path, say)

    def _segments(self, path: Path, say: Say) -> Target:
        folder = Folder(path, self._record, say=say)
        self._stack.callback(folder.close)
        self._folders[str(path)] = folder

        def ended() -> None:
            folder.changed()
            self._ended()

        return Files(
            folder.next_name,
            kind=container_for(Path("x.mp4")),
            segment_s=self._record.segment_s,
            original=self._record.original,
            finisher=self._finisher,
            ended=ended,
            say=say,
        )

    def _one_file(self, path: Path, say: Say) -> Target:
        kind, part = container_for(path), part_of(path)
        crashed = part.exists()
        try:
            if crashed:
                salvage(part)
            if path.exists() and not (crashed or self._restarted):
                raise TargetError(f"{path}: exists already")
            require_writable(path.parent)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error
        return Files(
            lambda: unused(path),
            kind=kind,
            segment_s=None,
            original=False,
            finisher=self._finisher,
            ended=self._ended,
            say=say,
        )
