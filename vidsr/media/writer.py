"""Writing a video: upscaled frames encoded, all other streams copied, interleaved by time."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import numpy as np
from av import Packet, VideoFrame
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from vidsr.cpu import kept_scheduling
from vidsr.errors import TargetError
from vidsr.media.atomic_file import AtomicFile
from vidsr.media.containers import container_for, muxer_options
from vidsr.media.display_matrix import scale_matrix
from vidsr.media.dropped_tags import dropped_tags
from vidsr.media.encoders import (
    SIDE_DATA_OPTIONS,
    FrameFormat,
    check_encoder,
    choose_encoder,
    colorspace_tag,
    encoder_options,
    video_encoder,
)
from vidsr.media.error_text import write_error_text
from vidsr.media.formats import has_alpha
from vidsr.media.frame import SidePacket, SourceTemplate
from vidsr.media.hdr import hdr_options
from vidsr.media.libav import add_stream_side_data, set_parameters
from vidsr.media.open_input import TAG_ERRORS
from vidsr.media.readback import frame_differences, target_content
from vidsr.media.side_data import SideDataCarrier, StreamKind
from vidsr.media.stream_copy import StreamCopier, copy_tags, file_tags, is_cover
from vidsr.settings import EncodeSettings

_VPX, _VPX_ALPHA = ("libvpx", "libvpx-vp9"), ("matroska", "webm")
"""Encoders that write alpha apart from the frames, and the containers that store it."""
_MAX_DELAY_S = 3600  # between dts and pts; for a video of one or two frames x265 writes arbitrary, often larger ones


class Writer:
    """A video file like the source of `template`, with frames of another size; closed by `with`.

    `finish` commits the file; leaving `with` without it deletes the file. `copier` says from the start which streams
    are copied and which are dropped. After `finish`, `content` is what is in the file, `written` its number of frames,
    and `damage` has a sentence for all that did not arrive. Every fault of the target raises TargetError: it exists,
    is not writable, is refused by codec or container, or the disk is full.
    """

    def __init__(
        self,
        target: Path,
        template: SourceTemplate,
        *,
        size: tuple[int, int],
        encode: EncodeSettings = EncodeSettings(),
        overwrite: bool = False,
    ) -> None:
        """`size` is the (width, height) of the frames; their tags are those of `template.first`.

        They come in the pixel format of `choice`, which `encode` and the container determine.
        """
        self.target = target
        self.written = 0
        self.damage: list[str] = []
        self._times = array("q")  # of the frames, in ticks
        self._finished = False
        self._container = container_for(target)
        self._template = template
        self._size = size
        self.choice = choose_encoder(encode, self._container.format, template.info.working_format)
        encode = self.choice.encode
        hdr = hdr_options(template.first, encode.codec)
        options = encoder_options(encode, hdr) | SIDE_DATA_OPTIONS.get(encode.codec, {})
        frame_format = FrameFormat(width=size[0], height=size[1], pixel_format=self.choice.pixel_format)
        check_encoder(encode.codec, frame_format, options)
        self._atomic_file = AtomicFile(target, source=template.info.path, overwrite=overwrite)
        try:
            with self._target_errors():
                self._begin(encode.codec, options)
        except BaseException:
            self._atomic_file.discard()
            raise
        self._pending_durations: dict[int, int] = {}  # of the frames in the encoder, by their pts
        self._last_duration = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self._finished:
            self._discard()

    @property
    def first_missing_s(self) -> float | None:
        """The time in seconds of the first frame that the encoder did not return; None if there is none."""
        return float(min(self._pending_durations) * self._template.time_base) if self._pending_durations else None

    def write(self, frame: VideoFrame, packets: tuple[SidePacket, ...] = ()) -> None:
        """Encodes a frame and copies the packets that came before it; frames come in ascending order of pts."""
        if (frame.width, frame.height) != self._size:  # PyAV would silently scale it
            raise ValueError(f"the writer takes frames of {self._size}, not {(frame.width, frame.height)}")
        assert frame.pts is not None
        frame.pict_type = PictureType.NONE  # the encoder chooses its own key frames
        with self._target_errors():
            self.copier.add(packets)
            self._pending_durations[frame.pts] = self._last_duration = frame.duration
            self._times.append(frame.pts)
            self._mux(self._encoder.encode(frame))

    def finish(self, packets: tuple[SidePacket, ...], *, verify: bool = False) -> None:
        """Copies the packets after the last frame, flushes the encoder, reads the file back and commits it.

        `verify` decodes the file, too, and compares the times of its frames with those written.
        """
        with self._target_errors():
            self.copier.add(packets)
            self._mux(self._encoder.encode(None))
            self.copier.write_all()
            self._close()
            self._read_back(verify)
        self._atomic_file.commit()
        self._finished = True

    def _begin(self, codec: str, options: dict[str, str]) -> None:
        """Declares all streams, and writes the header."""
        template, holds = self._template, self._container.side_data
        scale = self._size[0] / template.info.width
        self.side_data = SideDataCarrier(template.first, template.video, encoder=codec, holds=holds, scale=scale)
        self._output = self._open_output()
        self._encoder = self._open_encoder(codec, options)
        self._video = self._add_video(codec)
        self.copier = StreamCopier(self._output, self._container, template)
        self.copier.dropped_streams += [*self.side_data.dropped, *dropped_tags(self._output, self._options)]
        if template.info.matrix and not self._container.has_display_matrix:
            self.copier.dropped_streams.append("the display matrix")
        if codec in _VPX and has_alpha(self.choice.pixel_format) and self._container.format not in _VPX_ALPHA:
            self.copier.dropped_streams.append("transparency of VP8 and VP9")
        try:
            self._output.start_encoding()
        except av.ArgumentError as error:
            raise self._refused_codec(codec) from error

    def _open_output(self) -> OutputContainer:
        container, template = self._container, self._template
        covers = any(map(is_cover, template.others))
        self._options = muxer_options(container, template.time_base, covers=covers, tags=template.metadata)
        output = av.open(
            self._atomic_file.file,
            "w",
            format=container.format,
            container_options=self._options,
            metadata_errors=TAG_ERRORS,
        )
        output.metadata.update(file_tags(template.metadata))
        output.set_chapters(list(template.chapters))
        return output

    def _open_encoder(self, codec: str, options: dict[str, str]) -> VideoCodecContext:
        info, first, context = self._template.info, self._template.first, video_encoder(codec)
        context.thread_type = "AUTO"  # PyAV's default, slices, makes x264 files 3 % larger
        context.options = options
        context.width, context.height = self._size
        context.pix_fmt = self.choice.pixel_format
        context.time_base = self._template.time_base
        context.framerate = info.rate or Fraction(25)
        context.sample_aspect_ratio = self._pixel_aspect()
        context.color_range, context.color_primaries = first.color_range, first.color_primaries
        context.color_trc = first.color_trc
        context.colorspace = colorspace_tag(first.colorspace, (info.height, self._size[1]))
        if self._container.format != "mpegts":
            context.flags |= Flags.global_header
        if codec == "libx265" and self._container.has_display_matrix:
            context.codec_tag = "hvc1"  # Apple's players need this tag
        with kept_scheduling():
            context.open(strict=False)
        return context

    def _add_video(self, codec: str) -> VideoStream:
        """A stream apart from the encoder: PyAV would replace the side data of an encoder's stream."""
        info, held = self._template.info, self._container.codecs
        if held is not None and self._encoder.codec.canonical_name not in held:
            raise self._refused_codec(codec)
        try:
            stream = self._output.add_mux_stream(codec, rate=info.rate or Fraction(25))
        except ValueError as error:
            raise self._refused_codec(codec) from error
        assert isinstance(stream, VideoStream)
        stream.time_base = self._template.time_base
        set_parameters(stream, self._encoder)
        if info.matrix and self._container.has_display_matrix:
            factors = Fraction(self._size[0], info.width), Fraction(self._size[1], info.height)
            matrix = np.array(scale_matrix(info.matrix, factors), np.int32)
            add_stream_side_data(stream, StreamKind.DISPLAYMATRIX, matrix.tobytes())
        for kind, data in self.side_data.stored.items():
            add_stream_side_data(stream, kind, data)
        copy_tags(self._template.video, stream)
        for name in [name for name in stream.metadata if name.lower() == "alpha_mode"]:
            del stream.metadata[name]
        if codec in _VPX and has_alpha(self.choice.pixel_format) and self._container.format in _VPX_ALPHA:
            stream.metadata["alpha_mode"] = "1"  # by which Matroska and WebM declare the alpha of each packet
        return stream

    def _refused_codec(self, codec: str) -> TargetError:
        return TargetError(f"{self.target}: {self._container.format} cannot hold {codec}; use .mkv")

    def _pixel_aspect(self) -> Fraction:
        """The source's pixel aspect, adjusted to keep the display aspect where `size` has another one."""
        info = self._template.info
        width, height = self._size
        return info.pixel_aspect * Fraction(info.width * height, info.height * width)

    def _mux(self, packets: "list[Packet[VideoStream]]") -> None:
        """Writes encoded packets, each after the copied packets with earlier times."""
        for packet in packets:
            packet.stream = self._video
            if packet.pts is not None and packet.dts is not None:
                if not 0 <= (packet.pts - packet.dts) * packet.time_base < _MAX_DELAY_S:
                    packet.dts = packet.pts
                self.copier.write_until(packet.dts * packet.time_base)
            self._set_duration(packet)
            self.copier.mux(packet)
            self.written += 1

    def _set_duration(self, packet: "Packet[VideoStream]") -> None:
        """Sets the packet's duration to that of its frame, which not all encoders do."""
        pts = round((packet.pts or 0) * packet.time_base / self._template.time_base)
        duration = self._pending_durations.pop(pts, 0)
        if self._container.has_display_matrix and not self._pending_durations:
            # An MP4 ends when the packet that is last in decoding order does, even if another one is displayed last.
            duration = self._last_duration
        if duration:
            packet.duration = round(duration * self._template.time_base / packet.time_base)

    def _close(self) -> None:
        try:
            self._output.close()
        except av.FFmpegError:  # possibly about a copied packet that the muxer still held
            self.copier.dropped_packets += 1

    def _read_back(self, verify: bool) -> None:
        """Counts what is in the closed file, and with `verify` decodes it."""
        part = Path(f"/proc/self/fd/{self._atomic_file.file.fileno()}")  # even if another run has taken the name
        try:
            self.content = target_content(part)
        except (av.FFmpegError, OSError) as error:
            raise TargetError(
                f"{self.target}: was written, but cannot be read ({error.strerror}); use .mkv"
            ) from error
        self.written = self.content.packets[0]
        exact = self._container.format in ("matroska", "webm", "nut")  # others divide sound into other packets
        self.damage += self.copier.losses(self.content, exact=exact)
        if verify:
            times = [pts * self._template.time_base for pts in self._times]
            self.damage += frame_differences(part, times)

    def _discard(self) -> None:
        # The file first: PyAV then writes no index, at which FFmpeg 8.1 crashes if a fragment has no packet yet.
        self._atomic_file.discard()
        self._output.close()

    @contextmanager
    def _target_errors(self) -> Iterator[None]:
        """FFmpeg's and the system's errors as TargetError."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise TargetError(f"{self.target}: {write_error_text(error)}") from error
