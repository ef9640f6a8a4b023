"""VapourSynth's vspipe before vidsr: what a script makes is upscaled as it comes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import read_with_av, samples
from test_package import interpreter

SCRIPT = """
import vapoursynth as vs
clip = vs.core.std.BlankClip(width=96, height=64, format=vs.{format}, length=12, fpsnum=24000, fpsden=1001)
vs.core.std.FrameEval(clip, lambda n: vs.core.std.BlankClip(clip, color=[n * {step}, 128, 128], length=1)).set_output()
"""


@pytest.fixture(scope="module")
def vspipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, of the wheel, which needs Python 3.12."""
    folder = tmp_path_factory.mktemp("vapoursynth")
    subprocess.run([interpreter("3.12"), "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", "vapoursynth"], check=True)
    own = os.environ | {"HOME": str(folder)}
    subprocess.run([folder / "bin" / "vapoursynth", "config"], check=True, capture_output=True, env=own)
    return folder / "bin" / "vspipe"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "step", "pixel_format"), [("YUV420P8", 16, "yuv420p"), ("YUV444P10", 64, "yuv444p10le")]
)
def test_vspipe_pipes_into_vidsr(
    form: str, step: int, pixel_format: str, vspipe: Path, tiny_model: str, tmp_path: Path
) -> None:
    (tmp_path / "in.vpy").write_text(SCRIPT.format(format=form, step=step))
    vidsr = f"{sys.executable} -m vidsr upscale --model {tiny_model} --workers 0 --strength 0 --codec ffv1"
    pipe = f"HOME={vspipe.parent.parent} {vspipe} -c y4m {tmp_path}/in.vpy - | {vidsr} - {tmp_path}/out.mkv"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], capture_output=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    found = read_with_av(tmp_path / "out.mkv")
    assert [(each.format.name, each.width, each.height) for each in found.pictures] == [(pixel_format, 192, 128)] * 12
    assert found.times == pytest.approx([n * 1001 / 24000 for n in range(12)], abs=1e-3)
    levels = [np.median(samples(each)[0]) for each in found.pictures]
    assert levels == pytest.approx([n * step for n in range(12)], abs=2 * step / 16)
