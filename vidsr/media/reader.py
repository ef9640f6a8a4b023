"""Reading a video: its frames in display order, with the packets of the other streams."""

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Self

from av import VideoFrame

from vidsr.errors import SourceError
from vidsr.media.compression_probe import probe_compression
from vidsr.media.demuxer import Demuxer
from vidsr.media.display_matrix import display_matrix, swaps_axes, upright_filters
from vidsr.media.filters import CHROMA_LEFT, DEINTERLACE, UNPREMULTIPLY, UNTAGGED_CHROMA, Filter
from vidsr.media.formats import luma_of
from vidsr.media.frame import Frame, SidePacket, SourceTemplate
from vidsr.media.frame_conversion import FrameConversion, FrameConverter
from vidsr.media.frame_count import FrameCount
from vidsr.media.h264 import may_have_fields
from vidsr.media.heif import HeifImage, decode_heif
from vidsr.media.image_check import image_damage, is_premultiplied
from vidsr.media.open_input import is_still
from vidsr.media.packet_data import PacketData, packet_data
from vidsr.media.pixel_format_converter import find_working_format
from vidsr.media.probe import codec_name, frame_rate, video_decoder, video_info, video_seconds
from vidsr.media.side_data import crop_filters
from vidsr.media.video_decoder import VideoDecoder

_ANIMATIONS = ("gif", "apng")
_MAX_HELD_BYTES = 32 * 2**20  # of the packets of other streams before a frame


class Reader:
    """The first video stream of a file, as an iterable of `Frame` for one pass; closed by `with`.

    Frames keep the source's time stamps; those of a clock, hours ahead, count from its start unless `keep_start`, and
    all count from a `start_s` above 0. `start_s` and `end_s` count from the first frame. `upright` applies the display
    matrix; `deinterlace` turns fields into full frames. `input_format` is FFmpeg's name of a demuxer.
    Raises SourceError if there is no video to read or its frames are larger than `max_megapixels`. Damage after the
    first frame is counted and raises nothing: `corrupt` counts frames and packets that the decoder concealed or
    dropped, `frame_count` packets without a frame; `repair` has the repaired time stamps, `stated` the packets by
    stream; `truncation` says why reading ended early, None at a regular end.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float | None = None,
        end_s: float | None = None,
        upright: bool = False,
        deinterlace: bool = False,
        keep_start: bool = False,
        input_format: str | None = None,
        max_megapixels: float = 64.0,
    ) -> None:
        self.path, self.max_megapixels = path, max_megapixels
        self._open = partial(
            Demuxer, path, start_s=start_s, end_s=end_s, keep_start=keep_start, input_format=input_format
        )
        self._opened, self._stamp = ExitStack(), _stamp(path)
        self._demuxer = self._opened.enter_context(self._open())
        self._container = self._demuxer.container
        try:
            demuxer = self._demuxer
            self.video, self.others, self.time_base = demuxer.video, demuxer.others, demuxer.time_base
            self.repair, self.truncation_check, self.range = demuxer.repair, demuxer.truncation_check, demuxer.range
            self._decoder = self._open_decoder()
            self._corrupt = 0
            self._begun: list[PacketData] | None = []  # of the video, up to its first frame
            self._side_packets: list[SidePacket] = []
            self._has_ended = False
            self._side_bytes = self._taken = self._seen = 0  # of the packets, and packets of other streams
            self._frames = self._open_frames(upright, deinterlace)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._opened.close()

    def __iter__(self) -> Iterator[Frame]:
        self._begun = None
        return self._frames

    @property
    def corrupt(self) -> int:
        """Number of frames and packets that the decoder concealed or dropped."""
        return self._corrupt + self._decoder.refused

    @property
    def frame_count(self) -> FrameCount:
        """The packets that were decoded, against their frames."""
        return self._decoder.frame_count

    @property
    def truncation(self) -> str | None:
        """Why reading ended early, None at a regular end."""
        return self._demuxer.truncation

    @property
    def has_changed(self) -> bool:
        """Whether somebody has written into the file since it was opened."""
        before, now = self._stamp, _stamp(self.path)
        return before is not None and now is not None and before[0] == now[0] and before != now

    @property
    def flattened(self) -> int:
        """Number of frames that lost their transparency, because the first frame has none."""
        return self._converter.flattened

    @property
    def start_pts(self) -> int:
        """The pts, in `time_base`, of the position `start_s`: that of the first frame, or 0 with a `start_s`."""
        return self._demuxer.start_pts

    @property
    def seconds(self) -> float:
        """Duration of the whole video by its header, 0 if unknown."""
        return video_seconds(self._container, self.video)

    @property
    def template(self) -> SourceTemplate:
        """What an output file takes over from this one, chapters trimmed; valid while the reader is open."""
        return SourceTemplate(
            info=self.info,
            first=self.first.av_frame,
            time_base=self.time_base,
            video=self.video,
            others=tuple(self.others),
            covers=dict(self._demuxer.covers),
            metadata=dict(self._container.metadata),
            chapters=tuple(self._demuxer.chapters()),
        )

    @property
    def step(self) -> int:
        """The usual distance between frames, in ticks."""
        rate = frame_rate(self.video)
        return round(1 / (rate * self.time_base)) if rate else 1

    def packets(self) -> Iterator[PacketData]:
        """The packets of the video from the beginning, instead of the frames.

        Those of other streams are then in `packets_before`, `trailing_packets` and `late_packets`.
        """
        self._taken -= len(self.first.packets)  # they were taken for a frame that nobody asks for
        self._side_packets = [*self.first.packets, *self._side_packets]
        yield from self._begun or ()
        for packet in self._demuxer:
            if packet.stream is not self.video:
                self._hold(packet)
            elif packet.size:
                yield packet_data(packet)
        self._has_ended = True

    def packets_before(self) -> tuple[SidePacket, ...]:
        """The packets of other streams that were read before the end of the video; () the second time."""
        late = () if self._has_ended else self.late_packets()
        return *self.trailing_packets(), *late

    def trailing_packets(self) -> tuple[SidePacket, ...]:
        """The packets of other streams after the last frame, once all frames are read; () the second time."""
        packets, self._side_packets, self._side_bytes = tuple(self._side_packets), [], 0
        self._taken += len(packets)
        return packets

    def late_packets(self) -> Iterator[SidePacket]:
        """The packets after those of `trailing_packets`, which are too many to be held: they are read once more."""
        begin, self._taken = self._taken, self._seen
        if begin < self._seen:
            again = self._opened.enter_context(self._open())  # until the end: the packets refer to it
            others = (packet for packet in again if packet.stream is not again.video)
            yield from islice(others, begin, self._seen)

    def _open_decoder(self) -> VideoDecoder:
        context, decoder, heif = self.video.codec_context, video_decoder(self.video), self._demuxer.heif
        width, height = (heif.color.size if heif else None) or (context.width, context.height)
        if width * height > self.max_megapixels * 1e6:
            raise SourceError(
                f"{self.path}: {width}x{height} is above {self.max_megapixels:g} megapixels (see --max-megapixels)"
            )
        # With frame threads FFmpeg 8.1 takes frames of two fields for damaged.
        fields = codec_name(self.video) == "h264" and may_have_fields(context.extradata or b"")
        decoder.thread_type = "SLICE" if fields else "AUTO"
        return VideoDecoder(decoder, max_megapixels=self.max_megapixels)

    def _open_frames(self, upright: bool, deinterlace: bool) -> Iterator[Frame]:
        """All frames; the first one is decoded at once for `first` and `info`."""
        heif, still = self._demuxer.heif, is_still(self._container)
        decoded = self._shown(self._heif_frame(heif) if heif else self._decoded())
        first = next(decoded, None)
        if first is None:
            raise self._demuxer.no_frame_error()
        assert self._decoder.compression  # set with the first frame
        if still or self._container.format.name in _ANIMATIONS:
            self._demuxer.truncation = image_damage(self.path, codec_name(self.video))
        matrix = display_matrix(first)
        rotation = upright_filters(matrix) if matrix and upright else ()
        if heif:
            rotation = heif.upright
        try:
            working = find_working_format(first, still=still)
        except ValueError as error:
            raise SourceError(f"{self.path}: pixel format {first.format.name} is not supported") from error
        filters = self._filters(rotation, deinterlace)
        self.conversion = FrameConversion(path=self.path, filters=filters, working=working, time_base=self.time_base)
        self._converter = FrameConverter(self.conversion)
        frames = map(self._frame, self._converter(chain([first], decoded)))
        self.first = next(frames)
        self.info = video_info(
            self.path,
            self._container,
            self.video,
            stored=first,
            converted=self.first.av_frame,
            matrix=None if rotation else matrix,
            rotated=bool(matrix and rotation and swaps_axes(matrix)),
            interlaced=first.interlaced_frame and not deinterlace,
            compression=self._decoder.compression,
        )
        return chain([self.first], frames)

    def _heif_frame(self, image: HeifImage) -> Iterator[VideoFrame]:
        """The frame of an image that several streams make up."""
        frame = decode_heif(self.path, self._container, image, self._decoder.options)
        codec, size = self.video.codec_context.codec, self.path.stat().st_size
        self._decoder.compression = probe_compression(codec, frame, size)
        yield frame

    def _filters(self, rotation: tuple[Filter, ...], deinterlace: bool) -> tuple[Filter, ...]:
        untagged = codec_name(self.video) in UNTAGGED_CHROMA
        premultiplied = is_still(self._container) and is_premultiplied(self.path, codec_name(self.video))
        steps = (CHROMA_LEFT,) * untagged + UNPREMULTIPLY * premultiplied
        return steps + (DEINTERLACE,) * deinterlace + crop_filters(self.video) + rotation

    def _decoded(self) -> Iterator[VideoFrame]:
        """Every frame of the decoder; collects the packets of other streams on the way."""
        for packet in self._demuxer:
            if packet.stream is self.video:
                self._has_ended = not packet.size and packet.dts is None
                if self._begun is not None:
                    self._begun.append(packet_data(packet))  # before decoding, which may change it
                yield from self._decoder.decode(packet)
            else:
                self._hold(packet)
        self._has_ended = True
        yield from self._decoder.decode(None)
        self.frame_count.is_complete = self._demuxer.range.start is None

    def _hold(self, packet: SidePacket) -> None:
        """Keeps a packet for the next frame; where none comes for long, as after the last one, up to a limit.

        A pipe has no limit, because it cannot be read once more.
        """
        is_held = self._demuxer.pipe or self._side_bytes < _MAX_HELD_BYTES
        if self._seen == self._taken + len(self._side_packets) and is_held:
            self._side_packets.append(packet)
            self._side_bytes += packet.size
        self._seen += 1

    def _shown(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames in the range, with their final time stamps."""
        for frame in self.repair.frames(frames, self.step):
            pts = self.range.frame_pts(frame.pts or 0, self.time_base)
            if pts is not None:
                self._corrupt += frame.is_corrupt
                frame.pts = pts
                yield frame

    def _frame(self, frame: VideoFrame) -> Frame:
        return Frame(av_frame=frame, luma=luma_of(frame), packets=self.packets_before())


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells one content of a regular file from another, its number first; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
