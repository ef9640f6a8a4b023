"""The head of a joined cluster: Ray itself waits for a lost one for a minute, in any call, and ends this process."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import TypeVar

from vidsr.errors import WorkerError
from vidsr.pool.ray_runtime import connect, ray

_POLL_S, _TRIES = 5.0, 2
_ASK_POLL_S = 0.5
Answer = TypeVar("Answer")


class ClusterHead:
    """Whether the head of the cluster is there. `is_lost` once it was missed: Ray must not be asked for anything."""

    def __init__(self) -> None:
        self.is_lost = False
        self._asked_s, self._failures = time.monotonic(), 0

    def require(self) -> None:
        """Ask for a connection now and then. Raises WorkerError when the head was silent or absent several times."""
        if time.monotonic() < self._asked_s + _POLL_S:
            return
        address = str(ray.get_runtime_context().gcs_address)
        try:
            connect(address).close()
            self._failures = 0
        except OSError as error:
            self._failures += 1
            if self._failures >= _TRIES:
                self.is_lost = True
                why = error.strerror or error
                raise WorkerError(f"the head of the cluster, {address}, does not answer ({why})") from error
        self._asked_s = time.monotonic()

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """The answer of the head to a call of Ray. Raises WorkerError where the head is lost meanwhile."""
        answer: Future[Answer] = Future()

        def run() -> None:
            try:
                answer.set_result(question())
            except Exception as error:
                answer.set_exception(error)

        Thread(target=run, name="cluster head", daemon=True).start()
        while not wait([answer], timeout=_ASK_POLL_S).done:
            self.require()
        return answer.result()
