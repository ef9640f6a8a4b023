"""FFmpeg's memory and functions by ctypes, where PyAV 18 has no access or a wrong one.

PyAV's objects of frame side data free the metadata of a side data, which belongs to the frame: a PNG's named ICC
profile ends the process. Here bytes are copied, and PyAV's objects are never made.
"""

import ctypes
from ctypes import POINTER, c_byte, c_char_p, c_int, c_int64, c_size_t, c_uint, c_void_p
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import av
from av import Packet, VideoFrame
from av.codec import CodecContext, context
from av.container import OutputContainer
from av.stream import Stream

_Structure = TypeVar("_Structure", bound=ctypes.Structure)

_MAJORS = {"libavutil": 60, "libavcodec": 62, "libavformat": 62}
"""The versions whose structures are declared below; FFmpeg keeps them within a major version."""
if any(av.library_versions[name][0] != major for name, major in _MAJORS.items()):
    raise ImportError(f"vidsr needs an av package with FFmpeg 8, not {av.library_versions}; install av 18.1")

_BLOCK_BYTES = {"adpcm_swf": 2051}
"""Usual bytes of a block of Flash's ADPCM, 4096 samples."""
_PACKET_DISCARD = 4  # FFmpeg's AV_PKT_FLAG_DISCARD
_SEARCH_CHILDREN = 1  # FFmpeg's AV_OPT_SEARCH_CHILDREN: the options of the muxer are those of a child
_VIDEO = 0  # FFmpeg's AVMEDIA_TYPE_VIDEO
_OBJECT_HEAD = 3 * ctypes.sizeof(c_void_p)
"""Bytes of PyAV's objects before their pointer: reference count, type, method table."""


class _FrameSideData(ctypes.Structure):
    _fields_ = [("type", c_int), ("data", c_void_p), ("size", c_size_t), ("metadata", c_void_p), ("buf", c_void_p)]


class _AVFrame(ctypes.Structure):
    _fields_ = [("_", c_byte * 264), ("side_data", POINTER(POINTER(_FrameSideData))), ("nb_side_data", c_int)]


class _AVPacket(ctypes.Structure):
    _fields_ = [("_", c_byte * 40), ("flags", c_int)]


class _PacketSideData(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t), ("type", c_int)]


class _AVCodecParameters(ctypes.Structure):
    _fields_ = [
        ("codec_type", c_int), ("codec_id", c_int), ("codec_tag", c_uint), ("extradata", c_void_p),
        ("extradata_size", c_int), ("coded_side_data", POINTER(_PacketSideData)), ("nb_coded_side_data", c_int),
        ("video", c_byte * 72), ("chroma_location", c_int), ("reorder_depth", c_int), ("_", c_byte * 32),
        ("block_align", c_int),
    ]  # fmt: skip


class _AVStream(ctypes.Structure):
    _fields_ = [
        ("av_class", c_void_p), ("index", c_int), ("id", c_int), ("codecpar", POINTER(_AVCodecParameters)),
        ("_", c_byte * 48), ("pixel_aspect", c_int * 2),
    ]  # fmt: skip


_library = ctypes.CDLL(context.__file__)  # with the libraries that it is linked to


def _function(name: str, result: Any, *arguments: Any) -> "ctypes._NamedFuncPointer":
    function: ctypes._NamedFuncPointer = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function


_frame_side_data_name = _function("av_frame_side_data_name", c_char_p, c_int)
_packet_side_data_name = _function("av_packet_side_data_name", c_char_p, c_int)
_new_frame_side_data = _function("av_frame_new_side_data", POINTER(_FrameSideData), POINTER(_AVFrame), c_int, c_size_t)
_remove_frame_side_data = _function("av_frame_remove_side_data", None, POINTER(_AVFrame), c_int)
_new_packet_side_data = _function(
    "av_packet_side_data_new", POINTER(_PacketSideData), c_void_p, c_void_p, c_int, c_size_t, c_int
)
_copy_parameters = _function(
    "avcodec_parameters_copy", c_int, POINTER(_AVCodecParameters), POINTER(_AVCodecParameters)
)


_allocate_parameters = _function("avcodec_parameters_alloc", POINTER(_AVCodecParameters))
_free_parameters = _function("avcodec_parameters_free", None, POINTER(POINTER(_AVCodecParameters)))
_parameters_to_context = _function("avcodec_parameters_to_context", c_int, c_void_p, POINTER(_AVCodecParameters))
_codec_name = _function("avcodec_get_name", c_char_p, c_int)
_parameters_from_context = _function("avcodec_parameters_from_context", c_int, POINTER(_AVCodecParameters), c_void_p)
_set_option = _function("av_opt_set_int", c_int, c_void_p, c_char_p, c_int64, c_int)


def frame_side_data_name(kind: int) -> str | None:
    """FFmpeg's name of a kind of frame side data; None for a number beyond the last kind."""
    name = _frame_side_data_name(kind)
    return name.decode() if name else None


def packet_side_data_name(kind: int) -> str | None:
    """FFmpeg's name of a kind of packet or stream side data; None for a number beyond the last kind."""
    name = _packet_side_data_name(kind)
    return name.decode() if name else None


def frame_side_data(frame: VideoFrame) -> list[tuple[int, bytes]]:
    """Kind and bytes of each side data of a frame, copied."""
    memory = _memory(frame, _AVFrame)
    found = (memory.side_data[index].contents for index in range(memory.nb_side_data))
    return [(each.type, ctypes.string_at(each.data, each.size)) for each in found]


def set_frame_side_data(frame: VideoFrame, kind: int, *contents: bytes) -> None:
    """Replaces all side data of a kind by these, or by none."""
    memory = _memory(frame, _AVFrame)
    _remove_frame_side_data(memory, kind)
    for data in contents:
        ctypes.memmove(_new_frame_side_data(memory, kind, len(data)).contents.data, data, len(data))


def stream_side_data(stream: Stream) -> list[tuple[int, bytes]]:
    """Kind and bytes of each side data that the container states of a stream, copied."""
    parameters = _memory(stream, _AVStream).codecpar.contents
    found = (parameters.coded_side_data[index] for index in range(parameters.nb_coded_side_data))
    return [(each.type, ctypes.string_at(each.data, each.size)) for each in found]


def set_discard(packet: "Packet[Any]") -> None:
    """Has the decoder drop the frames of a packet, which PyAV reads, but does not set."""
    _memory(packet, _AVPacket).flags |= _PACKET_DISCARD


def stream_codec(stream: Stream) -> tuple[str, str, bytes]:
    """FFmpeg's name of the codec, "none" if unknown, the container's tag for it, and the codec's headers."""
    parameters = _memory(stream, _AVStream).codecpar.contents
    tag = parameters.codec_tag.to_bytes(4, "little").rstrip(b"\0").decode("latin-1")
    headers = ctypes.string_at(parameters.extradata, parameters.extradata_size) if parameters.extradata else b""
    return _codec_name(parameters.codec_id).decode(), tag, headers


def add_stream_side_data(stream: Stream, kind: int, data: bytes) -> None:
    """Adds a side data to a stream without a codec context, before the header of its container is written."""
    _add_side_data(_memory(stream, _AVStream).codecpar.contents, kind, data)


def _add_side_data(parameters: _AVCodecParameters, kind: int, data: bytes) -> None:
    array = ctypes.byref(parameters, _AVCodecParameters.coded_side_data.offset)
    count = ctypes.byref(parameters, _AVCodecParameters.nb_coded_side_data.offset)
    new = _new_packet_side_data(array, count, kind, len(data), 0)
    ctypes.memmove(new.contents.data, data, len(data))


def copy_parameters(source: Stream, target: Stream) -> None:
    """Copies the codec parameters of a stream, without its container's tag, to one without a codec context."""
    parameters = _memory(target, _AVStream).codecpar
    _copy_parameters(parameters, _memory(source, _AVStream).codecpar)
    parameters.contents.codec_tag = 0
    if not parameters.contents.block_align:  # FLV states none, and WAVE headers need one
        parameters.contents.block_align = _BLOCK_BYTES.get(stream_codec(source)[0], 0)


@dataclass(frozen=True, kw_only=True)
class CodecParameters:
    """The parameters of a video that its container states for the decoder, copied out of the container."""

    codec_id: int
    codec_tag: int
    headers: bytes
    video: bytes
    """Pixel format, size, colour and so on, as they are in FFmpeg's structure."""
    chroma_location: int
    reorder_depth: int
    """Frames that the decoder holds back to return them in order."""
    side_data: tuple[tuple[int, bytes], ...]


def codec_parameters(stream: Stream) -> CodecParameters:
    """The parameters of a video stream, copied."""
    parameters = _memory(stream, _AVStream).codecpar.contents
    return CodecParameters(
        codec_id=parameters.codec_id,
        codec_tag=parameters.codec_tag,
        headers=stream_codec(stream)[2],
        video=bytes(parameters.video),
        chroma_location=parameters.chroma_location,
        reorder_depth=parameters.reorder_depth,
        side_data=tuple(stream_side_data(stream)),
    )


def set_decoder_parameters(decoder: CodecContext, parameters: CodecParameters) -> None:
    """Sets the parameters of a decoder that is not open yet, as those of a file's own one are set."""
    memory = _allocate_parameters()
    made = memory.contents
    made.codec_type, made.codec_id, made.codec_tag = _VIDEO, parameters.codec_id, parameters.codec_tag
    made.video[:] = parameters.video
    made.chroma_location, made.reorder_depth = parameters.chroma_location, parameters.reorder_depth
    headers = ctypes.create_string_buffer(parameters.headers, len(parameters.headers) + 64)  # padding, for parsers
    made.extradata, made.extradata_size = ctypes.addressof(headers), len(parameters.headers)
    for kind, data in parameters.side_data:
        _add_side_data(made, kind, data)
    error = _parameters_to_context(_address(decoder), memory)
    made.extradata = None  # its memory is Python's
    _free_parameters(ctypes.byref(memory))
    if error < 0:
        raise MemoryError("FFmpeg has no memory for a decoder's parameters")


def set_parameters(stream: Stream, encoder: CodecContext) -> None:
    """Sets the codec parameters of a stream without a codec context to those of an open encoder."""
    _parameters_from_context(_memory(stream, _AVStream).codecpar, _address(encoder))


def chroma_location(stream: Stream) -> int:
    """Where the chroma samples of a video are, by FFmpeg's number, as its container or codec states; 0 if unknown."""
    location: int = _memory(stream, _AVStream).codecpar.contents.chroma_location
    return location


def set_raw_parameters(stream: Stream, *, location: int, pixel_aspect: Fraction) -> None:
    """Sets what yuv4mpegpipe writes into its header, and no encoder states."""
    memory = _memory(stream, _AVStream)
    memory.codecpar.contents.chroma_location = location
    memory.pixel_aspect[:] = pixel_aspect.as_integer_ratio()


def set_muxer_option(output: OutputContainer, name: str, value: int) -> None:
    """Changes an option of the muxer of a file whose header is written."""
    error = _set_option(_address(output), name.encode(), value, _SEARCH_CHILDREN)
    assert not error, f"the muxer of {output.format.name} has no option {name}"


def _memory(wrapper: object, kind: type[_Structure]) -> _Structure:
    """The structure to which an object of PyAV points, valid as long as the object lives."""
    return kind.from_address(_address(wrapper))


def _address(wrapper: object) -> int:
    address = c_void_p.from_address(id(wrapper) + _OBJECT_HEAD).value
    assert address
    return address
