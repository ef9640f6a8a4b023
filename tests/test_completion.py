"""Completion in the shell, of the script that shtab makes of the command line."""

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

pytest.importorskip("shtab")
COMPLETE = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_vidsr; printf "%s\n" "${COMPREPLY[@]}"'


def script(shell: str, path: Path) -> Path:
    command = [sys.executable, "-m", "shtab", "--shell", shell, "--prog", "vidsr", "vidsr.cli.build_parser"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return path


def test_bash_completes_commands_options_choices_and_files(tmp_path: Path) -> None:
    made = script("bash", tmp_path / "script")
    (tmp_path / "holiday.mp4").touch()

    def completed(*words: str) -> list[str]:
        command = ["bash", "-c", COMPLETE, str(made), "vidsr", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout.split()

    assert completed("up") == ["upscale"]
    assert completed("re") == ["recordings"]
    assert completed("upscale", "--enc") == ["--encoder-option"]
    assert completed("upscale", "--progress", "j") == ["json"]
    assert completed("upscale", "hol") == ["holiday.mp4"]
    assert completed("upscale", "holiday.mp4", "hol") == ["holiday.mp4"]
    assert completed("finetune", "--output", "hol") == ["holiday.mp4"]


@pytest.mark.skipif(which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_script(tmp_path: Path) -> None:
    subprocess.run(["zsh", "-n", script("zsh", tmp_path / "_vidsr")], check=True)
