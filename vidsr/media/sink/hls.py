"""An HLS playlist of the last seconds, whose older segments are deleted."""

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time

from av import Packet

from vidsr.errors import TargetError
from vidsr.media.containers import Container
from vidsr.media.frame import SidePacket
from vidsr.media.probe import codec_name
from vidsr.media.sink.muxer import Muxer
from vidsr.media.sink.recording_dir import require_writable
from vidsr.media.sink.segment_recovery import end_of_last_fragment
from vidsr.media.sink.sink import Sink
from vidsr.media.stream_template import OutputStreams, TimedPacket

_SEGMENT_S = 2
_LISTED = 5
_KEPT = 2  # segments that left the playlist, and which a player may still be reading
_FLAGS = "temp_file+program_date_time+independent_segments+omit_endlist"
_SEGMENT = re.compile(r"#EXTINF:(?P<seconds>[\d.]+),\n(?P<date>#EXT-X-PROGRAM-DATE-TIME:.*\n)?(?P<name>[^#\n]+)\n")


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """A segment in the playlist."""

    number: int
    name: str
    seconds: float
    text: str
    """Its lines in the playlist."""
    init: str
    """The file with the headers of its part."""
    begins_part: bool


class HlsSink(Sink):
    """The playlist at `path` and its fMP4 segments beside it. Leftovers of an earlier run are deleted.

    FFmpeg keeps a hidden playlist for each part of the stream. Players read one over all parts, with increasing
    numbers and a discontinuity between two parts. Raises TargetError for a directory that cannot be written.
    """

    key_interval_s = float(_SEGMENT_S)

    def __init__(self, path: Path, on_warning: Callable[[str], None]) -> None:
        super().__init__(Container(format="mp4", has_display_matrix=True), on_warning)
        if "%" in str(path):
            raise TargetError(f"{path}: the path of a playlist must not contain %, a pattern to FFmpeg")
        self._path = path.absolute()
        self._part_path = self._path.with_name(f".{path.stem}-part.m3u8")
        stem = re.escape(path.stem)
        self._own_names = re.compile(
            rf"{stem}-(?:init-)?\d+\.(?:m4s|mp4)(?:\.tmp)?|{stem}\.m3u8\.tmp|\.{stem}-part\.m3u8(?:\.tmp)?"
        )
        self._muxer: Muxer | None = None
        self._start_pts = 0
        self._first_pts: int | None = None  # of all parts
        self._has_audio = False
        self._segments: list[_Segment] = []
        self._next_number = int(time())  # players ignore numbers below the last one
        self._n_discontinuities = _next_discontinuity(path)
        self._init = ""
        self._part_read: tuple[int, int] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            self._delete_unlisted()
            require_writable(path.parent)
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}") from error

    def begin(self, streams: OutputStreams) -> None:
        """Begin a part with the streams."""
        try:
            self.close()
        finally:
            super().begin(streams)

    def wants_key(self, pts: int, *, source_key: bool) -> bool:
        """Whether a part begins with the frame."""
        return self._muxer is None or (self._has_audio and self._is_silent_since(self._start_pts, pts))

    def write_video(self, packet: TimedPacket) -> int:
        """Write a packet; returns the bytes written."""
        if packet.key and self.wants_key(packet.pts, source_key=packet.source_key):
            self._audio_silent = self._muxer is not None
            self.close()
            self._open(packet.pts)
        written = self._muxer.write_video(self._with_headers(packet)) if self._muxer else 0
        self._list_new()
        return written

    def write_audio(self, packet: TimedPacket) -> int:
        """Write a packet; returns the bytes written."""
        self._mark_audio(packet)
        return self._muxer.write_audio(packet) if self._muxer else 0

    def end_segment(self) -> None:
        """List the last segment, as the source is lost."""
        self.close()

    def close(self) -> None:
        """Close the part, without an end mark: the playlist continues with the stream."""
        muxer, self._muxer = self._muxer, None
        if muxer:
            muxer.close()
            self._list_new()

    def _open(self, pts: int) -> None:
        assert self._streams
        audio = self._audio
        self._first_pts = pts if self._first_pts is None else self._first_pts
        self._init = f"{self._path.stem}-init-{self._next_number}.mp4"
        self._part_path.unlink(missing_ok=True)
        options = {
            "hls_time": str(_SEGMENT_S),
            "hls_segment_type": "fmp4",
            "hls_segment_options": "movflags=+frag_discont",  # time goes on, for players that know no discontinuity
            "hls_list_size": str(_LISTED),
            "hls_flags": _FLAGS,
            "hls_segment_filename": str(self._path.with_name(f"{self._path.stem}-%d.m4s")),
            "hls_fmp4_init_filename": self._init,
            "start_number": str(self._next_number),
        }
        self._muxer = Muxer(
            str(self._part_path),
            format="hls",
            options=options,
            video=self._streams.video,
            audio=audio,
            start_pts=self._first_pts,
            on_frame=self.on_frame,
        )
        self._start_pts, self._has_audio = pts, audio is not None

    def _with_headers(self, packet: TimedPacket) -> TimedPacket:
        """The packet; a key frame with the headers of the codec, as FFmpeg reads only those of the first part."""
        assert self._streams
        context = self._streams.video.codec_context
        if not packet.key or codec_name(self._streams.video) not in ("h264", "hevc"):
            return packet
        av_packet: SidePacket = Packet(bytes(context.extradata or b"") + bytes(packet.av_packet))
        av_packet.is_keyframe = True
        return replace(packet, av_packet=av_packet)

    def _list_new(self) -> None:
        """Update the playlist if FFmpeg has finished a segment."""
        with suppress(FileNotFoundError):  # before the first segment
            state = self._part_path.stat()
            if self._part_read == (state.st_mtime_ns, state.st_ino):
                return
            self._part_read = state.st_mtime_ns, state.st_ino
            new = list(self._new_segments(self._part_path.read_text()))
            for segment in new:
                _require_complete(self._path.with_name(segment.name))
            self._segments += new
            n_leaving = max(0, len(self._segments) - _LISTED)
            self._n_discontinuities += sum(each.begins_part for each in self._segments[1 : n_leaving + 1])
            self._segments = self._segments[-_LISTED:]
            self._next_number += len(new)
            part = self._path.with_name(f"{self._path.name}.tmp")
            part.write_text(self._text())
            os.replace(part, self._path)
            self._delete_unlisted()

    def _new_segments(self, text: str) -> Iterator[_Segment]:
        for match in _SEGMENT.finditer(text):
            number = int(match["name"].rpartition("-")[2].removesuffix(".m4s"))
            if number >= self._next_number:
                yield _Segment(
                    number=number,
                    name=match["name"],
                    seconds=float(match["seconds"]),
                    text=match[0],
                    init=self._init,
                    begins_part=self._init.endswith(f"-{number}.mp4"),
                )

    def _text(self) -> str:
        """The playlist for players."""
        longest = max(each.seconds for each in self._segments)
        lines = [
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n",
            f"#EXT-X-TARGETDURATION:{max(_SEGMENT_S, math.ceil(longest - 0.5))}\n",
            f"#EXT-X-MEDIA-SEQUENCE:{self._segments[0].number}\n",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._n_discontinuities}\n",
        ]
        for place, segment in enumerate(self._segments):
            if segment.begins_part and place:
                lines.append("#EXT-X-DISCONTINUITY\n")
            if segment.begins_part or not place:
                lines.append(f'#EXT-X-MAP:URI="{segment.init}"\n')
            lines.append(segment.text)
        return "".join(lines)

    def _delete_unlisted(self) -> None:
        """Delete the files that no player reads any more."""
        listed = {name for each in self._segments for name in (each.name, each.init, self._part_path.name)}
        first = self._segments[0].number - _KEPT if self._segments else math.inf
        for file in self._path.parent.iterdir():
            if self._own_names.fullmatch(file.name) and file.name not in listed and _number(file) < first:
                file.unlink(missing_ok=True)


def _next_discontinuity(path: Path) -> int:
    """The number that follows those of an earlier run's playlist, if any; hls.js stands still at very large ones."""
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text()
        if found := re.search(r"#EXT-X-DISCONTINUITY-SEQUENCE:(\d{1,6})\n", text):
            return int(found[1]) + text.count("#EXT-X-DISCONTINUITY\n") + 1
    return 0


def _require_complete(path: Path) -> None:
    """Raises TargetError for a segment that is cut off: FFmpeg reports no full disk."""
    end = size = 0
    with suppress(FileNotFoundError), path.open("rb") as file:
        end, size = end_of_last_fragment(file), file.seek(0, os.SEEK_END)
    if not end or end < size:
        raise TargetError(f"{path.name} is cut off: the disk is full, or was")


def _number(file: Path) -> int:
    """The number in the name of a segment or of headers; -1 for other files."""
    found = re.search(r"-(\d+)\.", file.name)
    return int(found[1]) if found else -1
