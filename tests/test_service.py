"""The job service of `examples/service.py`, over HTTP: jobs, what they fail of, and the limits."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from made import make_long
from oracles import read_with_av

pytest.importorskip("flask")
SERVICE = Path(__file__).parent.parent / "examples" / "service.py"
START = """
import runpy, sys
service = runpy.run_path(sys.argv[1])
limits = service["create_app"].__globals__
limits |= {name: int(value) for name, value in (word.split("=") for word in sys.argv[4].split(","))}
app = service["create_app"](service["Path"](sys.argv[2]), ["--workers", "0", "--model", sys.argv[3]])
server = __import__("waitress").create_server(app, listen="127.0.0.1:0", max_request_body_size=limits["MAX_BYTES"])
print(server.effective_port, flush=True)
server.run()
"""


class Service:
    """The service in a process of its own, and the folder of its files."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def submit(self, body: bytes, query: str = "") -> str:
        status, text = self.ask("POST", f"/jobs{query}", body)
        assert status == 202, text
        job: dict[str, Any] = json.loads(text)
        assert job["state"] in ("waiting", "running")
        return str(job["id"])

    def ended(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while (job := json.loads(self.ask("GET", f"/jobs/{name}")[1]))["state"] not in ("done", "failed"):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return dict(job)


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path, tiny_model: str) -> Iterator[Service]:
    limits = getattr(request, "param", "MAX_JOBS=50")
    folder = tmp_path / "jobs"
    folder.mkdir()
    command = [sys.executable, "-c", START, str(SERVICE), str(folder), tiny_model, limits]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        yield Service(int(process.stdout.readline()), folder)
        process.terminate()


def test_a_video_is_sent_and_comes_back_larger(service: Service, clip: Path, tmp_path: Path) -> None:
    name = service.submit(clip.read_bytes())
    job = service.ended(name)
    assert (job["state"], job["progress"]["frames"], job["progress"]["stage"]) == ("done", 24, "done"), job
    status, video = service.ask("GET", f"/jobs/{name}/video")
    assert status == 200
    (tmp_path / "large.mkv").write_bytes(video)
    frames = read_with_av(tmp_path / "large.mkv").pictures
    assert [(frame.width, frame.height) for frame in frames] == [(192, 128)] * 24
    assert service.ask("DELETE", f"/jobs/{name}")[0] == 204
    assert service.ask("GET", f"/jobs/{name}")[0] == 404
    assert os.listdir(service.folder) == []


@pytest.mark.parametrize("service", ["MAX_BYTES=200000,MAX_JOBS=2"], indirect=True)
def test_what_is_no_video_too_large_or_unknown_is_refused_and_old_jobs_go(service: Service) -> None:
    names = [service.submit(b"no video"), service.submit(b"another", "?scale=9")]
    jobs = [service.ended(name) for name in names]
    assert [job["state"] for job in jobs] == ["failed", "failed"]
    assert jobs[0]["error"] == "vidsr: the upload: not a media file, or cut off before its index"
    assert "scale must be 2, 3 or 4, not 9" in jobs[1]["error"]
    assert service.ask("GET", f"/jobs/{names[0]}/video")[0] == 409
    assert service.ask("POST", "/jobs", bytes(300_000))[0] == 413
    for path in ("/jobs/none", "/jobs/none/video", "/jobs/..%2f..%2fetc%2fpasswd/video"):
        assert service.ask("GET", path)[0] == 404
    service.ended(service.submit(b"a third"))
    assert service.ask("GET", f"/jobs/{names[0]}")[0] == 404
    assert os.listdir(service.folder) == []


@pytest.mark.parametrize("service", ["MAX_SECONDS=2,MAX_WAITING=1"], indirect=True)
def test_a_job_that_takes_too_long_is_stopped_and_others_are_refused_meanwhile(
    service: Service, clip: Path, tmp_path: Path
) -> None:
    name = service.submit(make_long(tmp_path / "long.mp4", clip, 2000).read_bytes())
    assert service.ask("POST", "/jobs", clip.read_bytes())[0] == 503
    assert service.ask("DELETE", f"/jobs/{name}")[0] == 409
    job = service.ended(name)
    assert (job["state"], job["error"]) == ("failed", "stopped after 2 s")
