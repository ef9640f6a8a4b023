"""The tags of a recorded file: when, where and by what it was made."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from vidsr.media.stream_template import OutputStreams


def segment_tags(streams: OutputStreams, *, is_upscaled: bool) -> Mapping[str, str]:
    """The time (now, in UTC), the camera as title, and the network and the version as comment.

    The date is the creation time with its fractions, which MP4 rounds to seconds.
    """
    now = datetime.now(UTC).isoformat()
    made_by = (
        f"upscaled by {streams.network or 'a network'}" if is_upscaled else "the packets of the camera, unchanged"
    )
    tags = {"creation_time": now, "date": now, "comment": f"{made_by}; vidsr {_version()}"}
    return tags | ({"title": streams.camera} if streams.camera else {})


def _version() -> str:
    try:
        return version("vidsr")
    except PackageNotFoundError:  # run from its sources
        return "from sources"
