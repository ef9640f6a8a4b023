"""A source as segments: whether it can be cut, its plan, and what all its segments have in common."""

from collections.abc import Iterator

from vidsr.media.encoders import EncoderChoice
from vidsr.media.formats import has_alpha
from vidsr.media.packet_data import PacketData
from vidsr.media.random_access import random_access_rule
from vidsr.media.reader import Reader
from vidsr.media.side_data import SideDataCarrier
from vidsr.media.video_decoder import DecoderParameters
from vidsr.media.video_encoder import EncoderParameters
from vidsr.segments.plan import NotSegmentable, PlannedSegment, plan_segments
from vidsr.segments.work import SegmentJob

_JOINABLE = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")
"""Encoders whose segments are one stream when they follow each other: compared with those of one run."""


def require_joinable(choice: EncoderChoice) -> None:
    """Raises NotSegmentable for an encoder whose segments may not join."""
    codec = choice.encode.codec
    if codec not in _JOINABLE:
        raise NotSegmentable(f"whether segments of {codec} join is not known")
    if codec == "libvpx-vp9" and has_alpha(choice.pixel_format):
        raise NotSegmentable("VP9 stores transparency apart from its packets")


def source_segments(reader: Reader) -> Iterator[PlannedSegment]:
    """The segments of an open file, of which no frame is read yet; raises NotSegmentable as `plan_segments`.

    Packets of other streams up to the end of a segment, and some more, are then in `reader.trailing_packets`.
    """
    codec = reader.video.codec_context.codec
    rule = random_access_rule(codec, reader.video.codec_context.extradata or b"")
    if rule is None:
        raise NotSegmentable(f"where decoding can begin in {codec.canonical_name} is not known")
    if reader.info.still:
        raise NotSegmentable("it is an image")
    if reader.info.container == "avi":
        raise NotSegmentable("AVI stores no times of frames")
    return plan_segments(_timed(reader), reader.time_base, is_random_access=rule)


def segment_job(reader: Reader, encoder: EncoderParameters, side_data: SideDataCarrier) -> SegmentJob:
    """What the segments of an open file have in common."""
    return SegmentJob(
        decoder=DecoderParameters.of(reader.video, max_megapixels=reader.max_megapixels),
        conversion=reader.conversion,
        encoder=encoder,
        range=reader.range,
        time_base=reader.time_base,
        step=reader.step,
        size=(reader.info.width, reader.info.height),
        depth=reader.info.depth,
        side_data=side_data,
    )


def _timed(reader: Reader) -> Iterator[PacketData]:
    """The packets, as long as they have the times that the file gives them."""
    for packet in reader.packets():
        if reader.repair.retimed:
            raise NotSegmentable("some of its frames have no usable time stamp")
        yield packet
