"""dramatiq: threads."""

from __future__ import annotations

import threading
import time

import dramatiq
import harness
from dramatiq.brokers.redis import RedisBroker

broker = RedisBroker(url=harness.REDIS_URL)
dramatiq.set_broker(broker)
run: harness.PlainHandler | None = None


@dramatiq.actor
def noop(payload: harness.Payload) -> None:
    assert run is not None
    run(payload)


class Dramatiq:
    def add(self, payload: harness.Payload, due: float | None) -> None:
        if due is None:
            noop.send(payload)
        else:
            noop.send_with_options(args=(payload,), delay=max(0, int((due - time.time()) * 1000)))

    def work(self, concurrency: int, handler: harness.PlainHandler) -> None:
        global run
        run = handler
        dramatiq.Worker(broker, worker_threads=concurrency).start()
        threading.Event().wait()


harness.main_plain(Dramatiq())
