"""The package: the same bytes at each build, and what an install of it has, with extras and without."""

import json
import os
import subprocess
import sys
import tarfile
import time
from hashlib import sha256
from pathlib import Path
from shutil import copy, which
from zipfile import ZipFile

import pytest
from oracles import read_with_av

import vidsr

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def build(folder: Path) -> list[Path]:
    """The wheel and the sdist, built from a copy of the tracked files whose times are those of now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for each in listed.decode().rstrip("\0").split("\0"):
        if (ROOT / each).is_file():
            (folder / "tree" / each).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / each, folder / "tree" / each)
    command = [sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(folder / "tree")]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return sorted((folder / "dist").iterdir())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    pytest.importorskip("build")
    return build(tmp_path_factory.mktemp("first"))


def test_two_builds_have_the_same_bytes(built: list[Path], tmp_path: Path) -> None:
    time.sleep(2)  # file times in archives have this resolution
    again = build(tmp_path / "another place")
    assert [path.name for path in again] == [path.name for path in built]
    hashes = [[sha256(path.read_bytes()).hexdigest() for path in paths] for paths in (built, again)]
    assert hashes[0] == hashes[1]


def test_the_wheel_has_the_data_and_the_sdist_the_tests(built: list[Path]) -> None:
    wheel, sdist = built
    names = {name for name in ZipFile(wheel).namelist() if not name.startswith(f"vidsr-{vidsr.__version__}.dist-info")}
    tracked = subprocess.run(["git", "ls-files", "vidsr"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert names == {name for name in tracked.stdout.split() if (ROOT / name).is_file()}
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "tests/test_package.py", "examples/street.mp4"} <= inside
    assert not any(name.startswith((".venv", ".git/")) for name in inside)


def interpreter(version: str) -> str:
    """A Python of this version that is installed here."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*map(str, pyenv.glob(f"{version}.*/bin/python3"))]
    if not (path := next(iter(found), which(f"python{version}"))):
        pytest.skip(f"no Python {version} is installed here")
    return path


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fresh_environment_upscales(version: str, built: list[Path], tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([interpreter(version), "-m", "venv", tmp_path / "venv"], check=True)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [tmp_path / "venv" / "bin" / words[0], *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    def install(what: str) -> None:
        done = run("pip", "install", "-q", "-c", ROOT / "tools" / "constraints.txt", what)
        assert done.returncode == 0, done.stderr

    install(str(built[0]))
    assert run("vidsr", "--version").stdout == f"vidsr {vidsr.__version__}\n"
    facts = json.loads(run("vidsr", "info", "--json").stdout)
    assert facts["python"].startswith(version + ".")
    assert facts["torch"] == facts["onnx"] == "not installed"
    done = run("vidsr", "upscale", "--end", "0.3", "--workers", "0", ROOT / "examples" / "street.mp4", "large.mp4")
    assert done.returncode == 0, done.stderr
    assert len(read_with_av(tmp_path / "large.mp4").pictures) == 9
    done = run("vidsr", "export", "fsrcnn-x2", "--to", "onnx")
    assert (done.returncode, done.stderr) == (2, "vidsr: this needs the package onnx: pip install 'vidsr[export]'\n")
    assert "pip install 'vidsr[train]'" in run("vidsr", "train", ".", "--output", "run").stderr
    install(f"{built[0]}[export,plot,completion]")
    done = run("vidsr", "export", "fsrcnn-x2", "--to", "onnx")
    assert done.returncode == 0, done.stderr
    assert json.loads(run("vidsr", "info", "--json").stdout)["onnx"] != "not installed"
