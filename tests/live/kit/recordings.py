"""The check of recordings: PyAV decodes every frame, and each frame holds its number."""

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from kit.frame_mark import Mark, read_mark
from vidsr.media.containers import VIDEO_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class DecodedFile:
    """A file that was decoded completely."""

    path: Path
    size: tuple[int, int]
    times: list[Fraction]
    """The times of all frames in seconds, strictly increasing."""
    marks: list[Mark | None]
    audio_packets: int
    """Number of packets of audio."""

    @property
    def numbers(self) -> list[int]:
        """The numbers of the frames with a readable mark."""
        return [mark.number for mark in self.marks if mark]


def decode_file(path: Path, *, may_be_damaged: bool = False) -> DecodedFile:
    """Decode a file whose frames must all decode undamaged, in one size, at increasing times.

    In one that may be damaged, since it holds what a bad line brought, packets that are refused are printed, and
    passed over. Raises AssertionError for any other file.
    """
    frames, times, audio_packets = [], [], 0
    with av.open(f"file:{path}") as source:
        for packet in source.demux():
            if packet.stream.type != "video":
                audio_packets += bool(packet.size)
                continue
            try:
                decoded = packet.decode()
            except av.InvalidDataError:
                assert may_be_damaged, f"{path.name}: a packet that is refused"
                print(f"{path.name}: the packet of {packet.size} bytes at {packet.pts} is refused")
                continue
            for frame in decoded:
                assert may_be_damaged or not frame.is_corrupt, f"{path.name}: a damaged frame"
                times.append(frame.pts * frame.time_base)
                frames.append(((frame.width, frame.height), frame_mark(frame)))
    assert frames, f"{path.name}: no frame"
    back = [pair for pair in itertools.pairwise(times) if pair[0] >= pair[1]]
    assert not back, f"{path.name}: time goes back: {back[:3]}"
    (size,) = {size for size, _ in frames}
    return DecodedFile(
        path=path, size=size, times=times, marks=[mark for _, mark in frames], audio_packets=audio_packets
    )


def frame_mark(frame: av.VideoFrame) -> Mark | None:
    """The mark in a decoded frame."""
    return read_mark(frame.reformat(format="gray").to_ndarray())


def recordings(folder: Path) -> list[Path]:
    """The videos below a folder, oldest first; files still being written have another suffix."""
    return sorted(path for path in folder.rglob("*") if path.suffix in VIDEO_SUFFIXES)


def decode_all(folder: Path) -> list[DecodedFile]:
    """All recordings below a folder, decoded; at least one."""
    files = [decode_file(path) for path in recordings(folder)]
    assert files, f"nothing was recorded: {sorted(folder.rglob('*'))}"
    return files


def frame_numbers(files: list[DecodedFile], *, camera: int = 0, unread: int = 0) -> list[int]:
    """The numbers of all frames: of one camera, each at most once, in order.

    At most `unread` frames may have no readable mark.
    """
    marks = [mark for file in files for mark in file.marks]
    numbers = [mark.number for mark in marks if mark]
    assert len(marks) - len(numbers) <= unread, f"{len(marks) - len(numbers)} of {len(marks)} frames have no mark"
    assert {mark.camera for mark in marks if mark} == {camera}, "frames of two cameras are mixed"
    late = [pair for pair in itertools.pairwise(numbers) if pair[0] >= pair[1]]
    assert not late, f"frames repeat or go back: {late[:5]}"
    return numbers
