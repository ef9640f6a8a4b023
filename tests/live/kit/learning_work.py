"""Stands for a process that collects or learns: notes that it runs, and works until it is asked to end.

What it does is in the file `order` of the folder that it learns in: "work", "busy" for work without a pause,
"crash", or megabytes of memory to take.
"""

import pickle
import signal
import sys
import time
from pathlib import Path

from vidsr.live.config import CameraConfig


def main() -> None:
    config: CameraConfig = pickle.load(sys.stdin.buffer)
    folder = config.learn_dir
    assert folder
    order = (folder / "order").read_text()
    if order == "crash":
        sys.exit("it cannot be learned from")
    memory = bytearray(int(order) << 20) if order.isdecimal() else bytearray()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    while True:
        with Path(folder / "ticks").open("a") as file:
            file.write(f"{len(memory)}\n")
        if order != "busy":
            time.sleep(0.02)


if __name__ == "__main__":
    main()
