"""The versions of packages, and of the code of vidsr."""

from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def package_version(package: str) -> str:
    """The number of an installed package; "not installed" for another, as vidsr run from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def package_versions() -> dict[str, str]:
    """The versions on which results depend; that of vidsr is by its code."""
    return {"vidsr": _code_hash(), "PyAV": version("av"), "OpenVINO": version("openvino")}


class InstalledCode:
    """The code of vidsr on the disk, from now on."""

    def __init__(self) -> None:
        self._before = _code_hash()

    def is_replaced(self) -> bool:
        """Whether it is another one, as after `pip install`, or is just being replaced."""
        try:
            return _code_hash() != self._before
        except OSError:
            return True


def _code_hash() -> str:
    code = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))))
    return code.hexdigest()[:12]
