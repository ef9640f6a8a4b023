"""Opening local media files only: no network, playlists, file name patterns or protocols in a name."""

import re
from pathlib import Path
from stat import S_ISCHR, S_ISFIFO, S_ISSOCK

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.errors import SourceError
from vidsr.media.error_text import read_error_text
from vidsr.media.ffmpeg_log import ffmpeg_log
from vidsr.media.image_check import unread_variant
from vidsr.media.pipes import PIPE_BUFFER, InputPipe

# Every demuxer of a file that may hold video and needs nothing but the file: none that opens others (concat, hls),
# reads devices or the network, needs a size that only the user knows (rawvideo), or draws text.
_VIDEO_FORMATS = """
    4xm anm apng apv asf asf_o av1 avi avs avs2 avs3 bethsoftvid bfi bink bmv c93 cavsvideo cdg cdxl cine dfa dhav
    dirac dnxhd dsicin dv dxa ea evc film_cpk filmstrip flic flv frm gdv gif gxf h261 h263 h264 hevc hnm hxvs idcin
    iff ifv ingenient ipmovie ipu iss iv8 ivf ivr jv kux live_flv lmlm4 luodat lxf m4v matroska mgsts mjpeg
    mjpeg_2000 mm mods moflex mov mpeg mpegts mpegvideo mpjpeg msnwctcp mtv mv mvi mxf mxg nc nsv nut nuv obu ogg paf
    pdv pmp psxstr pva r3d rl2 rm roq rpl ser sga siff simbiosis_imx smjpeg smk smush swf thp tiertexseq tmv txd ty
    usm vc1 vc1test viv vividas vivo vmd vvc wc3movie wsvqa wtv xmv yop yuv4mpegpipe
"""
_IMAGE_FORMATS = """
    image2 alias_pix brender_pix fits bmp_pipe cri_pipe dds_pipe dpx_pipe exr_pipe gem_pipe hdr_pipe j2k_pipe
    jpeg_pipe jpegls_pipe jpegxl_pipe jpegxs_pipe pam_pipe pbm_pipe pcx_pipe pfm_pipe pgm_pipe pgmyuv_pipe pgx_pipe
    phm_pipe photocd_pipe pictor_pipe png_pipe ppm_pipe psd_pipe qdraw_pipe qoi_pipe sgi_pipe sunrast_pipe tiff_pipe
    vbn_pipe webp_pipe xbm_pipe xpm_pipe xwd_pipe
"""
_AUDIO_FORMATS = "aiff flac mp3 wav"
_STILLS = frozenset(_IMAGE_FORMATS.split())
FORMATS = frozenset(" ".join([_VIDEO_FORMATS, _IMAGE_FORMATS, _AUDIO_FORMATS]).split())
"""FFmpeg's names of the demuxers that files are read by."""
_PIPE_FORMATS = FORMATS - _STILLS - {"gif", "apng"}
"""Without those whose files are read twice."""
_EXAMPLES = "yuv4mpegpipe, mpegts, matroska, nut, h264, hevc"
_UNREACHED = re.compile(r"offset 0x([0-9a-f]+): partial file")
"""The words in which the demuxer of MP4 logs that it cannot reach a sample."""
_HEIF_BRANDS = ("avif", "mif1", "mif2", "heic", "heix", "heim", "heis")
_PROBING = {"analyzeduration": "60000000", "probesize": "20000000"}
"""Microseconds and bytes that FFmpeg may look through for the parameters of a stream that begins late."""
TAG_ERRORS = "surrogateescape"
"""How tags are decoded, and encoded again: bytes that are not UTF-8 stay what they are."""


def open_source(path: Path, *, pipe: InputPipe | None = None, input_format: str | None = None) -> InputContainer:
    """The file or the pipe, opened for reading; the caller closes it. Raises SourceError if it is not a media file.

    `input_format` is FFmpeg's name of a demuxer, by default the one that recognises the file.
    """
    if input_format is not None and input_format not in FORMATS:
        raise SourceError(f"{path}: no --input-format is named {input_format!r}; try one of {_EXAMPLES}")
    if pipe:
        return _open_pipe(path, pipe, input_format)
    try:
        if path.is_dir():
            raise SourceError(f"{path}: is a folder")
        mode = path.stat().st_mode
        if S_ISFIFO(mode) or S_ISCHR(mode) or S_ISSOCK(mode):
            raise SourceError(f"{path}: is a pipe or a device, not a file; `vidsr upscale -` reads its standard input")
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: is empty")
        if variant := unread_variant(path):
            raise SourceError(f"{path}: this kind of image ({variant}) is not read; use a PNG of it")
        options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS), "pattern_type": "none"}
        options |= _PROBING
        return av.open(
            f"file:{path.absolute()}", format=input_format, container_options=options, metadata_errors=TAG_ERRORS
        )
    except av.InvalidDataError as error:
        raise SourceError(f"{path}: not a media file, or cut off before its index") from error
    except av.ArgumentError as error:  # a format that is not in the list
        raise SourceError(f"{path}: not a media file, or of a kind that is not read") from error
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{path}: {read_error_text(error)}") from error


def _open_pipe(path: Path, pipe: InputPipe, input_format: str | None) -> InputContainer:
    options = {"protocol_whitelist": "", "format_whitelist": ",".join(_PIPE_FORMATS)} | _PROBING
    try:
        with ffmpeg_log(av.logging.ERROR) as lines:
            container = av.open(
                pipe,
                "r",
                format=input_format,
                container_options=options,
                metadata_errors=TAG_ERRORS,
                buffer_size=PIPE_BUFFER,
            )
    except (av.FFmpegError, OSError) as error:
        if not pipe.count:
            raise SourceError(f"{path}: is empty; the program that writes into it has failed") from error
        reason = "holds no video, a damaged one, or one of a kind that cannot be read from a pipe"
        raise SourceError(f"{path}: {reason}") from error
    unreached = [int(found[1], 16) for _, _, text in lines if (found := _UNREACHED.search(text))]
    if any(offset < pipe.count for offset in unreached):  # those beyond are missing
        container.close()
        raise SourceError(f"{path}: its index is behind its frames, which a pipe gives only once; save it as a file")
    return container


def heif_items(container: InputContainer) -> list[VideoStream]:
    """The images in a HEIC or AVIF file: of a picture its tiles, its alpha and so on; [] for other files."""
    brands = container.metadata.get("major_brand", "") + container.metadata.get("compatible_brands", "")
    if not any(brand in brands for brand in _HEIF_BRANDS):
        return []
    return [stream for stream in container.streams.video if stream.duration is None and stream.frames == 1]


def is_still(container: InputContainer) -> bool:
    """Whether the file is an image."""
    name = container.format.name
    return name in _STILLS or len(heif_items(container)) == len(container.streams) > 0
