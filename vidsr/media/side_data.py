"""Side data: what becomes of each kind that FFmpeg knows, and what a target cannot hold.

`FRAME_SIDE_DATA` and `STREAM_SIDE_DATA` are complete. The side data of packets is copied with the packets.
"""

import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from av import VideoFrame
from av.stream import Stream
from av.video.stream import VideoStream

from vidsr.media.libav import (
    frame_side_data,
    frame_side_data_name,
    packet_side_data_name,
    set_frame_side_data,
    stream_side_data,
)

FrameKind = IntEnum(
    "FrameKind",
    "PANSCAN A53_CC STEREO3D MATRIXENCODING DOWNMIX_INFO REPLAYGAIN DISPLAYMATRIX AFD MOTION_VECTORS SKIP_SAMPLES "
    "AUDIO_SERVICE_TYPE MASTERING_DISPLAY_METADATA GOP_TIMECODE SPHERICAL CONTENT_LIGHT_LEVEL ICC_PROFILE "
    "S12M_TIMECODE DYNAMIC_HDR_PLUS REGIONS_OF_INTEREST VIDEO_ENC_PARAMS SEI_UNREGISTERED FILM_GRAIN_PARAMS "
    "DETECTION_BBOXES DOVI_RPU_BUFFER DOVI_METADATA DYNAMIC_HDR_VIVID AMBIENT_VIEWING_ENVIRONMENT VIDEO_HINT LCEVC "
    "VIEW_ID THREE_D_REFERENCE_DISPLAYS EXIF",
    start=0,
)
"""FFmpeg's AV_FRAME_DATA_*."""

StreamKind = IntEnum(
    "StreamKind",
    "PALETTE NEW_EXTRADATA PARAM_CHANGE H263_MB_INFO REPLAYGAIN DISPLAYMATRIX STEREO3D AUDIO_SERVICE_TYPE "
    "QUALITY_STATS FALLBACK_TRACK CPB_PROPERTIES SKIP_SAMPLES JP_DUALMONO STRINGS_METADATA SUBTITLE_POSITION "
    "MATROSKA_BLOCKADDITIONAL WEBVTT_IDENTIFIER WEBVTT_SETTINGS METADATA_UPDATE MPEGTS_STREAM_ID "
    "MASTERING_DISPLAY_METADATA SPHERICAL CONTENT_LIGHT_LEVEL A53_CC ENCRYPTION_INIT_INFO ENCRYPTION_INFO AFD PRFT "
    "ICC_PROFILE DOVI_CONF S12M_TIMECODE DYNAMIC_HDR10_PLUS IAMF_MIX_GAIN_PARAM IAMF_DEMIXING_INFO_PARAM "
    "IAMF_RECON_GAIN_INFO_PARAM AMBIENT_VIEWING_ENVIRONMENT FRAME_CROPPING LCEVC THREE_D_REFERENCE_DISPLAYS RTCP_SR "
    "EXIF",
    start=0,
)
"""FFmpeg's AV_PKT_DATA_*."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What becomes of a kind of side data; one that nothing writes is reported as left out."""

    encoders: frozenset[str] = frozenset()
    """The encoders that write it."""
    stream_kind: StreamKind | None = None
    """The side data of the stream as which containers store it."""
    is_content: bool = True
    """False if nothing is lost with it: it describes the source's coding or audio, or is applied to the frames."""


_NO_CONTENT = Treatment(is_content=False)
_LEFT_OUT = Treatment()
_HDR_ENCODERS = frozenset(["libx264", "libx265", "libsvtav1", "png"])


def _stored(kind: StreamKind, encoders: Iterable[str] = ()) -> Treatment:
    return Treatment(stream_kind=kind, encoders=frozenset(encoders))


# GOP_TIMECODE: FFmpeg gives the stream the tag `timecode`. FILM_GRAIN_PARAMS: the decoder adds the grain.
# DOVI_RPU_BUFFER is the same as DOVI_METADATA.
_FRAMES_NO_CONTENT = (
    "MATRIXENCODING DOWNMIX_INFO REPLAYGAIN DISPLAYMATRIX MOTION_VECTORS SKIP_SAMPLES AUDIO_SERVICE_TYPE GOP_TIMECODE "
    "REGIONS_OF_INTEREST VIDEO_ENC_PARAMS FILM_GRAIN_PARAMS DOVI_RPU_BUFFER VIDEO_HINT VIEW_ID"
)
_FRAMES_LEFT_OUT = (
    "PANSCAN AFD S12M_TIMECODE DYNAMIC_HDR_PLUS DETECTION_BBOXES DOVI_METADATA DYNAMIC_HDR_VIVID LCEVC "
    "THREE_D_REFERENCE_DISPLAYS"
)
FRAME_SIDE_DATA: dict[int, Treatment] = {
    **{FrameKind[name]: _NO_CONTENT for name in _FRAMES_NO_CONTENT.split()},
    **{FrameKind[name]: _LEFT_OUT for name in _FRAMES_LEFT_OUT.split()},
    FrameKind.A53_CC: Treatment(encoders=frozenset(["libx264", "libx265", "mpeg2video"])),
    FrameKind.STEREO3D: _stored(StreamKind.STEREO3D, ["libx264", "mpeg2video"]),
    FrameKind.MASTERING_DISPLAY_METADATA: _stored(StreamKind.MASTERING_DISPLAY_METADATA, _HDR_ENCODERS),
    FrameKind.SPHERICAL: _stored(StreamKind.SPHERICAL),
    FrameKind.CONTENT_LIGHT_LEVEL: _stored(StreamKind.CONTENT_LIGHT_LEVEL, _HDR_ENCODERS),
    FrameKind.ICC_PROFILE: _stored(StreamKind.ICC_PROFILE, ["png", "mjpeg"]),
    FrameKind.SEI_UNREGISTERED: Treatment(encoders=frozenset(["libx264"])),  # x265 would change it
    FrameKind.AMBIENT_VIEWING_ENVIRONMENT: _stored(StreamKind.AMBIENT_VIEWING_ENVIRONMENT),
    FrameKind.EXIF: Treatment(encoders=frozenset(["png", "tiff"])),
}

_STREAMS_NO_CONTENT = (
    "PALETTE NEW_EXTRADATA PARAM_CHANGE H263_MB_INFO REPLAYGAIN AUDIO_SERVICE_TYPE QUALITY_STATS FALLBACK_TRACK "
    "CPB_PROPERTIES SKIP_SAMPLES JP_DUALMONO STRINGS_METADATA SUBTITLE_POSITION MATROSKA_BLOCKADDITIONAL "
    "WEBVTT_IDENTIFIER WEBVTT_SETTINGS METADATA_UPDATE MPEGTS_STREAM_ID ENCRYPTION_INIT_INFO ENCRYPTION_INFO PRFT "
    "IAMF_MIX_GAIN_PARAM IAMF_DEMIXING_INFO_PARAM IAMF_RECON_GAIN_INFO_PARAM RTCP_SR"
)
_STREAMS_LEFT_OUT = "A53_CC AFD DOVI_CONF S12M_TIMECODE DYNAMIC_HDR10_PLUS LCEVC THREE_D_REFERENCE_DISPLAYS EXIF"
_STREAMS_STORED = (
    "DISPLAYMATRIX STEREO3D MASTERING_DISPLAY_METADATA SPHERICAL CONTENT_LIGHT_LEVEL ICC_PROFILE "
    "AMBIENT_VIEWING_ENVIRONMENT FRAME_CROPPING"
)
STREAM_SIDE_DATA: dict[int, Treatment] = {
    **{StreamKind[name]: _NO_CONTENT for name in _STREAMS_NO_CONTENT.split()},
    **{StreamKind[name]: _LEFT_OUT for name in _STREAMS_LEFT_OUT.split()},
    **{StreamKind[name]: _stored(StreamKind[name]) for name in _STREAMS_STORED.split()},
}
"""What becomes of the side data of the video stream, and with copied streams."""

_APPLIED = {StreamKind.DISPLAYMATRIX, StreamKind.FRAME_CROPPING}
"""Of the video, whose frames are cropped, and turned unless the container stores a matrix: then a scaled one."""
_ENCODER_UUIDS = (bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef"), bytes.fromhex("2ca2de09b51747dbbb55a4fe7fc2fc4e"))
"""Of the user data in which x264 and x265 write their options."""
_STORED_STEREO = (1, 2)  # side by side, top and bottom: all that MP4 stores, and scaling leaves as they are
_VIEW_UNSPECIFIED = 3
_FULL_FORMATS = (0, 8)  # active format descriptions that describe the whole frame


def side_data(frame: VideoFrame, kind: FrameKind) -> bytes | None:
    """The first side data of a kind; None if the frame has none."""
    return next((data for found, data in frame_side_data(frame) if found == kind), None)


def remove_source_side_data(frame: VideoFrame) -> None:
    """Removes what holds for the source only: its matrix, its quantisers, and the options of its encoder."""
    data = frame_side_data(frame)
    for kind in (FrameKind.DISPLAYMATRIX, FrameKind.VIDEO_ENC_PARAMS):
        set_frame_side_data(frame, kind)
    messages = [content for kind, content in data if kind == FrameKind.SEI_UNREGISTERED]
    if messages:
        kept = [content for content in messages if not content.startswith(_ENCODER_UUIDS)]
        set_frame_side_data(frame, FrameKind.SEI_UNREGISTERED, *kept)


def has_encoder_side_data(frame: VideoFrame) -> bool:
    """Whether the frame has side data that some encoder writes: captions, light levels, a profile."""
    return any(bool(FRAME_SIDE_DATA.get(kind, _LEFT_OUT).encoders) for kind, _ in frame_side_data(frame))


def dropped_with_copy(stream: Stream, holds: frozenset[StreamKind]) -> list[str]:
    """The names of the side data of a copied stream that a container which stores `holds` does not store."""
    kinds = [kind for kind, _ in stream_side_data(stream)]
    lost = [kind for kind in kinds if kind not in holds and STREAM_SIDE_DATA.get(kind, _LEFT_OUT).is_content]
    return [f"{packet_side_data_name(kind)} of #{stream.index} {stream.type}" for kind in lost]


def crop_filters(video: VideoStream) -> tuple[tuple[str, str], ...]:
    """The filter that crops frames as the container says, which decoders do not; () without cropping."""
    data = next((data for kind, data in stream_side_data(video) if kind == StreamKind.FRAME_CROPPING), bytes(16))
    top, bottom, left, right = struct.unpack("4I", data)
    cropped, context = (left + right, top + bottom), video.codec_context
    if cropped == (0, 0) or cropped[0] >= context.width or cropped[1] >= context.height:
        return ()
    return (("crop", f"in_w-{cropped[0]}:in_h-{cropped[1]}:{left}:{top}"),)


class SideDataCarrier:
    """The side data of a video on its way into a target.

    `stored` is what the target's stream stores, by kind; `dropped` names what the target cannot hold.
    """

    def __init__(
        self, first: VideoFrame, stream: Stream, *, encoder: str, holds: frozenset[StreamKind], scale: float
    ) -> None:
        """`holds` are the kinds that the target's container stores; `scale` is that of the frames."""
        self._encoder = encoder
        stated = stream_side_data(stream)
        shown = [(FRAME_SIDE_DATA.get(kind, _LEFT_OUT).stream_kind, data) for kind, data in frame_side_data(first)]
        self.stored = {
            StreamKind(kind): _for_target(StreamKind(kind), data, scale)
            for kind, data in [*shown, *stated]
            if kind in holds - _APPLIED and _is_storable(kind, data)
        }
        self._dropped: set[str] = set()
        lost = {kind for kind, _ in stated if STREAM_SIDE_DATA.get(kind, _LEFT_OUT) is _LEFT_OUT}
        self.dropped = [packet_side_data_name(kind) or str(kind) for kind in sorted(lost)] + self.losses(first)

    def losses(self, frame: VideoFrame) -> list[str]:
        """The names of the frame's side data that the target cannot hold; each name is returned once."""
        return self.new_losses(self.frame_losses(frame))

    def new_losses(self, names: Iterable[str]) -> list[str]:
        """Those of the names that are returned for the first time."""
        new = [name for name in dict.fromkeys(names) if name not in self._dropped]
        self._dropped.update(new)
        return new

    def frame_losses(self, frame: VideoFrame) -> Iterator[str]:
        """The names of the frame's side data that the target cannot hold."""
        for kind, data in frame_side_data(frame):
            treatment = FRAME_SIDE_DATA.get(kind, _LEFT_OUT)
            kept = self._encoder in treatment.encoders or treatment.stream_kind in self.stored
            if treatment.is_content and not kept and _has_content(kind, data, frame):
                yield frame_side_data_name(kind) or str(kind)


def _has_content(kind: int, data: bytes, frame: VideoFrame) -> bool:
    """Whether a side data says anything: not the values that decoders give to every frame."""
    if kind == FrameKind.PANSCAN:
        width, height = struct.unpack_from("2i", data, 4)  # in sixteenths of a pixel
        return bool(0 < width < 16 * frame.width or 0 < height < 16 * frame.height)
    if kind == FrameKind.STEREO3D:
        return _stereo_type(data) > 0
    if kind == FrameKind.AFD:
        return data[0] % 16 not in _FULL_FORMATS
    return True


def _is_storable(kind: int, data: bytes) -> bool:
    return kind != StreamKind.STEREO3D or _stereo_type(data) in _STORED_STEREO


def _stereo_type(data: bytes) -> int:
    return int.from_bytes(data[:4], sys.byteorder)


def _for_target(kind: StreamKind, data: bytes, scale: float) -> bytes:
    """The side data as it holds for scaled frames, and as FFmpeg's muxers write it consistently."""
    if kind == StreamKind.SPHERICAL:
        *numbers, padding = struct.unpack("9I", data)  # pixels around the faces of a cube map
        return struct.pack("9I", *numbers, round(padding * scale))
    if kind == StreamKind.STEREO3D:  # with another view FFmpeg adds a box to MP4 that contradicts the type
        return data[:8] + struct.pack("i", _VIEW_UNSPECIFIED) + data[12:]
    return data
