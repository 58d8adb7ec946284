"""A worker of the mix as a process of its own: `python -m … QUEUE URL OPTIONS`, the options as JSON.

It says on its output what happens, a line each. Where it `holds` a job it goes on when it hears a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.integration.carequeue.faults.mix import Mix

if TYPE_CHECKING:
    from carequeue import Job


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201 - what it is for


async def main(queue: str, url: str, options: dict[str, Any]) -> None:
    heard = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(heard), sys.stdin)
    held = options.pop("hold", None)

    async def hold(job: Job[Any]) -> None:
        if job.attempts_started == 1 and held in (job.id, job.name):
            say("holds", job.id)
            await heard.readline()
            say("goes on", job.id)

    spans = {word: timedelta(seconds=value) for word, value in options.pop("spans", {}).items()}
    mix = Mix(options.pop("size"), before=hold)
    worker = mix.worker(queue, url, **options, **spans)
    worker.on_completed(lambda job, _: say("completed", job.id))
    worker.telemetry.subscribe(lambda _, fields: say("unreported", fields["job_id"]), "job.unreported")
    say("ready")
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
