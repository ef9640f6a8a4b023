"""The versions on which results depend."""

from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path


@cache
def package_versions() -> dict[str, str]:
    """The versions on which results depend; that of vidsr is by its code."""
    code = sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))))
    return {"vidsr": code.hexdigest()[:12], "PyAV": version("av"), "OpenVINO": version("openvino")}
