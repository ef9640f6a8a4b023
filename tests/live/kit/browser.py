"""A real Chromium without a window, driven through its debugging pipe."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe",
    "--window-size=1280,1000",
]  # fmt: skip
_LONGEST_S = 60.0


class Browser:
    """One page. All methods raise AssertionError after a minute."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in, self._data = to_browser, from_browser, b""
        self._numbers = itertools.count(1)
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self._call("Page.enable", session=self._session)

    def open(self, url: str) -> None:
        self._call("Page.navigate", {"url": url}, session=self._session)

    def bypass_csp(self) -> None:
        """Let scripts be run in pages that allow none."""
        self._call("Page.setBypassCSP", {"enabled": True}, session=self._session)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self._call("Runtime.evaluate", asked, session=self._session)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str, *, within_s: float = 40.0) -> Any:
        """The first true value of an expression."""
        until = time.monotonic() + within_s
        while not (value := self.evaluate(script)):
            assert time.monotonic() < until, f"never true: {script}"
            time.sleep(0.1)
        return value

    def screenshot(self, path: Path) -> None:
        data = self._call("Page.captureScreenshot", {"format": "png"}, session=self._session)["data"]
        path.write_bytes(base64.b64decode(data))

    def _call(self, method: str, params: dict[str, Any] | None = None, *, session: str = "") -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params or {}}
        os.write(self._out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        until = time.monotonic() + _LONGEST_S
        while time.monotonic() < until:
            while b"\0" not in self._data:
                data = os.read(self._in, 1 << 16)
                assert data, "the browser has ended"
                self._data += data
            line, _, self._data = self._data.partition(b"\0")
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])
        raise AssertionError(f"no answer to {method}")


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with its profile in `folder`; skips the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        pytest.skip("needs the Debian package chromium")
    (read_end, out), (into, write_end) = os.pipe(), os.pipe()
    # The browser reads descriptor 3 and writes to 4.
    redirect = f'exec 3<&{read_end} 4>&{write_end}; exec "$@"'
    command = ["bash", "-c", redirect, "bash", program, *_OPTIONS, f"--user-data-dir={folder / 'profile'}"]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, pass_fds=(read_end, write_end), stdout=log, stderr=log, process_group=0)
    os.close(read_end)
    os.close(write_end)
    try:
        yield Browser(out, into)
    finally:
        os.killpg(process.pid, 9)
        process.wait(20)
        os.close(out)
        os.close(into)
