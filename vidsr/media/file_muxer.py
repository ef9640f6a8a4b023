"""Muxing: a file of encoded packets and copied streams, interleaved by time, that appears complete or not at all."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from av import Packet
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidsr.errors import TargetError
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import Container, container_for, muxer_options
from vidsr.media.display_matrix import scale_matrix
from vidsr.media.dropped_tags import dropped_tags
from vidsr.media.error_text import target_errors
from vidsr.media.filters import UNTAGGED_CHROMA
from vidsr.media.formats import has_alpha
from vidsr.media.fragment_tail import FragmentTail
from vidsr.media.frame import SidePacket, SourceTemplate
from vidsr.media.image_metadata import read_metadata
from vidsr.media.libav import add_stream_side_data, chroma_location, set_parameters, set_raw_parameters
from vidsr.media.open_input import TAG_ERRORS
from vidsr.media.pipes import PIPE_BUFFER, STDOUT, OutputPipe
from vidsr.media.probe import codec_name
from vidsr.media.side_data import SideDataCarrier, StreamKind
from vidsr.media.stream_copy import StreamCopier, copy_tags, file_tags, is_cover
from vidsr.media.target_verification import frame_differences, target_content
from vidsr.media.video_encoder import VideoEncoder

_VPX, _VPX_ALPHA = ("libvpx", "libvpx-vp9"), ("matroska", "webm")
"""Encoders that write alpha apart from the frames, and the containers that store it."""
_LEFT = 1  # FFmpeg's number of the chroma location


class FileMuxer:
    """A video file like the source of `template`, with the packets of another encoder; closed by `with`.

    `finish` commits the file; leaving `with` without it deletes the file. `copier` says from the start which streams
    are copied and which are dropped, `side_data` what becomes of the frames' side data. After `finish`, `content` is
    what is in the file, and `damage` has a sentence for all that did not arrive. Every fault of the target raises
    TargetError: it exists, is not writable, is refused by codec or container, or the disk is full.
    """

    def __init__(
        self,
        target: Path,
        template: SourceTemplate,
        encoder: VideoEncoder,
        *,
        container: Container | None = None,
        overwrite: bool = False,
    ) -> None:
        """`encoder` makes the packets, or others of the same parameters do; `container` is by default the target's."""
        self.target = target
        self.damage: list[str] = []
        self._template, self._encoder, self._parameters = template, encoder, encoder.parameters
        self._container = container or container_for(target)
        self._sent, self._end_s = 0, Fraction(0)
        self._file = (
            OutputPipe() if target == STDOUT else AtomicFile(target, source=template.info.path, overwrite=overwrite)
        )
        self._finished = False
        try:
            with target_errors(target):
                self._begin()
        except BaseException:
            self._file.discard()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._finished:
            self._discard()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self._parameters.size

    @property
    def container(self) -> Container:
        """The format of the file."""
        return self._container

    def mux(self, packets: "Iterable[Packet[VideoStream]]", others: Iterable[SidePacket] = ()) -> None:
        """Writes encoded packets, each after the copied packets with earlier times, `others` among them."""
        with target_errors(self.target):
            self.copier.add(others)
            for packet in packets:
                for ready in self._tail.add(packet.pts or 0, packet):
                    self._write(ready)

    def finish(self, *, verify: Sequence[int] | None = None) -> None:
        """Writes the last copied packets, reads the file back and commits it.

        With `verify`, the times of the frames, it decodes the file, too, and compares them.
        """
        with target_errors(self.target):
            for packet in self._tail.end():
                self._write(packet)
            self.copier.write_all()
            self._close()
            self._read_back(verify)
        self._file.commit()
        self._finished = True

    def _write(self, packet: "Packet[VideoStream]") -> None:
        packet.stream = self._video
        if self._container.is_raw:  # its frames have numbers for times
            packet.pts = packet.dts = self._sent
            packet.duration, packet.time_base = 1, 1 / self._parameters.rate
        if packet.dts is not None:
            self.copier.write_until(packet.dts * packet.time_base)
        self._sent += 1
        self._end_s = max(self._end_s, ((packet.pts or 0) + (packet.duration or 0)) * packet.time_base)
        self.copier.mux(packet)

    def _begin(self) -> None:
        """Declares all streams, and writes the header."""
        template, holds, codec = self._template, self._container.side_data, self._parameters.codec
        scale = self._parameters.size[0] / template.info.width
        self.side_data = SideDataCarrier(template.first, template.video, encoder=codec, holds=holds, scale=scale)
        self._output = self._open_output()
        self._tail: FragmentTail[Packet[VideoStream]] = FragmentTail(self._output, self._options)
        self._video = self._add_video(codec)
        self.copier = StreamCopier(self._output, self._container, template, self._options)
        lost = [*self.side_data.dropped, *dropped_tags(self._output, self._options)]
        if template.info.still:
            lost += read_metadata(template.info.path).losses(codec)
        self.copier.dropped_streams += dict.fromkeys(lost)
        if template.info.matrix and not self._container.has_display_matrix:
            self.copier.dropped_streams.append("the display matrix")
        if self._has_vpx_alpha and self._container.format not in _VPX_ALPHA:
            self.copier.dropped_streams.append("transparency of VP8 and VP9")
        if self._container.is_raw and self._parameters.color_tags.has_colors:
            self.copier.dropped_streams.append("colour tags but the range")
        try:
            self._output.start_encoding()
        except av.ArgumentError as error:
            raise self._refused_codec(codec) from error

    def _open_output(self) -> OutputContainer:
        container, template = self._container, self._template
        covers = any(map(is_cover, template.others))
        self._options = muxer_options(container, template.time_base, covers=covers, tags=template.metadata)
        output = av.open(
            self._file.file,
            "w",
            format=container.format,
            container_options=self._options,
            metadata_errors=TAG_ERRORS,
            buffer_size=PIPE_BUFFER,
        )
        output.metadata.update(file_tags(template.metadata))
        output.set_chapters(list(template.chapters))
        return output

    def _add_video(self, codec: str) -> VideoStream:
        """A stream apart from the encoder: PyAV would replace the side data of an encoder's stream."""
        info, held, size = self._template.info, self._container.codecs, self._parameters.size
        if held is not None and self._encoder.context.codec.canonical_name not in held:
            raise self._refused_codec(codec)
        try:
            stream = self._output.add_mux_stream(codec, rate=self._parameters.rate)
        except ValueError as error:
            raise self._refused_codec(codec) from error
        assert isinstance(stream, VideoStream)
        stream.time_base = 1 / self._parameters.rate if self._container.is_raw else self._template.time_base
        set_parameters(stream, self._encoder.context)
        if self._container.is_raw:
            location = _LEFT if codec_name(self._template.video) in UNTAGGED_CHROMA else None
            location = location or chroma_location(self._template.video)
            set_raw_parameters(stream, location=location, pixel_aspect=self._parameters.pixel_aspect)
        if info.matrix and self._container.has_display_matrix:
            factors = Fraction(size[0], info.width), Fraction(size[1], info.height)
            matrix = np.array(scale_matrix(info.matrix, factors), np.int32)
            add_stream_side_data(stream, StreamKind.DISPLAYMATRIX, matrix.tobytes())
        for kind, data in self.side_data.stored.items():
            add_stream_side_data(stream, kind, data)
        copy_tags(self._template.video, stream)
        stream.disposition = Disposition(stream.disposition & ~Disposition.dependent)  # of an image's tiles
        for name in [name for name in stream.metadata if name.lower() == "alpha_mode"]:
            del stream.metadata[name]
        if self._has_vpx_alpha and self._container.format in _VPX_ALPHA:
            stream.metadata["alpha_mode"] = "1"  # by which Matroska and WebM declare the alpha of each packet
        return stream

    @property
    def _has_vpx_alpha(self) -> bool:
        return self._parameters.codec in _VPX and has_alpha(self._parameters.pixel_format)

    def _refused_codec(self, codec: str) -> TargetError:
        other = "--output-format matroska" if self.target == STDOUT else ".mkv"
        return TargetError(f"{self.target}: {self._container.format} cannot hold {codec}; use {other}")

    def _close(self) -> None:
        try:
            self._output.close()
        except av.FFmpegError:  # possibly about a copied packet that the muxer still held
            self.copier.dropped_packets += 1

    def _read_back(self, verify: Sequence[int] | None) -> None:
        """Counts what is in the closed file, and with `verify` decodes it."""
        if isinstance(self._file, OutputPipe):
            self.content = self.copier.sent_content(self._sent, float(self._end_s))
            return
        part = Path(f"/proc/self/fd/{self._file.file.fileno()}")  # even if another run has taken the name
        try:
            self.content = target_content(part)
        except (av.FFmpegError, OSError) as error:
            raise TargetError(
                f"{self.target}: was written, but cannot be read ({error.strerror}); use .mkv"
            ) from error
        exact = self._container.format in ("matroska", "webm", "nut")  # others divide audio into other packets
        self.damage += self.copier.losses(self.content, exact=exact)
        if verify is not None:
            self.damage += frame_differences(part, (pts * self._template.time_base for pts in verify))

    def _discard(self) -> None:
        # The file first: PyAV then writes no index, at which FFmpeg 8.1 crashes if a fragment has no packet yet.
        self._file.discard()
        self._output.close()
