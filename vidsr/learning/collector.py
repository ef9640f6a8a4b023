"""The collector of a camera: one moment per run, kept or refused, and its folder in bounds."""

import logging
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vidsr.arrays import Mask
from vidsr.errors import ModelError, SourceError, Stopped, TargetError
from vidsr.file_lock import try_lock
from vidsr.learn_dir import MOMENT_MAIN, MOMENT_SOURCE, CollectState, LearnDir, LearnedNetwork, Moment
from vidsr.learning.live_gain import GainWatch
from vidsr.learning.moment_recorder import StreamFailed, cut_original, newest_original, record_streams
from vidsr.learning.moment_selection import thin_moments
from vidsr.learning.moment_survey import Survey, area_fault, find_captions, parse_areas, survey_video, write_survey
from vidsr.learning.refusal import DOUBTFUL, USUAL, Reason, Refused
from vidsr.live.config import CameraConfig
from vidsr.live.quality_ladder import ModelLadder
from vidsr.media.sink.retention import GB, free_bytes
from vidsr.settings import LearnSettings
from vidsr.training.pairing import Alignment, align

log = logging.getLogger(__name__)

_GAIN_S = 5.0
"""Seconds of both streams for a measurement without a moment."""
_DUE_SHARE = 0.9
"""Of the time between two moments: processes start late."""
_DAY_S = 86_400.0


@contextmanager
def single_collector(folder: Path) -> Generator[bool]:
    """Whether no other process collects for this folder, and none does until the end. Raises TargetError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".collect.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TargetError(f"{folder}: {error.strerror}") from error
    try:
        yield try_lock(handle)
    finally:
        os.close(handle)


class Collector:
    """Collects for one camera; no other process does for the same folder."""

    def __init__(
        self, config: CameraConfig, settings: LearnSettings, learn_dir: LearnDir, stop: threading.Event
    ) -> None:
        self._config, self._settings, self._dir, self._stop = config, settings, learn_dir, stop
        self._masks = parse_areas(settings.masks)

    def run(self, now_s: float) -> None:
        """Collect a moment if it is time, and measure the gain of the network in use. Raises VidsrError, Stopped."""
        for half in self._dir.half_moments():
            self._dir.remove(half)
        thin_moments(self._dir, self._settings, now_s=now_s)
        state, network = self._dir.collect_state(), self._dir.current() if self._config.main else None
        is_due = not 0 <= now_s - state.tried_s < _DUE_SHARE * self._settings.every_s or network is None
        try:
            state = self._collect(state, network, now_s=now_s, is_due=is_due)
        except Refused as refused:
            state = self._after_refusal(state, refused, now_s=now_s, is_due=is_due)
        else:
            if state.fault:
                self._dir.add_event("moments are collected again", now_s=now_s)
            state = replace(state, doubt="", fault="")
        self._dir.set_collect_state(replace(state, tried_s=now_s) if is_due else state)
        thin_moments(self._dir, self._settings, now_s=now_s)

    def _after_refusal(self, state: CollectState, refused: Refused, *, now_s: float, is_due: bool) -> CollectState:
        reason, fault = refused.reason, state.fault
        is_certain = reason not in DOUBTFUL or state.doubt == reason
        if reason not in USUAL and is_certain and fault != reason:
            self._dir.add_event(f"no moments are collected: {refused}", now_s=now_s)
            log.warning("no moments are collected: %s", refused)
            fault = reason
        counts = {**state.refused, reason: state.refused.get(reason, 0) + 1} if is_due else state.refused
        return replace(state, doubt=reason, fault=fault, refused=counts)

    def _collect(
        self, state: CollectState, network: LearnedNetwork | None, *, now_s: float, is_due: bool
    ) -> CollectState:
        """Record a moment, and keep it if it is due. Raises Refused, TargetError, ModelError and Stopped."""
        free = free_bytes(self._dir.path)
        if free < self._config.record.min_free_gb * GB:
            least = f"less than the {self._config.record.min_free_gb:g} GB of min-free-gb"
            raise Refused(Reason.DISK, f"{self._dir.path}: {free / GB:.2f} GB are free, {least}")
        folder = self._new_folder(now_s)
        is_kept = False
        try:
            time_s, original_s = self._record(folder, state, now_s=now_s, is_due=is_due)
            survey = self._survey(folder)
            alignment = self._align(folder) if self._config.main else None
            if is_due:
                self._keep(folder, survey, time_s)
                is_kept = True
                state = replace(state, collected=state.collected + 1, original_s=original_s)
            if network and alignment:
                self._watch_gain(network, alignment, survey, now_s=now_s)
        except TargetError as error:
            raise Refused(Reason.DISK, str(error)) from error
        finally:
            if not is_kept:
                self._dir.remove(folder)
        return state

    def _new_folder(self, now_s: float) -> Path:
        """A folder that is not there yet, also where the clock was set back. Raises Refused."""
        while (folder := self._dir.moment_folder(now_s)).exists():
            now_s += 1e-3
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise Refused(Reason.DISK, f"{folder}: {error.strerror}") from error
        return folder

    def _record(self, folder: Path, state: CollectState, *, now_s: float, is_due: bool) -> tuple[float, float]:
        """When the moment and its original began, in seconds since 1970; the latter as before without one."""
        source, main = folder / MOMENT_SOURCE, self._config.main
        if main is None:
            return self._cut(source, state, now_s)
        streams = {source: self._config.source, folder / MOMENT_MAIN: main}
        seconds = self._settings.moment_s if is_due else _GAIN_S
        try:
            record_streams(streams, self._config.stream, seconds=seconds, stop=self._stop)
        except StreamFailed as error:
            if error.path == source:
                raise Refused(Reason.SOURCE, f"the source is lost: {error}") from error
            raise Refused(Reason.MAIN, f"the main stream is lost: {error}") from error
        return now_s, state.original_s

    def _cut(self, source: Path, state: CollectState, now_s: float) -> tuple[float, float]:
        last_s = state.original_s if state.original_s <= now_s else 0.0  # the clock was set back
        if self._config.segment_dir is None:
            raise Refused(Reason.ORIGINALS, "there is no folder of segments")
        try:
            original = newest_original(self._config.segment_dir, since_s=max(last_s, now_s - _DAY_S), until_s=now_s)
            if original is None:
                raise Refused(Reason.NO_ORIGINAL, "no new original is recorded")
            return cut_original(original, source, seconds=self._settings.moment_s), original.start_s
        except SourceError as error:
            raise Refused(Reason.ORIGINALS, str(error)) from error

    def _survey(self, folder: Path) -> Survey:
        self._check_stop()
        try:
            survey = survey_video(folder / MOMENT_SOURCE, self._masks)
        except SourceError as error:
            raise Refused(Reason.SOURCE, f"the source is damaged: {error}") from error
        if fault := area_fault(self._settings.masks, survey.shape):
            raise Refused(Reason.MASK, fault)
        if not survey.is_shown:
            raise Refused(Reason.DARK, "the source is black, blown out or flat")
        if not survey.moves:
            raise Refused(Reason.STILL, "nothing moves")
        return survey

    def _align(self, folder: Path) -> Alignment:
        """The alignment of both streams: a main stream that shows something else teaches nothing. Raises Refused."""
        self._check_stop()
        source, main = folder / MOMENT_SOURCE, folder / MOMENT_MAIN
        try:
            alignment = align(main, source, ModelLadder(self._config.stream).scale)
        except SourceError as error:
            raise self._main_fault(source, main, error) from error
        if not alignment.similarity:
            raise Refused(Reason.STILL, "nothing moves")
        return alignment

    def _main_fault(self, source: Path, main: Path, error: SourceError) -> Refused:
        try:
            survey = survey_video(main)
        except SourceError as damage:
            return Refused(Reason.MAIN, f"the main stream is damaged: {damage}")
        if not survey.is_shown:
            return Refused(Reason.BLACK_MAIN, "the main stream is black, blown out or flat")
        if not survey.moves:
            return Refused(Reason.FROZEN_MAIN, "the main stream is frozen: the source moves, and it does not")
        text = str(error).replace(str(main), "the main stream").replace(str(source), "the source")
        return Refused(Reason.PAIRING, text)

    def _keep(self, folder: Path, survey: Survey, time_s: float) -> None:
        self._check_stop()
        write_survey(folder, survey)
        size = sum(path.stat().st_size for path in folder.iterdir())
        moment = Moment(
            folder=folder,
            time_s=time_s,
            has_main=self._config.main is not None,
            motion=survey.motion,
            detail=survey.detail,
            size=size,
        )
        self._dir.write_moment(moment)

    def _watch_gain(self, network: LearnedNetwork, alignment: Alignment, survey: Survey, *, now_s: float) -> None:
        watch = GainWatch(learn_dir=self._dir, network=network, settings=self._config.stream)
        try:
            watch.measure(alignment, self._left_out(survey.shape), now_s=now_s)
        except ModelError as error:
            self._dir.give_up(network.name, f"{network.name} cannot be read: {error}", now_s=now_s)
            return
        watch.go_back_if_worse(now_s=now_s)

    def _left_out(self, shape: tuple[int, int]) -> Mask:
        """(H, W): the masks and the captions."""
        left_out: Mask = find_captions(self._dir.moments(), shape).copy()
        for mask in self._masks:
            left_out[mask.area] = True
        return left_out

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped("stopped while a moment was collected")
