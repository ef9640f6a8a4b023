"""Writing: enlarged pictures encoded, every other stream copied, all in the order of their time."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.display_matrix import enlarged
from vidsr.media.encoders import Picture, encoder_options, matrix, require
from vidsr.media.frame import SidePacket
from vidsr.media.hdr import has_hdr_metadata, hdr_options
from vidsr.media.reader import Reader
from vidsr.media.stream_copy import Copies, copy_tags, file_tags, is_cover
from vidsr.settings import EncodeSettings

_LONGEST_DELAY_S = 3600  # of a picture in an encoder; of a film of one or two x265 says anything, often far more


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
        *,
        size: tuple[int, int],
        encode: EncodeSettings = EncodeSettings(),
        overwrite: bool = False,
    ) -> None:
        """`size` is (width, height) of the pictures to come; their format and tags are those of `reader`'s."""
        self.target = target
        self.written = 0
        self._finished = False
        self._container_kind = container_for(target)
        self._reader = reader
        self._size = size
        hdr = hdr_options(reader.first.picture, encode.codec)
        options = encoder_options(encode, hdr)
        picture = Picture(width=size[0], height=size[1], format=reader.info.working_format)
        require(encode.codec, picture, options)
        self._atomic_file = AtomicFile(target, source=reader.path, overwrite=overwrite)
        try:
            with self._faults():
                self._output = self._opened()
                self._video = self._video_stream(encode.codec, options)
                self.copies = Copies(self._output, self._container_kind, reader)
                if has_hdr_metadata(reader.first.picture) and not hdr:
                    self.copies.left_out.append("HDR's mastering display and light levels")
                self._start(encode.codec)
        except BaseException:
            self._atomic_file.discard()
            raise
        self._owed: dict[int, int] = {}  # how long the pictures last that are in the encoder, by their pts
        self._last_duration = 0

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
            self._close()
        self._atomic_file.commit()
        self._finished = True

    @property
    def first_lost(self) -> float | None:
        """The time in seconds of the first picture that went in and did not come out; None while all came."""
        return float(min(self._owed) * self._reader.time_base) if self._owed else None

    def write(self, picture: VideoFrame, packets: tuple[SidePacket, ...] = ()) -> None:
        """Encode a picture and copy the packets that came before it. Pictures come in the order of their pts."""
        if (picture.width, picture.height) != self._size:  # PyAV would scale it, and say nothing
            raise ValueError(f"the writer takes pictures of {self._size}, not {(picture.width, picture.height)}")
        assert picture.pts is not None
        picture.pict_type = PictureType.NONE  # the source's choice of key frames is not ours
        with self._faults():
            self.copies.add(packets)
            self._owed[picture.pts] = self._last_duration = picture.duration
            self._mux(self._video.encode(picture))

    def _opened(self) -> OutputContainer:
        kind, reader = self._container_kind, self._reader
        covers = any(map(is_cover, reader.others))
        options = muxer_options(kind, reader.time_base, covers=covers, tags=reader.metadata)
        output = av.open(self._atomic_file.file, "w", format=kind.format, container_options=options)
        output.metadata.update(file_tags(reader.metadata))
        output.set_chapters(reader.chapters())
        return output

    def _video_stream(self, codec: str, options: dict[str, str]) -> VideoStream:
        info, first = self._reader.info, self._reader.first.picture
        try:
            stream = self._output.add_stream(codec, rate=info.rate or Fraction(25), options=options)
        except ValueError as error:
            raise TargetError(f"{self.target}: {self._container_kind.format} cannot hold {codec}; use .mkv") from error
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        context.thread_type = "AUTO"  # PyAV's own, slices, makes x264 cut up every picture: files get 3 % larger
        context.width, context.height = self._size
        context.pix_fmt = info.working_format
        context.time_base = self._reader.time_base
        context.sample_aspect_ratio = self._pixel_aspect()
        context.color_range, context.color_primaries = first.color_range, first.color_primaries
        context.color_trc, context.colorspace = first.color_trc, matrix(first.colorspace, (info.height, self._size[1]))
        if codec == "libx265" and self._container_kind.turns:
            context.codec_tag = "hvc1"  # the tag without which Apple's players do not look at it
        if info.matrix:
            by = Fraction(self._size[0], info.width), Fraction(self._size[1], info.height)
            stream.set_display_matrix(enlarged(info.matrix, by))
        copy_tags(self._reader.video, stream)
        return stream

    def _start(self, codec: str) -> None:
        try:
            self._output.start_encoding()
        except av.ArgumentError as error:
            raise TargetError(f"{self.target}: {self._container_kind.format} cannot hold {codec}; use .mkv") from error

    def _pixel_aspect(self) -> Fraction:
        """That of the source, or what keeps its shape when the picture was brought to another one."""
        info = self._reader.info
        width, height = self._size
        return info.pixel_aspect * Fraction(info.width * height, info.height * width)

    def _mux(self, pictures: "list[Packet[VideoStream]]") -> None:
        """Write encoded pictures, and before each the copied packets whose time has come."""
        for packet in pictures:
            if packet.pts is not None and packet.dts is not None:
                if not 0 <= (packet.pts - packet.dts) * packet.time_base < _LONGEST_DELAY_S:
                    packet.dts = packet.pts
                self.copies.write_until(packet.dts * packet.time_base)
            self._settle(packet)
            self.copies.mux(packet)
            self.written += 1

    def _settle(self, packet: "Packet[VideoStream]") -> None:
        """Strike out the picture of a packet, which lasts as long as the picture did: not all encoders say so."""
        pts = round((packet.pts or 0) * packet.time_base / self._reader.time_base)
        duration = self._owed.pop(pts, 0)
        if self._container_kind.turns and not self._owed:
            # In MP4 the film ends when the picture that is decoded last does, be it shown before the one that is last.
            duration = self._last_duration
        if duration:
            packet.duration = round(duration * self._reader.time_base / packet.time_base)

    def _close(self) -> None:
        try:
            self._output.close()
        except av.FFmpegError:  # perhaps about a packet of another stream, behind which few pictures waited, if any
            self.copies.unplaced += 1
        if self.copies.unplaced:  # nobody says whose packet was refused: what is there is counted
            with av.open(f"file:{self._atomic_file.part.absolute()}") as part:
                self.written = sum(packet.size > 0 for packet in part.demux(video=0))

    def _discard(self) -> None:
        # The file first: PyAV then writes no index, over which FFmpeg 8.1 crashes where fragments have no packet yet.
        self._atomic_file.discard()
        self._output.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """What FFmpeg says of the target, as a TargetError."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise TargetError(f"{self.target}: {error.strerror or error}") from error
