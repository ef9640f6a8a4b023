"""Tags and dispositions that a container does not store, found by a header written into memory."""

import io
from collections.abc import Mapping

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream

from vidsr.media.open_input import TAG_ERRORS
from vidsr.media.target_verification import is_attached

_OF_MUXERS = {"encoder", "software", "handler_name", "vendor_id", "creation_time", "timecode", "stereo_mode"}
"""Tags of the muxer, or that it writes as something else."""
_IMPAIRED = Disposition.default | Disposition.hearing_impaired | Disposition.visual_impaired
_EDITIONS = Disposition.default | Disposition.dub | Disposition.original | Disposition.comment
_DISPOSITIONS = {
    "matroska": _IMPAIRED | _EDITIONS | Disposition.forced | Disposition.descriptions,
    "webm": Disposition.default | Disposition.forced,
    "nut": _EDITIONS | Disposition.lyrics | Disposition.karaoke,
    "mpegts": _IMPAIRED,
}
"""What these containers store; those of others are found by a trial."""
_STAND_INS = {
    "video": ("mpeg4", {"width": 16, "height": 16}),
    "audio": ("aac", {"rate": 48000}),
    "subtitle": ("mov_text", {}),
}
"""For each kind of stream a codec that MP4's muxer accepts without headers."""


def dropped_tags(output: OutputContainer, options: Mapping[str, str]) -> list[str]:
    """The tags and dispositions of `output`, whose header is not written yet, that its container does not store."""
    streams, format_name = _timed(output), output.format.name
    if known := _DISPOSITIONS.get(format_name):
        stored = [stream.metadata for stream in streams]
        if format_name == "mpegts":
            stored = [{"language": stream.metadata.get("language", "")} for stream in streams]
        file_tags = {} if format_name == "mpegts" else output.metadata
        return _words(output, file_tags, stored, [known] * len(streams))
    try:
        return _words(output, *_trial(output, options))
    except av.FFmpegError:  # no reason not to write the file
        return []


def _trial(
    output: OutputContainer, options: Mapping[str, str]
) -> tuple[dict[str, str], list[dict[str, str]], list[Disposition]]:
    """The tags of the file and of its streams, and the dispositions, as an MP4 or MOV without packets stores them."""
    flags = options.get("movflags", "").replace("+hybrid_fragmented", "") + "+empty_moov+frag_custom"
    memory = io.BytesIO()
    with av.open(
        memory, "w", format=output.format.name, container_options={"movflags": flags}, metadata_errors=TAG_ERRORS
    ) as trial:
        trial.metadata.update(output.metadata)
        for stream in _timed(output):
            codec, parameters = _STAND_INS[stream.type]
            copy = trial.add_mux_stream(codec, time_base=stream.time_base, **parameters)
            copy.metadata.update({name: value for name, value in stream.metadata.items() if name != "timecode"})
            copy.disposition = stream.disposition
        trial.start_encoding()
    memory.seek(0)
    with av.open(memory, metadata_errors=TAG_ERRORS) as found:
        tags = [dict(stream.metadata) for stream in found.streams]
        return dict(found.metadata), tags, [stream.disposition for stream in found.streams]


def _words(
    output: OutputContainer,
    file_tags: Mapping[str, str],
    stream_tags: list[dict[str, str]],
    dispositions: list[Disposition],
) -> list[str]:
    lost = _lost(output.metadata, file_tags)
    words = [f"the tags {', '.join(sorted(lost))}"] if lost else []
    for stream, tags, disposition in zip(_timed(output), stream_tags, dispositions, strict=False):
        lost = _lost(stream.metadata, tags | ({"title": tags["name"]} if "name" in tags else {}))
        lost |= {flag.name or "" for flag in Disposition(stream.disposition & ~disposition)}
        if lost:
            words.append(f"{', '.join(sorted(lost))} of #{stream.index} {stream.type}")
    return words


def _timed(output: OutputContainer) -> list[Stream]:
    return [stream for stream in output.streams if stream.type in _STAND_INS and not is_attached(stream)]


def _lost(tags: Mapping[str, str], found: Mapping[str, str]) -> set[str]:
    kept = {name.lower() for name in found}
    meaningless = {name for name, value in tags.items() if not value or (name, value) == ("language", "und")}
    return {name for name in tags if name.lower() not in kept | _OF_MUXERS} - meaningless
