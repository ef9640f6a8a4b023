"""Upscale one file by `vidsr.upscale`, as the command does, and measure the steady frames per second.

python tools/cost/run_upscale.py SOURCE TARGET '{"model": "auto", "workers": 2, "threads": null, "edge": 24}'
"""

import json
import sys
import time

from vidsr import EncodeSettings, PoolSettings, UpscaleSettings, upscale


def main() -> None:
    """Print the figures as JSON."""
    source, target, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    times: list[float] = []
    report = upscale(
        source,
        target,
        settings=UpscaleSettings(model=options["model"], overwrite=True),
        encode=EncodeSettings(preset="veryfast"),
        pool=PoolSettings(workers=options["workers"], threads=options["threads"]),
        on_progress=lambda done, total: times.append(time.perf_counter()),
    )
    edge = options["edge"]
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
