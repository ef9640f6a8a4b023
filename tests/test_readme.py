"""The pages say what the commands do: every command line in them is understood, those about files are run."""

import re
import shlex
from pathlib import Path

import av
import numpy as np
import pytest
from commands import Command
from made import make_clip, scene
from PIL import Image

from vidsr.cli import build_parser

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / page for page in ("README.md", "examples/README.md", "tools/README.md", "vidsr/model/zoo/README.md")]


def command_lines(page: Path) -> list[list[str]]:
    """The words after "vidsr" of each line in the fenced blocks, without comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("vidsr ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


LINES = [words for page in PAGES for words in command_lines(page)]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_every_command_line_of_the_pages_is_understood(words: list[str]) -> None:
    assert build_parser(words[:1]).parse_args(words).run


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with small stand-ins for the files of the README."""
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "holiday.mp4", pts=[512 * i for i in range(6)], audio=1)
    make_clip(tmp_path / "clip.mp4", size=(192, 128), pts=[512 * i for i in range(30)])
    make_clip(tmp_path / "film.mkv", size=(32, 24), pts=[15360 * i for i in range(122)])
    with av.open("old.avi", "w") as output:
        video = output.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(scene(0), format="rgb24").reformat(format="yuv420p")
        output.mux(video.encode(frame))
        output.mux(video.encode(None))
    (tmp_path / "shots").mkdir()
    (tmp_path / "larger").mkdir()
    Image.fromarray(scene(1)).save(tmp_path / "shots" / "a.png")
    return tmp_path


RUN = [words for words in command_lines(ROOT / "README.md") if words[0] in ("upscale", "info", "evaluate", "compare")]
NOT_HERE = {"camera-3/model.npz"}
"""What other lines make first."""


@pytest.mark.parametrize("words", [words for words in RUN if not NOT_HERE & {*words}], ids=" ".join)
def test_every_command_line_about_files_works(words: list[str], files: Path, vidsr: Command) -> None:
    before = {path for path in files.rglob("*") if path.is_file()}
    ended = vidsr(*words)
    assert ended.code == 0, ended.err
    made = {path for path in files.rglob("[!.]*") if path.is_file()} - before  # without the record of a folder
    if words[0] == "upscale":
        (target,) = (path for path in made if not path.name.startswith("."))
        with av.open(target) as container:
            sizes = {(frame.width, frame.height) for frame in container.decode(video=0)}
        assert len(sizes) == 1
        assert np.prod(*sizes) > 4 * 32 * 24
    elif words[0] == "compare":
        assert [path.name for path in made] == ["parts.png"]
    else:
        assert ended.out
