"""The status of a camera, which one thread counts in and another one reports."""

import json

from kit.races import while_it_runs

from vidsr.live.status import Status


def test_a_status_is_reported_while_frames_are_counted() -> None:
    status = Status()

    def count() -> None:
        for number in range(5000):
            status.add_frame(f"rung {number}", 0.1)

    for _ in while_it_runs(count):
        assert len(json.loads(status.to_json())["upscaled"]) <= 5000
