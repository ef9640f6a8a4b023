"""A camera learns from the network that it would get without learning."""

from pathlib import Path

import pytest
from moments import camera, write_moments
from recordings import record, scene, smaller

from vidsr.errors import Stopped
from vidsr.learn_dir import LearnDir
from vidsr.learning.camera_learning import CameraLearning
from vidsr.learning.general_network import general_network
from vidsr.learning.work_dir import WorkDir
from vidsr.media.reader import Reader
from vidsr.model.zoo import load_model, model_names
from vidsr.model_selection import AUTO, select_family, select_model
from vidsr.settings import StreamSettings

FAMILY = select_family(None, scale=2, names=model_names())


def recordings(folder: Path, crfs: tuple[int, ...]) -> list[Path]:
    frames, times = scene(3), (0.0, 0.04, 0.08)
    return [record(folder / f"{number}.mkv", frames, times, crf) for number, crf in enumerate(crfs)]


@pytest.mark.parametrize("crf", [2, 20, 36, 48])
def test_it_is_the_one_that_auto_takes_for_most_recordings(tmp_path: Path, crf: int) -> None:
    *alike, _ = files = recordings(tmp_path, (crf, crf, 28))
    with Reader(alike[0]) as reader:
        expected = select_model(reader.info.compression, still=False, scale=2, names=model_names(), family=FAMILY)
    name, weights = general_network(StreamSettings(), [*files, tmp_path / "deleted.mkv"])
    assert name == expected.model
    assert weights.tensors.keys() == load_model(name).tensors.keys()
    assert all((weights.tensors[key] == tensor).all() for key, tensor in load_model(name).tensors.items())


def test_qualities_get_different_networks(tmp_path: Path) -> None:
    files = recordings(tmp_path, (2, 20, 48))
    assert len({general_network(StreamSettings(), [file])[0] for file in files}) == 3


def test_a_model_that_is_named_is_taken_whatever_the_recordings(tmp_path: Path) -> None:
    assert general_network(StreamSettings(model="fsrcnn-fast"), recordings(tmp_path, (48,)))[0] == "fsrcnn-fast"


@pytest.mark.parametrize("main", [True, False])
def test_only_recordings_beside_a_main_stream_are_learned_from_as_they_are(tmp_path: Path, main: bool) -> None:
    learn_dir = LearnDir(tmp_path)
    for moment in write_moments(learn_dir, scene(15), main=main):
        record(moment.folder / "source.mkv", smaller(scene(3), 2.0), (0.0, 0.04, 0.08), 48)
    config = camera(tmp_path, Path(AUTO))
    assert config.learn
    learning = CameraLearning(
        learn_dir=learn_dir,
        learn=config.learn,
        stream=config.stream,
        now=lambda: 1.8e9,
        on_warning=print,
        should_stop=lambda: True,
    )
    with pytest.raises(Stopped):
        learning.run()
    plan = WorkDir(learn_dir).plan()
    assert plan
    settings = plan.identity["settings"]
    assert isinstance(settings, dict)
    assert settings["initial_model"] == f"{FAMILY}-x2{'-coarse' if main else '-video'}"
