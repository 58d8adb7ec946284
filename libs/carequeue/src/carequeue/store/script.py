"""Runs scripts by their names on the server, and loads them when the server does not know them (yet, or any more)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoScriptError

from carequeue.lua.loader import load
from carequeue.store.connection import redis_errors
from carequeue.wire.codes import error_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from carequeue.wire.keys import QueueKeys

Argument = str | int | float


class Scripts:
    """The scripts of one queue; subclasses give each a typed method.

    Every method raises ConnectionLost if no reply came: the script may have run then. Nothing is sent twice.
    """

    def __init__(self, client: Redis, keys: QueueKeys) -> None:
        self.client = client
        self.keys = keys

    async def _run(self, name: str, *arguments: Argument) -> Any:
        script = load(name)
        with redis_errors(self.client):
            try:
                return await self._execute("EVALSHA", script.sha, 1, self.keys.base, *arguments)
            except NoScriptError:
                # it did not run, so this is not a repetition
                return await self._execute("EVAL", script.text, 1, self.keys.base, *arguments)

    async def _on_job(self, name: str, job_id: str, *arguments: Argument) -> int:
        """Run a script that answers a code about `job_id`, and raise what a negative one means."""
        reply = cast("int", await self._run(name, *arguments))
        if reply < 0:
            raise error_of(reply, job_id)
        return reply

    async def _execute(self, *command: Argument) -> Any:
        return await cast("Any", self.client).execute_command(*command)
