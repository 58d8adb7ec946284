"""Our side of what a job's data may tell its handler to do; `node/peer.mjs` does the same in Node."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from carequeue import HandBack, RateLimited, RetryAt, Unrecoverable

if TYPE_CHECKING:
    from carequeue import Job
    from carequeue.worker import JobContext


class Painter:
    """A handler. `runs` is the ledger of what it started; `hold` lasts until `release` is set."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, int]] = []
        self.release = asyncio.Event()

    async def __call__(self, job: Job[Any], context: JobContext) -> Any:
        acts = (job.data or {}).get("acts") or [{}]
        now = acts[min(job.attempts_made, len(acts) - 1)]
        self.runs.append((job.id, job.name, job.attempts_made + 1))
        for row in now.get("log", []):
            await context.log(row)
        if "progress" in now:
            await context.update_progress(now["progress"])
        if "data" in now:
            await context.update_data(now["data"])
        if "waitMs" in now:
            await asyncio.sleep(now["waitMs"] / 1000)
        if now.get("hold"):
            await self.release.wait()
        if "limitMs" in now and job.attempts_started == 1:
            raise RateLimited(timedelta(milliseconds=now["limitMs"]))
        if "handBack" in now and job.attempts_started == 1:
            raise HandBack
        if "laterMs" in now and job.attempts_started == 1:
            raise RetryAt(datetime.now(UTC) + timedelta(milliseconds=now["laterMs"]), counts=False)
        if "unrecoverable" in now:
            raise Unrecoverable(now["unrecoverable"])
        if "throw" in now:
            raise RuntimeError(now["throw"])
        return now.get("return")
