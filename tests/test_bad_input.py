"""Bad input: one sentence on stderr, the right exit code, no target, the source unchanged."""

import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from commands import DAMAGED, MODEL, SOURCE, TARGET, USAGE, Command, Ended, Refused, few_rights
from made import make_clip, make_sound
from oracles import read_with_av
from PIL import Image

import vidsr as package
from vidsr.settings import PoolSettings, UpscaleSettings

# Sources


def test_a_missing_source(refused: Refused, tmp_path: Path) -> None:
    assert "No such file" in refused(SOURCE, tmp_path / "none.mp4", tmp_path / "out.mp4")


def test_a_folder_needs_a_folder_for_a_target(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "is no folder" in refused(USAGE, tmp_path / "folder", tmp_path / "out.mp4")


def test_a_folder_without_media(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert "no video and no image" in refused(USAGE, tmp_path / "folder", tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"To be or not to be\n" * 100),
        ("text.txt", b"To be or not to be\n" * 100),
        ("words.srt", b"1\n00:00:00,000 --> 00:00:01,000\nHello\n"),
        ("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile clip.mp4\n"),
        ("zeros.mkv", bytes(5000)),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0"),
    ],
)
def test_a_file_without_media(refused: Refused, clip: Path, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / name).write_bytes(content)
    assert name in refused(SOURCE, tmp_path / name, tmp_path / "out.mp4")


def test_an_mp4_truncated_before_its_index(refused: Refused, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[:-2000])
    assert "cut off before its index" in refused(SOURCE, tmp_path / "cut.mp4", tmp_path / "out.mp4")


@pytest.mark.parametrize("options", [(), ("--start", "0.5"), ("--start", "0.5", "--end", "1")])
def test_an_mp4_without_samples(options: tuple[str, ...], refused: Refused, clip: Path, tmp_path: Path) -> None:
    """The first segment of a stream: a header, and nothing else."""
    path = tmp_path / "init.mp4"
    with av.open(clip) as source, av.open(path, "w", options={"movflags": "+frag_keyframe+empty_moov"}) as output:
        for stream in source.streams:
            output.add_stream_from_template(stream)
        output.start_encoding()
    assert "no frame can be decoded" in refused(SOURCE, *options, path, tmp_path / "out.mkv")


def test_audio_only(refused: Refused, tmp_path: Path) -> None:
    make_sound(tmp_path / "song.m4a")
    assert "holds no video" in refused(SOURCE, tmp_path / "song.m4a", tmp_path / "out.mp4")


def test_a_source_without_read_permission(upscale: Command, clip: Path, open_folder: Path) -> None:
    (open_folder / "secret.mp4").write_bytes(clip.read_bytes())
    (open_folder / "secret.mp4").chmod(0)
    with few_rights():
        ended = upscale(open_folder / "secret.mp4", open_folder / "out.mp4")
    assert ended == Ended(SOURCE, "", f"vidsr: {open_folder / 'secret.mp4'}: Permission denied\n")


def test_a_truncated_mp4_with_its_index_first_is_read_to_its_end(upscale: Command, clip: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    with av.open(clip) as source, av.open(whole, "w", options={"movflags": "+faststart"}) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    cut, target = tmp_path / "cut.mp4", tmp_path / "out.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    ended = upscale("-q", cut, target)
    assert ended.code == DAMAGED
    assert "the source lists 24 frames and holds" in ended.err
    pts = read_with_av(target).pts
    assert 0 < len(pts) < 24
    assert pts == read_with_av(whole).pts[: len(pts)]


def test_damage_in_the_middle_is_counted_and_loses_few_frames(upscale: Command, tmp_path: Path) -> None:
    source, target = make_clip(tmp_path / "damaged.mp4", options={"g": "6", "bf": "0"}), tmp_path / "out.mp4"
    with av.open(source) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(source.read_bytes())
    for position, size in places[8:10]:
        data[position + 10 : position + size] = b"\x55" * (size - 10)
    source.write_bytes(data)
    ended = upscale("-q", source, target)
    assert ended.code == DAMAGED
    assert "frames or packets of the source are damaged" in ended.err
    assert len(read_with_av(target).pts) >= 22


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1)])
def test_the_smallest_frames_are_upscaled(upscale: Command, tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "dot.mkv", size=size, pixel_format="yuv444p", codec="ffv1", pts=[0, 512])
    assert upscale(source, tmp_path / "out.mkv").code == 0
    (frame, _) = read_with_av(tmp_path / "out.mkv").pictures
    assert (frame.width, frame.height) == (2 * size[0], 2 * size[1])


def test_a_frame_too_wide_for_the_encoder_is_refused_and_another_named(
    refused: Refused, upscale: Command, tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "wide.mkv", size=(16384, 16), codec="ffv1", pts=[0])
    line = refused(TARGET, source, tmp_path / "out.mkv")
    assert "libx264 refuses 32768x32" in line
    assert line.endswith("use --codec libx265")
    assert upscale("--codec", "ffv1", source, tmp_path / "out.mkv").code == 0


def test_a_frame_above_max_megapixels_is_refused_and_a_higher_limit_accepts_it(
    refused: Refused, upscale: Command, clip: Path, tmp_path: Path
) -> None:
    line = refused(SOURCE, "--max-megapixels", "0.006", clip, tmp_path / "out.mp4")
    assert "96x64 is above 0.006 megapixels (see --max-megapixels)" in line
    assert upscale("--max-megapixels", "0.00615", clip, tmp_path / "out.mp4").code == 0


def make_bomb(path: Path, side: int) -> None:
    """A PNG whose header states far more pixels than its data."""
    header, data = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0), zlib.compress(bytes(1000))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def test_a_png_that_unpacks_to_a_gigabyte_is_refused(refused: Refused, tmp_path: Path) -> None:
    make_bomb(tmp_path / "bomb.png", 30000)
    assert "bomb.png" in refused(SOURCE, tmp_path / "bomb.png", tmp_path / "out.png")


def test_an_output_frame_too_large_for_ffmpeg_is_refused_before_any_work(refused: Refused, tmp_path: Path) -> None:
    Image.new("L", (64, 64)).save(tmp_path / "small.png")
    line = refused(TARGET, "--to", "30000x30000", tmp_path / "small.png", tmp_path / "out.png")
    assert "a frame of 30000x30000 is too large" in line


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "http:x.mp4", "x%03d.mp4", "-y.mp4", "new\nline.mp4", "ü ß.mp4", os.fsdecode(b"\xff.mp4")]
)
def test_special_characters_in_a_name_are_literal(
    upscale: Command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(clip.read_bytes())
    os.mkdir("out")
    assert upscale("--end", "0.1", "--", name, f"out/{name}").code == 0
    assert os.listdir("out") == [name]
    assert os.listdir(os.fsencode("out")) == [os.fsencode(name)]


def test_a_file_name_pattern_opens_one_image(
    upscale: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, grey in (("x%03d.png", 200), ("x001.png", 10)):
        Image.new("L", (8, 8), grey).save(name)
    assert upscale("x%03d.png", "y%03d.png").code == 0
    assert np.asarray(Image.open("y%03d.png")).mean() > 100


# Weights


class Bomb:
    """A pickle that runs code when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def damaged(weights: str, path: Path, kind: str) -> None:
    """A damaged copy of the weight file."""
    arrays = dict(np.load(weights))
    name = "feature.weight"
    match kind:
        case "truncated":
            path.write_bytes(Path(weights).read_bytes()[:3000])
        case "transposed":
            np.savez(path, **arrays | {name: arrays[name].T})
        case "too precise":
            np.savez(path, **arrays | {name: arrays[name].astype(np.float64)})
        case "not a number":
            arrays[name][0, 0, 0, 0] = np.nan
            np.savez(path, **arrays)
        case "one too few":
            np.savez(path, **{key: array for key, array in arrays.items() if key != name})
        case "no header":
            np.savez(path, **{key: array for key, array in arrays.items() if key != "header"})
        case "array of objects":
            np.savez(path, **arrays | {name: np.array([Bomb(path.parent / "marker")])})
        case "pickle":
            path.write_bytes(pickle.dumps(Bomb(path.parent / "marker")))
        case "text":
            path.write_text("weights")
        case "empty":
            path.touch()


@pytest.mark.parametrize(
    "kind",
    [
        "missing",
        "empty",
        "text",
        "truncated",
        "transposed",
        "too precise",
        "not a number",
        "one too few",
        "no header",
        "array of objects",
        "pickle",
    ],
)
def test_damaged_weights_are_refused_and_never_unpickled(
    refused: Refused, clip: Path, tmp_path: Path, tiny_model: str, kind: str
) -> None:
    damaged(tiny_model, tmp_path / "spoilt.npz", kind)
    line = refused(MODEL, "--model", tmp_path / "spoilt.npz", clip, tmp_path / "out.mp4")
    assert "spoilt.npz" in line
    assert not (tmp_path / "marker").exists()


def test_an_unknown_model(refused: Refused, clip: Path, tmp_path: Path) -> None:
    assert "no model named 'banana'" in refused(MODEL, "--model", "banana", clip, tmp_path / "out.mp4")


def test_a_scale_that_the_model_does_not_support(refused: Refused, clip: Path, tmp_path: Path) -> None:
    assert "upscales 2 times, not 3" in refused(MODEL, "--scale", "3", clip, tmp_path / "out.mp4")


@pytest.mark.parametrize("segments", [False, True])
def test_a_source_that_changes_while_it_is_read_is_damage(
    clip: Path, tmp_path: Path, tiny_model: str, segments: bool
) -> None:
    source = tmp_path / "in.mp4"
    shutil.copy(clip, source)

    def change(done: int, total: int | None) -> None:
        with source.open("ab") as file:
            file.write(b"more")

    settings = UpscaleSettings(model=tiny_model, segments=segments)
    report = package.upscale(
        source, tmp_path / "out.mp4", settings=settings, pool=PoolSettings(workers=0), on_progress=change
    )
    assert report.damage == ["the source has changed while it was read; the target may be of both contents"]


def test_a_named_pipe_is_called_one(refused: Refused, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.mp4")
    assert "in.mp4: is a pipe or a device, not a file" in refused(SOURCE, tmp_path / "in.mp4", tmp_path / "out.mp4")
