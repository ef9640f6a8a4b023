"""A video upscaled by segments is the video upscaled by frames: its frames, their times, and all that is copied."""

import itertools
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest
from footage import make_video
from made import make_clip
from oracles import read_with_av

import vidsr
from vidsr.errors import WorkerError
from vidsr.media.formats import luma_of
from vidsr.media.packet_data import PacketData
from vidsr.quality.metrics import psnr
from vidsr.segments import plan
from vidsr.segments.join import SegmentJoiner
from vidsr.segments.work import UpscaledSegment
from vidsr.settings import EncodeSettings, PoolSettings, UpscaleSettings

STEADY = [512 * number for number in range(70)]
VARYING = np.cumsum(np.random.default_rng(1).integers(300, 800, 70)).tolist()
PRESETS = {"libx265": "superfast", "libsvtav1": "12"}
HERE = PoolSettings(workers=0, threads=2)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 0.6 s at least."""
    monkeypatch.setattr(plan, "MIN_SECONDS", 0.6)


@pytest.mark.parametrize(
    ("codec", "suffix", "pts"),
    [
        ("ffv1", "mkv", STEADY),
        ("ffv1", "mkv", VARYING),
        ("libx264", "mp4", VARYING),
        ("libx264", "mkv", VARYING),
        ("libx264", "ts", STEADY),
        ("libx265", "mp4", VARYING),
        ("libsvtav1", "mp4", VARYING),
        ("libvpx-vp9", "webm", VARYING),
    ],
)
def test_frames_times_and_copies_are_those_of_a_run_by_frames(
    tmp_path: Path, tiny_model: str, short: None, codec: str, suffix: str, pts: list[int]
) -> None:
    source = make_clip(tmp_path / "in.mkv", pts=pts, options={"g": "20"}, audio=0 if suffix == "webm" else 2)
    whole, joined = tmp_path / f"whole.{suffix}", tmp_path / f"joined.{suffix}"
    encode, settings = EncodeSettings(codec=codec, preset=PRESETS.get(codec)), UpscaleSettings(model=tiny_model)
    vidsr.upscale(source, whole, settings=settings, encode=encode, pool=HERE)
    settings = replace(settings, segments=True, verify=True)
    report = vidsr.upscale(source, joined, settings=settings, encode=encode, pool=HERE)
    assert (report.frames_read, report.frames_written, report.damage, report.warnings) == (70, 70, [], [])
    assert Summary.of(joined) == Summary.of(whole)
    if codec == "ffv1":
        for one, other in zip(read_with_av(joined).pictures, read_with_av(whole).pictures, strict=True):
            np.testing.assert_array_equal(one.to_ndarray(), other.to_ndarray())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mkv", whole.name, joined.name])


def test_a_film_that_cannot_be_cut_later_on_is_upscaled_by_frames_and_leaves_nothing(
    tmp_path: Path, tiny_model: str, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_SECONDS", 2)
    pts = [512 * number for number in range(60)]
    source = make_clip(
        tmp_path / "in.mkv", pts=[*pts, *(pts[-1] + 7680 * n for n in range(1, 15))], options={"g": "20"}
    )
    told: list[tuple[int, int | None]] = []
    settings = UpscaleSettings(model=tiny_model, segments=True)
    report = vidsr.upscale(
        source, tmp_path / "out.mkv", settings=settings, pool=HERE, on_progress=lambda *done: told.append(done)
    )
    assert report.warnings == [
        "is upscaled by frames, not by segments: decoding cannot begin anywhere in 2 s or 256 MiB of it"
    ]
    assert (report.frames_written, told[-1]) == (74, (74, 74))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mkv"]


def test_the_last_frames_of_a_segment_are_as_good_as_in_a_whole_run(
    tmp_path: Path, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MIN_SECONDS", 1)
    source = make_video(tmp_path / "in.mkv", road(110), options={"g": "75"})
    lumas = {}
    for codec, segments in (("ffv1", False), *itertools.product(("libx264", "libx265"), (False, True))):
        settings = UpscaleSettings(model=tiny_model, segments=segments)
        target = tmp_path / f"{codec} {segments}.mkv"
        vidsr.upscale(source, target, settings=settings, encode=EncodeSettings(codec=codec), pool=HERE)
        lumas[codec, segments] = [luma_of(picture) for picture in read_with_av(target).pictures[70:75]]
    for codec in ("libx264", "libx265"):
        whole, parts = (
            np.mean([psnr(*pair) for pair in zip(lumas["ffv1", False], lumas[codec, segments], strict=True)])
            for segments in (False, True)
        )
        assert parts > whole - 0.5, codec


def road(count: int) -> list[av.VideoFrame]:
    """A place that stands still, with the noise of a camera at night, and something that passes."""
    random = np.random.default_rng(1)
    place = np.kron(random.integers(40, 200, (14, 30)), np.ones((4, 4))).astype(float)
    frames = []
    for number in range(count):
        luma = place + random.normal(0, 8, place.shape)
        luma[20:40, number : number + 20] = 230
        pixels = np.repeat(luma.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
        frames.append(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p"))
    return frames


def test_progress_grows_to_the_number_of_frames(tmp_path: Path, tiny_model: str, short: None) -> None:
    source = make_clip(tmp_path / "in.mkv", pts=STEADY, options={"g": "20"})
    told: list[tuple[int, int | None]] = []
    settings = UpscaleSettings(model=tiny_model, segments=True)
    vidsr.upscale(
        source, tmp_path / "out.mkv", settings=settings, pool=HERE, on_progress=lambda *done: told.append(done)
    )
    assert told == sorted(told, key=lambda done: done[0])
    assert told[-1] == (70, 70)


@dataclass
class Summary:
    """Times and durations of a file's video, each sorted, and all other packets."""

    seconds: float
    pts: list[int]
    dts: list[int]
    durations: list[int]
    others: dict[int, list[tuple[int | None, int | None, bytes]]]

    @classmethod
    def of(cls, path: Path) -> "Summary":
        """That of a file."""
        with av.open(path) as container:
            packets = [packet for packet in container.demux() if packet.size]
            video = [packet for packet in packets if packet.stream.type == "video"]
            others: dict[int, list[tuple[int | None, int | None, bytes]]] = {}
            for packet in packets:
                if packet.stream.type != "video":
                    others.setdefault(packet.stream.index, []).append((packet.pts, packet.dts, bytes(packet)))
            return cls(
                seconds=container.duration or 0,
                pts=sorted(packet.pts for packet in video),
                dts=[packet.dts for packet in video],
                durations=sorted(packet.duration for packet in video),
                others=others,
            )


# Joining


def upscaled(index: int, pts: list[int], *, headers: bytes = b"h", dts: list[int] | None = None) -> UpscaledSegment:
    """A segment of packets with these pts, in decoding order, from an encoder that holds back one frame."""
    times = sorted(pts)
    dts = dts or [times[0] - 10, *times[:-1]]
    packets = tuple(
        PacketData(data=b"x", pts=shown, dts=decoded, duration=shown, key=number == 0)
        for number, (shown, decoded) in enumerate(zip(pts, dts, strict=True))
    )
    return UpscaledSegment(
        index=index,
        packets=packets,
        headers=headers,
        times=tuple(times),
        corrupt=0,
        before_key=0,
        retimed=0,
        flattened=0,
        resized=False,
        dropped=(),
        precision="f32",
        precision_why="",
        warnings=(),
        reused=0,
    )


def joined(*segments: UpscaledSegment, as_displayed: bool = False) -> list[PacketData]:
    joiner = SegmentJoiner(b"h")
    packets = [packet for segment in segments for packet in joiner.packets(segment)]
    return [*packets, *joiner.last_packet(as_displayed=as_displayed)]


def test_decoding_times_go_on_over_the_seams() -> None:
    packets = joined(upscaled(0, [0, 20, 10]), upscaled(1, [30, 60, 45]), upscaled(2, [70, 80]))
    assert [packet.pts for packet in packets] == [0, 20, 10, 30, 60, 45, 70, 80]
    assert [packet.dts for packet in packets] == [-10, 0, 10, 20, 30, 45, 60, 70]


def test_the_last_packet_of_an_mp4_lasts_as_the_last_frame() -> None:
    segments = upscaled(0, [0, 20, 10]), upscaled(1, [30, 60, 45])
    assert [packet.duration for packet in joined(*segments)] == [0, 20, 10, 30, 60, 45]
    assert [packet.duration for packet in joined(*segments, as_displayed=True)] == [0, 20, 10, 30, 60, 60]


def test_segments_without_frames_are_joined() -> None:
    packets = joined(empty(0), upscaled(1, [0, 20, 10]), empty(2))
    assert [packet.dts for packet in packets] == [-10, 0, 10]


def empty(index: int) -> UpscaledSegment:
    return replace(upscaled(index, [0]), packets=(), times=(), headers=b"")


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (upscaled(2, [30, 40]), "segment 2: segment 1 should follow"),
        (upscaled(1, [30, 40], headers=b"other"), "codec headers are not those of the file"),
        (upscaled(1, [20, 40]), "begins before the end of the one before"),
        (replace(upscaled(1, [30, 40]), times=(30, 40, 50)), "3 frames were encoded, and 2 came back"),
        (replace(upscaled(1, [30, 40]), times=(30, 41)), "2 frames were encoded, and 2 came back"),
        (upscaled(1, [60, 50, 30, 40]), "another order than the encoder's delay allows"),
    ],
)
def test_a_segment_that_does_not_fit_is_no_part_of_the_file(second: UpscaledSegment, reason: str) -> None:
    with pytest.raises(WorkerError, match=reason):
        joined(upscaled(0, [0, 20, 10]), second)


def test_nothing_is_kept_of_what_is_joined() -> None:
    joiner = SegmentJoiner(b"h")
    kept = grown(lambda index: list(joiner.packets(upscaled(index, [10 * index, 10 * index + 5]))), times=2000)
    assert kept < 1000


def grown(work: Callable[[int], object], times: int) -> int:
    """The bytes that Python holds after so many calls, numbered from 0, and did not after a tenth of them."""
    for index in range(times // 10):
        work(index)
    tracemalloc.start()
    try:
        for index in range(times // 10, times):
            work(index)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_segment_begins_with_a_key_frame() -> None:
    second = upscaled(1, [30, 40])
    packets = tuple(replace(packet, key=False) for packet in second.packets)
    with pytest.raises(WorkerError, match="does not begin with a key frame"):
        joined(upscaled(0, [0, 20, 10]), replace(second, packets=packets))
