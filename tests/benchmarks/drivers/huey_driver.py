"""huey: threads, greenlets where the handler waits."""

from __future__ import annotations

import sys

if "work" in sys.argv and "--greenlets" in sys.argv:
    sys.argv.remove("--greenlets")
    import gevent.monkey

    gevent.monkey.patch_all()
    WORKERS = "greenlet"
else:
    WORKERS = "thread"

from datetime import UTC, datetime

import harness
from huey import RedisHuey

huey = RedisHuey(harness.QUEUE, url=harness.REDIS_URL, results=False, utc=True)
run: harness.PlainHandler | None = None


@huey.task(name="noop")
def noop(payload: harness.Payload) -> None:
    assert run is not None
    run(payload)


class Huey:
    def add(self, payload: harness.Payload, due: float | None) -> None:
        if due is None:
            noop(payload)
        else:
            noop.schedule((payload,), eta=datetime.fromtimestamp(due, UTC).replace(tzinfo=None))

    def work(self, concurrency: int, handler: harness.PlainHandler) -> None:
        global run
        run = handler
        huey.create_consumer(workers=concurrency, worker_type=WORKERS, periodic=False).run()


harness.main_plain(Huey())
