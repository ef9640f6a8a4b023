"""Writing: enlarged pictures encoded, every other stream copied, all in the order of their time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av import Packet, VideoFrame
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vidsr.errors import TargetError
from vidsr.media.containers import container_for
from vidsr.media.copies import Copies, copy_tags, file_tags
from vidsr.media.encoders import Picture, encoder_options, require
from vidsr.media.hdr import hdr_options
from vidsr.media.landing import Landing
from vidsr.media.reader import Reader
from vidsr.settings import EncodeSettings

_SD_HEIGHT = 576
_UNSPECIFIED, _BT601 = 2, 6


class Writer:
    """A video file like `reader`'s with pictures of another size; closed by `with`.

    `finish` puts the file under the target's name; leaving `with` before that leaves nothing.
    `copies` says, before work begins, what becomes of the other streams. Every fault of the target is
    a TargetError: in the way, not writable, refused by codec or container, disk full.
    """

    def __init__(
        self,
        target: Path,
        reader: Reader,
        first: VideoFrame,
        *,
        encode: EncodeSettings = EncodeSettings(),
        overwrite: bool = False,
    ) -> None:
        """`first` is the first picture as it will be written: its size, format and tags are the file's."""
        self.target = target
        self.written = 0
        self._finished = False
        self._container_kind = container_for(target)
        self._reader = reader
        options = encoder_options(encode, hdr_options(first, encode.codec))
        require(encode.codec, Picture(width=first.width, height=first.height, format=first.format.name), options)
        self._landing = Landing(target, source=reader.path, overwrite=overwrite)
        try:
            with self._faults():
                self._output = self._opened()
                self._video = self._video_stream(encode.codec, options, first)
                self.copies = Copies(self._output, self._container_kind, reader)
                self._output.start_encoding()
        except BaseException:
            self._landing.abandon()
            raise
        self._owed: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self._finished:
            self._discard()

    def finish(self) -> None:
        """Write what is still owed and put the file under its name; no picture can follow."""
        with self._faults():
            self.copies.add(self._reader.leftover())
            self._mux(self._video.encode(None))
            self.copies.write_all()
            self._output.close()
        self._landing.land()
        self._finished = True

    @property
    def first_lost(self) -> float | None:
        """The time in seconds of the first picture that went in and did not come out; None while all came."""
        return float(min(self._owed) * self._base) if self._owed else None

    def write(self, picture: VideoFrame, packets: tuple[Packet, ...] = ()) -> None:
        """Encode a picture and copy the packets that came before it. Pictures come in the order of their pts."""
        picture.pict_type = PictureType.NONE  # the source's choice of key frames is not ours
        with self._faults():
            self.copies.add(packets)
            self._owed.add(picture.pts)
            self._mux(self._video.encode(picture))

    @property
    def _base(self) -> Fraction:
        base = self._reader.video.time_base
        assert base
        return base

    def _opened(self) -> OutputContainer:
        kind = self._container_kind
        output = av.open(
            f"file:{self._landing.part.absolute()}", "w", format=kind.format, container_options=dict(kind.options)
        )
        output.metadata.update(file_tags(self._reader.metadata))
        output.set_chapters(self._reader.chapters())
        return output

    def _video_stream(self, codec: str, options: dict[str, str], first: VideoFrame) -> VideoStream:
        info = self._reader.info
        try:
            stream: VideoStream = self._output.add_stream(codec, rate=info.rate or Fraction(25), options=options)
        except ValueError as error:
            raise TargetError(f"{self.target}: {self._container_kind.format} cannot hold {codec}; use .mkv") from error
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = first.width, first.height, first.format.name
        context.time_base = self._base
        context.sample_aspect_ratio = self.pixel_aspect(first)
        context.color_range, context.color_primaries = first.color_range, first.color_primaries
        context.color_trc, context.colorspace = first.color_trc, self._matrix(first)
        if codec == "libx265" and self._container_kind.turns:
            context.codec_tag = "hvc1"  # the tag without which Apple's players do not look at it
        if info.matrix:
            stream.set_display_matrix(info.matrix)
        copy_tags(self._reader.video, stream)
        return stream

    def pixel_aspect(self, first: VideoFrame) -> Fraction:
        """That of the source, or what keeps its shape when the picture was brought to another one."""
        info = self._reader.info
        return info.pixel_aspect * Fraction(info.width * first.height, info.height * first.width)

    def _matrix(self, first: VideoFrame) -> int:
        """Players take an untagged picture for BT.601 or BT.709 by its size: one that outgrew SD must say which."""
        info = self._reader.info
        grown = info.height <= _SD_HEIGHT < first.height
        return _BT601 if first.colorspace == _UNSPECIFIED and grown else first.colorspace

    def _mux(self, pictures: list[Packet]) -> None:
        """Write encoded pictures, and before each the copied packets whose time has come."""
        for packet in pictures:
            if packet.dts is not None:
                self.copies.write_until(packet.dts * packet.time_base)
            pts = None if packet.pts is None else round(packet.pts * packet.time_base / self._base)
            self._output.mux_one(packet)
            self._owed.discard(pts)
            self.written += 1

    def _discard(self) -> None:
        with suppress(av.FFmpegError, OSError):
            self._output.close()
        self._landing.abandon()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What FFmpeg says of the target, as a TargetError."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise TargetError(f"{self.target}: {error.strerror or error}") from error
