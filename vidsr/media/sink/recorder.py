"""Recording a live stream: encoded once, written to many targets, none of which can hold up the others."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from av import VideoFrame
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from vidsr.errors import TargetError
from vidsr.media.sink.background import Finisher
from vidsr.media.sink.live_encoder import Encoder, kind, trial
from vidsr.media.sink.passthrough import same_moment
from vidsr.media.sink.recording_dir import Folder
from vidsr.media.sink.sink_factory import Targets
from vidsr.media.sink.sink_guard import Lane
from vidsr.media.source.live_timestamps import SECOND, TIME_BASE
from vidsr.media.stream_copy import can_hold
from vidsr.media.stream_template import AnyPacket, Feed, Stencil, Unit
from vidsr.settings import EncodeSettings, RecordSettings
from vidsr.stream_url import Address

_TIDY_S = 5.0
_CLOSING_S = 8.0  # of the 10 in which a stream ends when it is told to
_PASSED = SECOND  # a source's key picture whose enlarged one is that far back needs no looking for
_MOST_WAITING = 3000  # packets of sound: a minute, far more than it takes to enlarge a picture


class Recorder:
    """One encoder, many targets: enlarged pictures, sound, the source's own packets. Closed by `with`, which ends all.

    What goes wrong with a target is noted once and kept to it: `states` says it, and it is begun again after 5, 10, …
    60 s. Only what can never work is raised, as a TargetError: here, or by `begin` for pictures no encoder takes.
    Packets and pictures come from one thread; `note` is called from others, too. Sound, and with `record.original` the
    source's packets, come before the pictures of their time, and wait here for them.
    """

    def __init__(
        self,
        targets: Sequence[Address],
        *,
        record: RecordSettings,
        encode: EncodeSettings,
        note: Callable[[str], None],
        restarted: bool = False,
    ) -> None:
        """`restarted`: a file target that is there is of a run before, and what follows goes beside it."""
        tried = trial(encode).stream
        self.written = self.segments = 0
        self._encode, self._note = encode, note
        self._encoder: Encoder | None = None
        self._sounds: deque[Unit] = deque(maxlen=_MOST_WAITING)
        self._source_keys: deque[int] = deque(maxlen=_MOST_WAITING)
        self._last_key = 0
        self._lanes: list[Lane] = []
        self._folders: dict[str, Folder] = {}
        self._finisher = Finisher(self._tidy, every_s=_TIDY_S)
        self._targets = Targets(
            record, folders=self._folders, finisher=self._finisher, ended=self._ended, restarted=restarted
        )
        try:
            for address in targets:
                self._lanes.append(self._lane(address, tried))
        except BaseException:
            self._finisher.close(_CLOSING_S)
            self._targets.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._drain()
        for lane in self._lanes:
            lane.close()
        if not self._finisher.close(_CLOSING_S):
            self._note(f"files are still being written to the disk after {_CLOSING_S:g} s")
        self._targets.close()

    @property
    def bytes_written(self) -> int:
        """Bytes of packets, over all targets."""
        return sum(lane.written for lane in self._lanes)

    @property
    def states(self) -> dict[str, str]:
        """Each target by its shown address: "ok", or what is wrong."""
        return {lane.shown: lane.fault or lane.target.trouble or "ok" for lane in self._lanes}

    @property
    def disk_free(self) -> dict[str, int]:
        """Free bytes of each folder of segments, a few seconds old at the most."""
        return {shown: folder.free for shown, folder in self._folders.items()}

    def begin(self, picture: VideoFrame, *, video: VideoStream, audio: AudioStream | None) -> None:
        """Begin a part: its first picture, which `picture` is given next, and streams of a source still open.

        To be called for the first picture of a connection, of another size or format, or after a jump in time: folders
        then get a new segment. Raises TargetError when the encoder takes no such pictures.
        """
        assert picture.pts is not None
        if self._encoder is None or self._encoder.kind != kind(picture):
            self._drain()
            self._encoder = Encoder(picture, self._encode, source=video)
        self._write_sounds(picture.pts)
        feed = Feed(
            video=self._encoder.stream,
            source=Stencil(video),
            audio=Stencil(audio) if audio else None,
            begin=picture.pts,
        )
        for lane in self._lanes:
            lane.begin(feed)

    def pause(self) -> None:
        """The source is lost: folders end their segments, so that what there is stands under its name."""
        for lane in self._lanes:
            lane.pause()

    def picture(self, picture: VideoFrame) -> None:
        """Write an enlarged picture, of the size and format of the last one that began a part."""
        assert self._encoder
        if picture.pts is None or picture.time_base != TIME_BASE or kind(picture) != self._encoder.kind:
            raise ValueError(f"{picture} is not what was begun, or not timed in 1/90000 s")
        source_key = self._is_source_key(picture.pts)
        every = min(lane.target.key_s for lane in self._lanes) / TIME_BASE
        key = picture.pts - self._last_key >= every or any(
            lane.wants_key(picture.pts, source_key=source_key) for lane in self._lanes
        )
        self._write(self._encoder.encode(picture, key=key))

    def sound(self, packet: "AnyPacket", pts: int) -> None:
        """Take a packet of the sound, which is changed; it is written before the first picture after it."""
        self._sounds.append(Unit(packet=packet, pts=pts, dts=pts, duration=_ticks(packet)))

    def original(self, packet: "AnyPacket", pts: int | None, dts: int | None) -> None:
        """Take a packet of the source's video, in the order of decoding and with its own times on our line."""
        shown = dts if pts is None else pts
        if shown is None:
            return
        decoded = shown if dts is None else dts
        key = packet.is_keyframe
        unit = Unit(packet=packet, pts=shown, dts=decoded, key=key, duration=_ticks(packet))
        if key:
            self._source_keys.append(shown)
        for lane in self._lanes:
            lane.original(unit)

    def _is_source_key(self, pts: int) -> bool:
        return any(same_moment(key, pts) for key in self._source_keys)

    def _write(self, units: Sequence[Unit]) -> None:
        for unit in units:
            unit = replace(unit, source_key=self._is_source_key(unit.pts))
            self._write_sounds(unit.pts)
            for lane in self._lanes:
                lane.video(unit)
            self.written += 1
            self._last_key = unit.pts if unit.key else self._last_key
            while self._source_keys and self._source_keys[0] < unit.pts - _PASSED:
                self._source_keys.popleft()

    def _write_sounds(self, until: int) -> None:
        while self._sounds and self._sounds[0].pts < until:
            unit = self._sounds.popleft()
            for lane in self._lanes:
                lane.sound(unit)

    def _drain(self) -> None:
        """Write what is still in the encoder, and end it."""
        if self._encoder:
            self._write(self._encoder.finish())
            self._encoder = None

    def _lane(self, address: Address, tried: VideoStream) -> Lane:
        namesakes = sum(lane.shown.split(" #")[0] == str(address) for lane in self._lanes)
        shown = f"{address} #{namesakes + 1}" if namesakes else str(address)

        def say(words: str) -> None:
            self._note(f"{shown}: {words}")

        target = self._targets.make(address, say)
        if not can_hold(target.kind, tried):
            raise TargetError(f"{shown}: {target.kind.format} cannot hold {self._encode.codec}")
        return Lane(shown, target, self._note)

    def _ended(self) -> None:
        self.segments += 1

    def _tidy(self) -> None:
        for folder in list(self._folders.values()):
            folder.tidy()


def _ticks(packet: "AnyPacket") -> int:
    return round((packet.duration or 0) * packet.time_base / TIME_BASE)
