"""The container of `examples/container`: its commands are understood, and its steps work in a clean Debian."""

import os
import subprocess
from pathlib import Path
from shutil import copy, which

import pytest
import yaml  # type: ignore[import-untyped]
from oracles import read_with_av

from vidsr.cli import build_parser

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "container"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
SUITE = "bookworm"
LATER = ("trixie", "sid")
"""Debians with a later Python: 3.13, and 3.14 or whatever is the newest."""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
ENTER = """
mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"
mount -t proc proc "$0/proc"; mount -t sysfs sysfs "$0/sys"; mount --rbind /dev "$0/dev"
mount -t tmpfs tmpfs "$0/tmp"; mount --bind "$1" "$0/mnt"; shift
exec env -i PATH=/opt/vidsr/bin:/usr/bin:/bin HOME=/tmp "$(command -v chroot)" --userspec=10001:10001 "$0" "$@"
"""
"""In mounts of its own: the root is read-only, but for /tmp and the folder that is mounted at /mnt."""


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_command_that_is_understood_and_few_rights(name: str) -> None:
    service = SERVICES[name]
    words = [str(word) for word in service["command"]]
    args = build_parser(words[:1]).parse_args(words)
    assert args.run
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    mounted = {volume.split(":")[1] for volume in service["volumes"]}
    assert mounted <= {*words}, "what is mounted is used"


def test_the_image_runs_as_a_user_and_without_what_only_training_needs() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert "\nUSER 10001\n" in dockerfile
    assert SUITE in dockerfile
    assert f"sh /src/{(FOLDER / 'install.sh').relative_to(ROOT)} /src /opt/vidsr" in dockerfile
    assert "[train]" not in (FOLDER / "install.sh").read_text().partition("set -eu")[2]


def enter(root: Path, work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in the root, as the container runs it."""
    command = ["unshare", "-m", "sh", "-euc", ENTER, str(root), str(work), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def make_root(root: Path, suite: str = SUITE) -> None:
    """Debian with the virtual environment, by the steps of the Dockerfile."""
    packages = "--include=python3-venv,ca-certificates"
    command = ["debootstrap", "--variant=minbase", packages, suite, str(root)]
    subprocess.run(command, check=True, capture_output=True)
    for name in (CERTIFICATES, Path("/etc/resolv.conf")):  # those of this machine's network
        copy(name, root / name.relative_to("/"))
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    for each in listed.decode().rstrip("\0").split("\0"):
        if (ROOT / each).is_file():
            (root / "src" / each).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / each, root / "src" / each)
    own = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_CERT": str(CERTIFICATES)}
    install = ["sh", "/src/examples/container/install.sh", "/src", "/opt/vidsr"]
    subprocess.run(["chroot", str(root), *install], check=True, capture_output=True, env=own)
    subprocess.run(["rm", "-r", str(root / "src")], check=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.geteuid() != 0 or not which("debootstrap"), reason="needs root and debootstrap")
def test_the_steps_work_in_a_clean_debian_on_a_read_only_root(tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    make_root(root)
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 1.2e9
    work.mkdir()
    work.chmod(0o777)
    copy(ROOT / "examples" / "street.mp4", work)
    assert "Read-only file system" in enter(root, work, "touch", "/x").stderr
    assert "No module named 'torch'" in enter(root, work, "python3", "-c", "import torch").stderr
    for workers in ("0", "2"):
        target = work / f"{workers}.mp4"
        words = ["upscale", "--end", "0.5", "--workers", workers, "/mnt/street.mp4", f"/mnt/{target.name}"]
        ended = enter(root, work, "vidsr", *words)
        assert ended.returncode == 0, ended.stderr
        assert len(read_with_av(target).pictures) == 15
        assert target.stat().st_uid == 10001


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suite", LATER)
@pytest.mark.skipif(os.geteuid() != 0 or not which("debootstrap"), reason="needs root and debootstrap")
def test_the_steps_work_with_the_python_of_a_later_debian(suite: str, tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    make_root(root, suite)
    work.mkdir()
    work.chmod(0o777)
    copy(ROOT / "examples" / "street.mp4", work)
    for workers in ("0", "1"):
        words = ["upscale", "--end", "0.5", "--workers", workers, "/mnt/street.mp4", f"/mnt/{workers}.mp4"]
        ended = enter(root, work, "vidsr", *words)
        assert ended.returncode == 0, ended.stderr
        assert len(read_with_av(work / f"{workers}.mp4").pictures) == 15
