"""Writing a video: upscaled frames encoded, all other streams copied, interleaved by time."""

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
from av import VideoFrame

from vidsr.media.containers import container_for
from vidsr.media.encoders import choose_encoder
from vidsr.media.error_text import target_errors
from vidsr.media.file_muxer import FileMuxer
from vidsr.media.frame import SidePacket, SourceTemplate
from vidsr.media.target_verification import TargetContent
from vidsr.media.video_encoder import open_encoder
from vidsr.settings import EncodeSettings


class Writer:
    """A video file like the source of `template`, with frames of another size; closed by `with`.

    As `FileMuxer`, with an encoder of its own. After `finish`, `written` is the number of frames in the file.
    """

    def __init__(
        self,
        target: Path,
        template: SourceTemplate,
        *,
        size: tuple[int, int],
        encode: EncodeSettings = EncodeSettings(),
        output_format: str | None = None,
        overwrite: bool = False,
    ) -> None:
        """`size` is the (width, height) of the frames; their tags are those of `template.first`.

        They come in the pixel format of `choice`, which `encode` and the container determine. `output_format` is what
        is written to standard output.
        """
        self.target = target
        self.written = 0
        self._time_base = template.time_base
        self._times = array("q")  # of the frames, in ticks
        self._last_duration = 0
        self._container = container_for(target, output_format)
        self.choice = choose_encoder(encode, self._container.format, template.info.working_format)
        with target_errors(target):
            self._encoder = open_encoder(template, self.choice, self._container, size)
        self.muxer = FileMuxer(target, template, self._encoder, container=self._container, overwrite=overwrite)
        self.copier = self.muxer.copier

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.muxer.__exit__(*exception)

    @property
    def content(self) -> TargetContent:
        """What is in the file, after `finish`."""
        return self.muxer.content

    @property
    def first_missing_s(self) -> float | None:
        """The time in seconds of the first frame that the encoder did not return; None if there is none."""
        return float(min(self._encoder.pending) * self._time_base) if self._encoder.pending else None

    @property
    def most_off_s(self) -> float:
        """The most by which a frame is off its time, in seconds, where the container has a frame rate only."""
        if not self._container.is_raw:
            return 0.0
        times = (np.asarray(self._times) - self._times[0]) * float(self._time_base)
        return float(np.abs(times - np.arange(len(times)) / float(self._encoder.parameters.rate)).max())

    def write(self, frame: VideoFrame, packets: tuple[SidePacket, ...] = ()) -> None:
        """Encodes a frame and copies the packets that came before it; frames come in ascending order of pts."""
        with target_errors(self.target):
            encoded = self._encoder.encode(frame)
        self._times.append(frame.pts or 0)
        self._last_duration = frame.duration
        self.muxer.mux(encoded, packets)

    def finish(
        self, packets: tuple[SidePacket, ...], late: Iterable[SidePacket] = (), *, verify: bool = False
    ) -> None:
        """Copies the packets after the last frame, flushes the encoder, reads the file back and commits it.

        `late` are more of these packets. `verify` decodes the file, too, and compares the times of its frames with
        those written.
        """
        with target_errors(self.target):
            encoded = self._encoder.flush()
        if encoded and self._last_duration and self._container.has_display_matrix:
            # An MP4 ends when the packet that is last in decoding order does, even if another one is displayed last.
            encoded[-1].duration = round(self._last_duration * self._time_base / encoded[-1].time_base)
        self.muxer.mux(encoded, packets)
        self.muxer.mux((), late)
        self.muxer.finish(verify=self._times if verify else None)
        self.written = self.content.packets[0]
