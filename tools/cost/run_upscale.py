"""One file enlarged by `vidsr.upscale`, as the command does it, and how fast it was once it flowed.

python tools/cost/run_upscale.py SOURCE TARGET '{"model": "auto", "workers": 2, "threads": null, "edge": 24}'
"""

import json
import sys
import time

from vidsr import EncodeSettings, PoolSettings, UpscaleSettings, upscale


def main() -> None:
    """Print what it came to as JSON."""
    source, target, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    times: list[float] = []
    report = upscale(
        source,
        target,
        settings=UpscaleSettings(model=asked["model"], overwrite=True),
        encode=EncodeSettings(preset="veryfast"),
        pool=PoolSettings(workers=asked["workers"], threads=asked["threads"]),
        on_progress=lambda done, total: times.append(time.perf_counter()),
    )
    edge = asked["edge"]
    steady = times[edge : -max(1, edge // 4)]
    figures = {
        "model": report.weights,
        "frames": report.frames_written,
        "report_s": round(report.seconds, 2),
        "fps": round((len(steady) - 1) / (steady[-1] - steady[0]), 2),
        "stages_s": {name: round(stage.seconds, 3) for name, stage in report.stages.items()},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
