"""The run directory of a training is there once there is something to train on."""

from pathlib import Path

import av
from commands import SOURCE, Command
from made import scene


def test_nothing_usable_leaves_no_run_directory(vidsr: Command, tmp_path: Path) -> None:
    small, broken, output = tmp_path / "small.png", tmp_path / "broken.png", tmp_path / "deep" / "run"
    av.VideoFrame.from_ndarray(scene(0, (96, 80)), format="rgb24").save(small)
    broken.write_bytes(b"\x89PNG")
    for source, words in ((broken, "none of 1 files is usable"), (small, "all smaller than")):
        ended = vidsr("train", source, "--patch", "512", "--output", output)
        assert (ended.code, ended.out) == (SOURCE, "")
        assert words in ended.err
        assert not output.parent.exists()
    (output / "notes").mkdir(parents=True)  # somebody's own
    assert vidsr("train", broken, "--output", output).code == SOURCE
    assert [path.name for path in output.iterdir()] == ["notes"]
