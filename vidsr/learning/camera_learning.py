"""The learning of a camera: from its moments to a proved network in its history, resumed where it was interrupted."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from vidsr.callbacks import OnWarning, ShouldStop
from vidsr.errors import ModelError, Stopped, TargetError, TrainingError
from vidsr.learn_dir import MOMENT_SOURCE, NETWORK, REPORT, SCENE, LearnDir, time_name
from vidsr.learning.camera_data import CameraData, MomentFiles, read_camera_data
from vidsr.learning.general_network import finetune_settings, general_network, short_name
from vidsr.learning.moment_split import require_split, split_moments, thin
from vidsr.learning.network_proof import ProvedNetwork, prove
from vidsr.learning.scene_selection import diverse_thumbnails
from vidsr.learning.work_dir import LearnPlan, WorkDir
from vidsr.media.atomic_file import atomic_write
from vidsr.model.weights import Weights, load_weights, save_weights, weights_hash
from vidsr.settings import FinetuneSettings, LearnSettings, StreamSettings
from vidsr.training.data.validation_set import ValidationSample
from vidsr.training.finetune.finetune import train_network
from vidsr.training.finetune.finetune_data import DATASET
from vidsr.training.finetune.finetune_report import finetune_report
from vidsr.training.run import TrainResult

_MAX_MOMENTS = 96  # each costs seconds before the first step
_CURVE_SAMPLES = 48
_PROBED_MOMENTS = 9  # the newest ones, whose compression decides what the camera learns from
_PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True)
class CameraLearning:
    """What one process learns for one camera."""

    learn_dir: LearnDir
    learn: LearnSettings
    stream: StreamSettings
    now: Callable[[], float]
    """Seconds since 1970."""
    on_warning: OnWarning
    should_stop: ShouldStop

    def run(self) -> None:
        """Learn a network, prove it, and have it used if it is better; the events say what happened.

        Raises NothingToLearn, errors of the world, and Stopped, which alone leaves the work folder to resume from.
        """
        work = WorkDir(self.learn_dir)
        with work.locked():
            self._remove_halves()
            try:
                try:
                    self._learn(work)
                except TrainingError as error:  # of what a crash left; or a training that fails once more
                    self.on_warning(f"{error}; the learning begins again")
                    work.clear()
                    self._learn(work)
            except Stopped:
                raise
            except BaseException:
                work.remove()
                raise
            work.remove()

    def _learn(self, work: WorkDir) -> None:
        model, general = general_network(self.stream, self._low_resolution_files())
        settings = finetune_settings(model, general.architecture.scale, self.learn)
        plan = self._plan(work, settings, general)
        camera, notes = self._data(work, plan, settings)
        curve = replace(camera.data, validation=_spread(camera.data.validation, _CURVE_SAMPLES))
        trained = train_network(curve, work.path, settings, on_warning=self.on_warning, should_stop=self.should_stop)
        proved = prove(
            general,
            load_weights(trained.model),
            camera.data.validation,
            general_name=short_name(model),
            in_use=self._network_in_use(plan, general),
            min_gain_db=self.learn.min_gain_db,
            held_out_part=camera.split.held_out_part,
            threads=self.learn.cores,
        )
        if self.should_stop():
            raise Stopped("stopped after the proof")
        self._write(plan.name, proved, camera, _report(plan.name, proved, camera, trained, settings, notes))
        self._use(plan.name, proved)

    def _low_resolution_files(self) -> list[Path]:
        """The newest recordings of the source, where they are what is learned from: beside those of a main stream.

        Without a main stream that is the source, reduced and encoded with many quantisers.
        """
        with_main = [moment for moment in self.learn_dir.moments() if moment.has_main]
        enough = split_moments(with_main, self.learn.day_s)
        return [moment.folder / MOMENT_SOURCE for moment in with_main[-_PROBED_MOMENTS:]] if enough else []

    def _plan(self, work: WorkDir, settings: FinetuneSettings, general: Weights) -> LearnPlan:
        """The plan of the learning that was interrupted, if it is still of use, or a new one."""
        moments = self.learn_dir.moments()
        require_split(moments, self.learn.day_s)
        newest_s = max(moment.time_s for moment in moments)
        decisive = {
            "settings": asdict(settings),
            "start": weights_hash(general),
            "masks": self.learn.masks,
            "day_s": self.learn.day_s,
        }
        identity = json.loads(json.dumps(decisive))
        plan = work.plan()
        if plan and plan.identity == identity:
            learned_s = max(moment.time_s for moment in work.moments(plan))
            if newest_s - learned_s < self.learn.day_s:
                return plan
        return work.begin(time_name(self.now()), identity, thin(moments, _MAX_MOMENTS))

    def _data(self, work: WorkDir, plan: LearnPlan, settings: FinetuneSettings) -> tuple[CameraData, list[str]]:
        """The data, and the sentences about it, which are logged once."""
        notes: list[str] = []
        resumed = (work.path / DATASET).exists()
        skipped: list[str] = []
        try:
            camera = read_camera_data(
                work.moments(plan),
                MomentFiles(source=work.source, main=work.main),
                self.learn,
                settings,
                work.path / _PICTURES,
                on_skip=skipped.append,
                on_warning=notes.append,
                should_stop=self.should_stop,
            )
        finally:
            if skipped:
                what = "1 moment is" if len(skipped) == 1 else f"{len(skipped)} moments are"
                notes.insert(0, f"{what} left out: {'; '.join(skipped)}")
            for note in [] if resumed else notes:
                self.on_warning(note)
                self.learn_dir.add_event(note, now_s=self.now())
        return camera, notes

    def _network_in_use(self, plan: LearnPlan, general: Weights) -> Weights | None:
        """The learned network in use, if it can be compared."""
        current = self.learn_dir.current()
        if not current or current.name == plan.name:
            return None
        try:
            weights = load_weights(current.folder / NETWORK)
        except ModelError:
            return None
        return weights if weights.architecture.scale == general.architecture.scale else None

    def _write(self, name: str, proved: ProvedNetwork, camera: CameraData, report: bytes) -> None:
        """Write the network into the history; its proof comes last and completes it. Raises TargetError."""
        folder, model, scene = self.learn_dir.network_folder(name), io.BytesIO(), io.BytesIO()
        save_weights(model, proved.weights)
        thumbnails = np.stack(diverse_thumbnails(camera.scene.views))
        np.savez(scene, thumbnails=thumbnails, shape=np.array(camera.scene.shape))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TargetError(f"{folder}: {error.strerror}") from error
        for file_name, content in ((NETWORK, model.getvalue()), (SCENE, scene.getvalue()), (REPORT, report)):
            with atomic_write(folder / file_name, overwrite=True) as file:
                file.write(content)
        self.learn_dir.write_proof(name, proved.proof)

    def _use(self, name: str, proved: ProvedNetwork) -> None:
        """Have the network used if it is accepted, log what happened, and delete the oldest ones."""
        if proved.proof.accepted:
            self.learn_dir.set_current(name, proved.proof.reason, now_s=self.now())
        else:
            self.learn_dir.add_event(f"{name} is learned and not used: {proved.proof.reason}", now_s=self.now())
        current = self.learn_dir.current()
        networks = self.learn_dir.networks()
        others = [network for network in networks if not current or network.name != current.name]
        for network in others[: max(0, len(networks) - self.learn.keep_networks)]:
            self.learn_dir.remove(network.folder)

    def _remove_halves(self) -> None:
        """Remove the folders of networks without a proof: the process that wrote them was killed, or the disk full."""
        folders, whole = self.learn_dir.path / "networks", {network.name for network in self.learn_dir.networks()}
        for folder in [*folders.iterdir()] if folders.is_dir() else []:
            if folder.name not in whole:
                self.learn_dir.remove(folder)


def _report(
    name: str,
    proved: ProvedNetwork,
    camera: CameraData,
    trained: TrainResult,
    settings: FinetuneSettings,
    notes: Sequence[str],
) -> bytes:
    proof = proved.proof
    return finetune_report(
        proved.acceptance,
        proved.rows,
        proved.engines,
        data=camera.data,
        trained=trained,
        settings=settings,
        notes=[*camera.data.warnings, *notes],
        title=f"{name}, learned from {proved.acceptance.start} for x{settings.scale}",
        verdict=f"{'Accepted' if proof.accepted else 'Not accepted'}: {proof.reason}. {proved.acceptance}.",
        accepted=proof.accepted,
    )


def _spread(samples: Sequence[ValidationSample], count: int) -> list[ValidationSample]:
    """About `count` of the samples, of all inputs and moments."""
    return list(samples[:: -(-len(samples) // count) | 1])
