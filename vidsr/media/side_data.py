"""What a picture carries beside its pixels: light levels, captions, how it is to be turned, its quantisers."""

from av import VideoFrame
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType

_NOT_FOR_ENCODERS = {"VIDEO_ENC_PARAMS", "DISPLAYMATRIX"}  # the one is of the source, the other told to the container


def _newer_kind(cls: type[SideDataType], value: object) -> SideDataType:
    """A member for a kind that the enum does not list."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"KIND_{value}", value  # type: ignore[assignment]
    return member


# PyAV 18.1 knows FFmpeg's kinds of side data up to 27, and fails on a frame that carries another: EXIF is 31.
SideDataType._missing_ = classmethod(_newer_kind)  # type: ignore[assignment]


def carried(picture: VideoFrame) -> SideDataContainer:
    """All that a picture carries.

    Its own `side_data` would hold it, and be held by it: such a picture is freed by the garbage collector alone,
    which comes to what it once found in use after thousands of pictures.
    """
    return SideDataContainer(picture)  # type: ignore[call-arg]  # which PyAV's stubs do not know


def side_data(picture: VideoFrame, name: str) -> bytes | None:
    """What a picture carries by PyAV's name for it; None without any."""
    found = carried(picture).get(name)
    return None if found is None else bytes(found)


def carries_more(picture: VideoFrame) -> bool:
    """Whether an encoder may find something beside the pixels: captions, light levels, a time code."""
    return any(data.type.name not in _NOT_FOR_ENCODERS for data in carried(picture))
