"""A job service over HTTP: POST a video, GET its state, GET it upscaled, DELETE it. One at a time; needs Flask.

python examples/service.py 127.0.0.1:8080 jobs/ [OPTIONS OF vidsr upscale]
curl --data-binary @clip.mp4 '127.0.0.1:8080/jobs?scale=2'     # {"id": "5f0c...", "state": "waiting", ...}
curl -o large.mkv 127.0.0.1:8080/jobs/5f0c.../video
"""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Timer
from uuid import uuid4

from flask import Flask, Response, abort, request, send_file
from waitress import serve

MAX_BYTES, MAX_MEGAPIXELS, MAX_SECONDS = 500_000_000, 4, 3600  # of an upload, of its frames, of the work on it
MAX_WAITING, MAX_JOBS = 8, 50  # when one more comes, the oldest that is over goes


@dataclass
class Job:
    """A video and what becomes of it; no part of the names of its files is the client's."""

    scale: int
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "waiting"  # then running, and done or failed
    progress: dict[str, object] = field(default_factory=dict)
    error: str = ""


def work(job: Job, folder: Path, options: list[str]) -> None:
    """Upscale in a process, which is ended when its time is over; a crash of it costs this job only."""
    source, target, job.state = folder / f"{job.id}.source", folder / f"{job.id}.mkv", "running"
    words = ["--scale", str(job.scale), "--max-megapixels", str(MAX_MEGAPIXELS), *options, str(source), str(target)]
    command = [sys.executable, "-m", "vidsr", "upscale", "--quiet", "--progress", "json", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        timer = Timer(MAX_SECONDS, process.terminate)
        timer.start()
        for line in process.stderr or ():
            if line.startswith("{"):
                job.progress = json.loads(line)
            else:
                job.error = line.strip().replace(str(source), "the upload")
    timer.cancel()
    source.unlink()
    if process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM):  # it may not even have begun
        job.error = f"stopped after {MAX_SECONDS} s"
    job.state = "failed" if process.returncode else "done"


def create_app(folder: Path, options: list[str]) -> Flask:
    """The service, with its files in `folder`; the options are those of each `vidsr upscale`."""
    app, jobs, worker = Flask(__name__), dict[str, Job](), ThreadPoolExecutor(1)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES  # more is answered with 413

    @app.post("/jobs")
    def submit() -> tuple[dict[str, object], int]:
        over = [each.id for each in jobs.values() if each.state in ("done", "failed")]
        if len(jobs) - len(over) >= MAX_WAITING:
            abort(503, "too many jobs are waiting; come again later")
        job = Job(scale=request.args.get("scale", 2, int))
        with (folder / f"{job.id}.source").open("wb") as file:
            while piece := request.stream.read(1 << 20):
                file.write(piece)
        for old in over[: max(0, len(jobs) + 1 - MAX_JOBS)]:
            delete(old)
        jobs[job.id] = job
        worker.submit(work, job, folder, options)
        return asdict(job), 202

    @app.get("/jobs/<name>")
    def show(name: str) -> dict[str, object]:
        return asdict(jobs.get(name) or abort(404))

    @app.get("/jobs/<name>/video")
    def video(name: str) -> Response:
        if show(name)["state"] != "done":
            abort(409, "it is not done")
        return send_file(folder.absolute() / f"{name}.mkv")

    @app.delete("/jobs/<name>")
    def delete(name: str) -> tuple[str, int]:
        if show(name)["state"] not in ("done", "failed"):
            abort(409, "it is not over")
        (folder / f"{name}.mkv").unlink(missing_ok=True)
        del jobs[name]
        return "", 204

    return app


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(exist_ok=True) if len(sys.argv) > 2 else sys.exit(__doc__)
    serve(create_app(Path(sys.argv[2]), sys.argv[3:]), listen=sys.argv[1], max_request_body_size=MAX_BYTES)
