"""Which files are opened: FFmpeg's formats by principle, and what is said of the others."""

from pathlib import Path

import av
import pytest
from av.format import ContainerFormat, formats_available
from commands import DAMAGED, SOURCE, Command, Refused
from made import make_clip, scene
from oracles import read_with_av
from PIL import Image

from vidsr.media.error_text import read_error_text, write_error_text
from vidsr.media.open_input import FORMATS, open_source

NOT_READ = {
    "opens other files or addresses": "concat hls mlv rtp rtsp sap sdp vobsub webm_dash_manifest",
    "reads a device, or makes its frames": "alsa fbdev kmsgrab lavfi oss video4linux2 x11grab",
    "without a header: size and format must be given": """bitpacked codec2raw data image2pipe mpegtsraw rawvideo v210
        v210x alaw f32be f32le f64be f64le mulaw s16be s16le s24be s24le s32be s32le s8 u16be u16le u24be u24le u32be
        u32le u8 vidc""",
    "draws text or vectors": "adf bin idf svg_pipe tty xbin",
    "one picture in several sizes, or what another reads": "ico gif_pipe jpegxl_anim",
    "another name of mov or matroska": "3g2 3gp mp4 webm",
    "subtitles and tags": """aqtitle ass dvbsub dvbtxt ffmetadata jacosub lrc mcc microdvd mpl2 mpsub pjs rcwt realtext
        sami scc srt stl subviewer subviewer1 sup tedcaptions vplayer webvtt""",
    "audio": """3dostr aa aac aax ac3 ac4 ace acm act adp ads adx aea afc aix alp amr amrnb amrwb apac apc ape
        apm aptx aptx_hd argo_asf argo_brp argo_cvg ast au avr bfstm binka bit boa bonk brstm caf codec2
        daud dcstr derf dfpwm dsf dss dts dtshd ea_cdata eac3 epaf fsb fwse g722 g723_1 g726 g726le g728
        g729 genh gsm hca hcom iamf ilbc ircam kvag laf lc3 loas lvf mca mlp mmf mpc mpc8 msf msp mtaf
        musx nistsphere nsp oma osq pp_bnk pvf qcp qoa redspark rka rsd rso s337m sbc sbg scd sdns sdr2
        sds sdx shn sln sol sox spdif svag svs tak truehd tta vag voc vpk vqf w64 wady wavarc wsaud wsd
        wv wve xa xmd xvag xwma""",
}


def test_every_demuxer_is_read_or_left_out_for_a_reason() -> None:
    left_out = set(" ".join(NOT_READ.values()).split())
    assert not left_out & FORMATS
    undecided = set()
    for name in formats_available:
        try:
            names = set(ContainerFormat(name, "r").name.split(","))
        except ValueError:  # a muxer only
            continue
        if not names & (FORMATS | left_out):
            undecided.add(name)
    assert undecided == set()


@pytest.mark.parametrize("suffix", ["mxf", "asf", "nut", "y4m", "ivf", "h264", "mjpeg", "dv", "gxf", "swf", "rm"])
def test_containers_that_ffmpeg_writes_are_read(upscale: Command, tmp_path: Path, suffix: str) -> None:
    codecs = {"mxf": "mpeg2video", "y4m": "rawvideo", "ivf": "libvpx-vp9", "mjpeg": "mjpeg", "dv": "dvvideo",
              "gxf": "mpeg2video", "swf": "flv", "rm": "rv20", "asf": "mpeg4"}  # fmt: skip
    size = (720, 576) if suffix in ("dv", "gxf") else (176, 144)
    form = "yuvj420p" if suffix == "mjpeg" else "yuv420p"
    source = tmp_path / f"in.{suffix}"
    with av.open(source, "w") as output:
        video = output.add_stream(codecs.get(suffix, "libx264"), rate=25)
        (video.width, video.height), video.pix_fmt = size, form
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(scene(index, size), format="rgb24").reformat(format=form)
            frame.pts = index
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    ended = upscale("-q", "--end", "0.2", source, tmp_path / "out.mkv")
    assert ended.code in (0, DAMAGED), ended.err
    assert len(read_with_av(tmp_path / "out.mkv").pts) >= 3


def test_a_video_without_a_decoder_is_said(refused: Refused, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[0, 512])
    source.write_bytes(source.read_bytes().replace(b"avc1", b"zzzz"))
    line = refused(SOURCE, source, tmp_path / "out.mp4")
    assert line.endswith("in.mp4: its video has a codec for which there is no decoder")


@pytest.mark.parametrize("kind", [av.EOFError, av.InvalidDataError, av.ArgumentError, av.PermissionError,
                                  av.MemoryError, av.error.OSError])  # fmt: skip
def test_no_bare_word_of_ffmpeg_stands_alone(kind: type[av.FFmpegError]) -> None:
    codes = {av.EOFError: 541478725, av.InvalidDataError: 1094995529, av.ArgumentError: 22, av.PermissionError: 1,
             av.MemoryError: 12, av.error.OSError: 5}  # fmt: skip
    error = kind(codes[kind], "bare words")
    for text in (read_error_text(error), write_error_text(error)):
        assert text.endswith(" (bare words)")
        assert len(text) > 25


def test_errors_that_speak_for_themselves_stay_as_they_are() -> None:
    full = OSError(28, "No space left on device")
    assert write_error_text(full) == read_error_text(full) == "No space left on device"


def test_a_file_without_an_index_is_read_from_its_beginning(refused: Refused, tmp_path: Path) -> None:
    """A header of fragments that never came."""
    source = tmp_path / "init.mp4"
    make_clip(tmp_path / "in.mp4", pts=[0, 512])
    with av.open(tmp_path / "in.mp4") as whole, open(source, "wb") as file:
        options = {"movflags": "+empty_moov+frag_keyframe"}
        with av.open(file, "w", format="mp4", container_options=options) as output:
            output.add_stream_from_template(whole.streams.video[0])
            output.start_encoding()
    for start in ("0", "0.5"):
        assert "no frame can be decoded" in refused(SOURCE, "--start", start, source, tmp_path / "out.mp4")


def test_frames_too_small_for_the_filter_are_one_sentence(refused: Refused, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "dot.mkv", size=(2, 2), pixel_format="yuv444p", codec="ffv1", pts=[0, 512])
    line = refused(SOURCE, "--deinterlace", source, tmp_path / "out.mkv")
    assert "dot.mkv: FFmpeg's filter bwdif refuses its frames" in line


def test_an_avif_image_is_read_as_one(upscale: Command, tmp_path: Path) -> None:
    picture = Image.fromarray(scene(0))
    picture.save(tmp_path / "in.avif", quality=100)
    assert upscale(tmp_path / "in.avif", tmp_path / "out.png").code == 0
    with Image.open(tmp_path / "out.png") as after:
        assert after.size == (192, 128)
        assert after.reduce(2).convert("RGB").getpixel((48, 32)) == pytest.approx(picture.getpixel((48, 32)), abs=40)


def test_an_animated_avif_is_a_video(upscale: Command, tmp_path: Path) -> None:
    frames = [Image.fromarray(scene(index)) for index in range(3)]
    frames[0].save(tmp_path / "in.avif", save_all=True, append_images=frames[1:])
    assert upscale(tmp_path / "in.avif", tmp_path / "out.mkv").code == 0
    with open_source(tmp_path / "out.mkv") as output:
        assert [stream.type for stream in output.streams] == ["video"]
    assert len(read_with_av(tmp_path / "out.mkv").pts) == 3


def test_an_animated_webp_is_one_sentence(refused: Refused, tmp_path: Path) -> None:
    frames = [Image.fromarray(scene(index)) for index in range(3)]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:])
    assert "an animated WebP" in refused(SOURCE, tmp_path / "in.webp", tmp_path / "out.mkv")


IMAGES: dict[str, dict[str, object]] = {
    "a.jpg": {}, "progressive.jpg": {"progressive": True}, "b.png": {}, "c.webp": {}, "lossless.webp":
    {"lossless": True}, "d.tif": {}, "lzw.tif": {"compression": "tiff_lzw"}, "e.gif": {}, "f.bmp": {},
    "g.avif": {}, "h.jp2": {}, "i.ppm": {}, "j.tga": {}, "k.sgi": {}, "l.dds": {}, "m.qoi": {}, "n.pcx": {},
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_a_part_of_an_image_does_not_pass_for_a_whole_one(upscale: Command, tmp_path: Path, name: str) -> None:
    Image.fromarray(scene(0)).save(tmp_path / name, **IMAGES[name])
    data = (tmp_path / name).read_bytes()
    target = tmp_path / ("out.mkv" if name.endswith("gif") else "out.png")
    ended = upscale("-q", tmp_path / name, target)
    assert (ended.code, ended.err) == (0, "")
    for share in (0.3, 0.5, 0.8, 0.95):
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        ended = upscale("-q", "--overwrite", tmp_path / name, target)
        assert ended.code in (SOURCE, DAMAGED), share
        assert ended.err.startswith(f"vidsr: {tmp_path / name}: ")
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_a_part_of_an_animation_is_damaged(upscale: Command, tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(scene(index)) for index in range(4)]
    source = tmp_path / f"in.{suffix}"
    frames[0].save(source, save_all=True, append_images=frames[1:])
    assert upscale("-q", source, tmp_path / "out.mkv").code == 0
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 2 // 3])
    ended = upscale("-q", "--overwrite", source, tmp_path / "out.mkv")
    assert ended.code in (SOURCE, DAMAGED)


def test_what_follows_the_end_of_an_image_is_no_damage(upscale: Command, tmp_path: Path) -> None:
    """Phones append a film or a second image to a photo; some broken tags are harmless, too."""
    for name in ("a.jpg", "b.gif", "c.png"):
        tags = {"exif": b"Exif\0\0broken", "comment": b"\xff\xd9 no end"} if name == "a.jpg" else {}
        Image.fromarray(scene(0)).save(tmp_path / name, **tags)
        with (tmp_path / name).open("ab") as file:
            file.write(b"\xff\xd8 more data")
        assert upscale("-q", tmp_path / name, tmp_path / f"{name}.mkv").code == 0, name
    Image.fromarray(scene(0)).save(tmp_path / "open.gif")
    (tmp_path / "open.gif").write_bytes((tmp_path / "open.gif").read_bytes()[:-1])
    assert upscale("-q", tmp_path / "open.gif", tmp_path / "open.mkv").code == 0, "only its trailer is missing"
