"""The status of a camera, which one thread counts in and another one reports."""

import json
import sys
import threading

from vidsr.live.status import Status


def test_a_status_is_reported_while_frames_are_counted() -> None:
    status, ended = Status(), threading.Event()

    def count() -> None:
        for number in range(5000):
            status.add_frame(f"rung {number}", 0.1)
        ended.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    counting = threading.Thread(target=count)
    counting.start()
    try:
        while not ended.is_set():
            assert len(json.loads(status.to_json())["upscaled"]) <= 5000
    finally:
        counting.join()
        sys.setswitchinterval(interval)
    assert (sum(status.upscaled.values()), sum(status.delays)) == (5000, 5000)
