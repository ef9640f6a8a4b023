"""The plan of segments, and their frames: each segment decoded by itself, all of them must be the whole."""

import hashlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video, scene_frames
from made import make_clip

from vidsr.media.containers import container_for
from vidsr.media.encoders import EncoderChoice
from vidsr.media.frame import VideoFrame
from vidsr.media.packet_data import PacketData, packet_data
from vidsr.media.reader import Reader
from vidsr.media.side_data import SideDataCarrier
from vidsr.media.video_encoder import encoder_parameters
from vidsr.segments import plan
from vidsr.segments.plan import NotSegmentable, PlannedSegment, plan_segments
from vidsr.segments.source_segments import segment_job, source_segments
from vidsr.segments.work import SegmentFrames, SegmentJob
from vidsr.settings import EncodeSettings

Digest = tuple[int | None, str, str]

X265 = "log-level=none:pools=1:keyint=20:min-keyint=20:scenecut=0"
KINDS = {
    "closed": ("libx264", {"g": "20"}, ("mp4", "mkv", "ts")),
    "open": (  # leading frames follow the next key frame, and refer to the one before
        "libx264",
        {"x264-params": "keyint=20:open-gop=1:bframes=3:scenecut=0:rc-lookahead=5"},
        ("mp4", "mkv", "ts"),
    ),
    "hevc closed": ("libx265", {"x265-params": f"{X265}:open-gop=0"}, ("mp4",)),
    "hevc open": ("libx265", {"x265-params": f"{X265}:open-gop=1:bframes=4"}, ("mp4", "mkv", "ts")),
    "vp8": ("libvpx", {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"}, ("webm",)),
    "vp9": ("libvpx-vp9", {"g": "20", "deadline": "good", "cpu-used": "5"}, ("webm", "mp4")),
    "av1": ("libsvtav1", {"g": "20", "preset": "12"}, ("mkv", "mp4")),
    "mpeg2 open": ("mpeg2video", {"g": "12", "bf": "2", "strict": "-2"}, ("mkv", "ts")),
    "mpeg4": ("mpeg4", {"g": "12", "bf": "2"}, ("mp4",)),
    "ffv1": ("ffv1", {"g": "10"}, ("mkv",)),
    "prores": ("prores_ks", {}, ("mov",)),
}
CASES = [
    pytest.param(suffix, *kind, id=f"{name} {suffix}") for name, (*kind, found) in KINDS.items() for suffix in found
]
STEADY = [512 * number for number in range(70)]
VARYING = np.cumsum(np.random.default_rng(1).integers(300, 800, 70)).tolist()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 0.6 s at least."""
    monkeypatch.setattr(plan, "MIN_SECONDS", 0.6)


def digest(frame: VideoFrame) -> Digest:
    return frame.pts, frame.format.name, hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()


def job_of(reader: Reader) -> SegmentJob:
    choice = EncoderChoice(encode=EncodeSettings(codec="ffv1"), pixel_format=reader.info.working_format)
    parameters = encoder_parameters(reader.template, choice, container_for(Path("out.mkv")), (192, 128))
    first = reader.template.first
    carrier = SideDataCarrier(first, reader.video, encoder="ffv1", holds=frozenset(), scale=2)
    return segment_job(reader, parameters, carrier)


def whole(path: Path, **reading: float | bool) -> list[Digest]:
    with Reader(path, **reading) as reader:
        return [digest(frame.av_frame) for frame in reader]


def apart(path: Path, **reading: float | bool) -> list[list[Digest]]:
    """The frames of each segment."""
    with Reader(path, **reading) as reader:
        job, found = job_of(reader), []
        for segment in source_segments(reader):
            frames = SegmentFrames(job, segment)
            found.append([digest(frame) for frame in frames])
            assert (frames.corrupt, frames.retimed, frames.before_key) == (0, 0, 0)
        return found


def joined(parts: list[list[Digest]]) -> list[Digest]:
    return [frame for part in parts for frame in part]


@pytest.mark.parametrize("pts", [STEADY, VARYING], ids=["steady", "varying"])
@pytest.mark.parametrize(("suffix", "codec", "options"), CASES)
def test_segments_decoded_apart_are_the_frames_of_the_whole(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str], pts: list[int]
) -> None:
    if codec in ("mpeg2video", "mpeg4"):
        pts = STEADY  # they have one rate
    pixel_format = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    path = make_clip(tmp_path / f"in.{suffix}", pts=pts, codec=codec, options=options, pixel_format=pixel_format)
    parts = apart(path)
    assert joined(parts) == whole(path)
    assert len(parts) > 2


def shifted(path: Path, source: Path, frames: int) -> Path:
    """A copy in MP4 that an edit list makes begin some frames later: those before are decoded, and not shown."""
    with av.open(source) as original, av.open(path, "w", options={"use_editlist": "1"}) as output:
        copy = output.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.size:
                packet.pts, packet.dts = packet.pts - frames * 512, packet.dts - frames * 512
                packet.stream = copy
                output.mux(packet)
    return path


def test_frames_outside_the_edit_list_are_in_no_segment(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=STEADY, options={"g": "20"})
    path = shifted(tmp_path / "edited.mp4", source, 15)
    with av.open(path) as container:
        assert sum(packet.is_discard for packet in container.demux(video=0)) > 0
    parts = apart(path)
    assert joined(parts) == whole(path)
    assert (len(joined(parts)), len(parts)) == (55, 4)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
@pytest.mark.parametrize("reading", [{"start_s": 0.9}, {"end_s": 1.1}, {"start_s": 0.3, "end_s": 1.5}])
def test_a_range_is_cut_as_the_whole(tmp_path: Path, suffix: str, reading: dict[str, float]) -> None:
    path = make_clip(tmp_path / f"in.{suffix}", pts=STEADY, options={"g": "20"})
    assert joined(apart(path, **reading)) == whole(path, **reading) != whole(path)


def test_frames_are_turned_in_all_segments(tmp_path: Path) -> None:
    matrix = (0, 65536, 0, -65536, 0, 0, 0, 0, 1073741824)
    path = make_video(tmp_path / "in.mp4", scene_frames(60), options={"g": "20"}, matrix=matrix)
    parts = apart(path, upright=True)
    assert joined(parts) == whole(path, upright=True) != whole(path)
    assert len(parts) == 3


def test_a_gradual_refresh_is_no_random_access_point_whatever_the_container_says(tmp_path: Path) -> None:
    options = {"x264-params": "intra-refresh=1:keyint=20"}
    path = make_clip(tmp_path / "in.mp4", pts=STEADY, options=options)
    with av.open(path) as container:
        assert sum(packet.is_keyframe for packet in container.demux(video=0)) > 2
    parts = apart(path)
    assert (len(parts), joined(parts)) == (1, whole(path))


# The plan


def packet(pts: int | None, dts: int | None, *, key: bool = False, complete: bool = True, size: int = 1) -> PacketData:
    return PacketData(data=bytes(size), pts=pts, dts=dts, key=key, complete=complete)


def planned(packets: Iterable[PacketData]) -> Iterator[PlannedSegment]:
    """Cut at key frames; 0.6 s are 18 ticks."""
    return plan_segments(packets, Fraction(1, 30), is_random_access=lambda packet: packet.key)


def steady(count: int, keys: set[int]) -> list[PacketData]:
    return [packet(number, number - 2, key=number in keys) for number in range(count)]


def test_a_segment_begins_at_the_first_random_access_point_after_the_least_length() -> None:
    segments = list(planned(steady(100, {0, 10, 20, 45, 60, 62, 80})))
    assert [segment.start for segment in segments] == [None, 20, 45, 80]
    assert [segment.end for segment in segments] == [20, 45, 80, None]
    assert [len(segment.packets) for segment in segments] == [20, 25, 35, 20]
    assert [segment.index for segment in segments] == [0, 1, 2, 3]


def test_leading_packets_belong_to_both_segments_and_their_frames_to_the_first() -> None:
    packets = [*steady(20, {0}), packet(23, 18, key=True), *(packet(pts, pts - 2) for pts in (20, 21, 22, 24, 25))]
    first, second = planned(packets)
    assert (first.end, [each.pts for each in first.packets[-4:]]) == (23, [23, 20, 21, 22])
    assert (second.start, [each.pts for each in second.packets]) == (23, [23, 20, 21, 22, 24, 25])
    assert (sorted(first.times), sorted(second.times)) == ([*range(23)], [23, 24, 25])


def test_a_random_access_point_that_is_shown_before_an_earlier_packet_is_none() -> None:
    packets = [*steady(20, {0}), packet(40, 18), packet(30, 19, key=True), packet(50, 35), packet(60, 45)]
    assert len(list(planned(packets))) == 1


def test_a_segment_comes_as_soon_as_no_earlier_frame_can_follow() -> None:
    read: list[int] = []

    def packets() -> Iterator[PacketData]:
        for each in steady(100, {0, 20, 40, 60, 80}):
            read.append(each.pts or 0)
            yield each

    next(planned(packets()))
    assert read[-1] == 22


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([packet(None, 0)], "have no time"),
        ([packet(0, None)], "have no time"),
        ([packet(0, 0), packet(0, 0)], "the same time"),
        ([packet(1, 1), packet(2, 0)], "run backwards"),
        ([packet(0, 1)], "run backwards"),
        ([packet(0, 0, complete=False)], "codec changes"),
        (steady(3700, {0}), "decoding cannot begin anywhere in 120 s"),
    ],
)
def test_what_has_no_times_or_no_random_access_points_is_not_cut(packets: list[PacketData], reason: str) -> None:
    with pytest.raises(NotSegmentable, match=reason):
        list(planned(packets))


def test_a_segment_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_BYTES", 30)
    with pytest.raises(NotSegmentable, match="cannot begin anywhere"):
        list(planned(steady(40, {0})))


@pytest.mark.parametrize(
    ("suffix", "codec", "reason"),
    [
        ("avi", "mpeg4", "AVI stores no times"),
        ("wmv", "wmv2", "wmv2 is not known"),
        ("gif", "gif", "gif is not known"),
        ("jpg", "mjpeg", "it is an image"),
    ],
)
def test_sources_that_cannot_be_cut_are_said(tmp_path: Path, suffix: str, codec: str, reason: str) -> None:
    pixel_format = {"gif": "bgr8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    frames = scene_frames(1 if suffix == "jpg" else 20, pixel_format)
    path = make_video(tmp_path / f"in.{suffix}", frames, codec=codec)
    with Reader(path) as reader, pytest.raises(NotSegmentable, match=reason):
        source_segments(reader)


def test_a_packet_apart_from_its_file_is_the_same(tmp_path: Path) -> None:
    path = shifted(tmp_path / "in.mp4", make_clip(tmp_path / "clip.mp4", pts=STEADY, options={"g": "20"}), 15)
    with av.open(path) as container:
        for each in container.demux(video=0):
            again = packet_data(each).av_packet(each.time_base)
            assert packet_data(again) == packet_data(each)
