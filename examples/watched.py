"""The whole job from Python: with progress, a way to stop it, and a report that says whether to trust the file.

python examples/watched.py examples/street.mp4 large.mp4
"""

import sys
import time

import vidsr


def watched(source: str, target: str, model: str = "fsrcnn-x2", at_most_s: float = 3600.0) -> vidsr.Report:
    """The report of a run that ends in order after `at_most_s` seconds, however far it has come."""
    deadline = time.monotonic() + at_most_s
    return vidsr.upscale(
        source,
        target,
        settings=vidsr.UpscaleSettings(model=model),
        encode=vidsr.EncodeSettings(codec="libx265", crf=22),
        on_progress=lambda done, total: print(f"\r{done} of {total or 'unknown'} frames", end="", file=sys.stderr),
        should_stop=lambda: time.monotonic() > deadline,
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    report = watched(*sys.argv[1:])
    print("", *report.lines(), sep="\n")
    sys.exit(bool(report.damage or report.stopped))
