"""Runs scripts by their names on the server, and loads them when the server does not know them (yet, or any more)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoScriptError, RedisError

from carequeue.lua.loader import Script, load
from carequeue.store.client import Argument, sender
from carequeue.store.connection import redis_errors
from carequeue.wire.codes import error_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import Redis

    from carequeue.wire.keys import QueueKeys


@dataclass(slots=True)
class Call:
    """A script call that was sent."""

    script: Script
    arguments: Sequence[Argument]
    sent: asyncio.Future[Any]
    unknown: bool = False
    """The server did not know the script: it ran later than it was sent."""

    def forget(self) -> None:
        """Nobody waits for it any more. It may run all the same."""
        self.sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
        self.sent.cancel()


class Scripts:
    """The scripts of one queue; subclasses give each a typed method.

    Every method raises ConnectionLost if no reply came: the script may have run then. Nothing is sent twice.
    """

    def __init__(self, client: Redis, keys: QueueKeys) -> None:
        self.client = client
        self.keys = keys
        self._send: Callable[..., Awaitable[Any]] = sender(client)

    async def _run(self, name: str, *arguments: Argument) -> Any:
        return await self._reply(self._begin(name, *arguments))

    def _begin(self, name: str, *arguments: Argument) -> Call:
        """Send a script call without waiting for its reply; `_reply` does that."""
        script = load(name)
        sent = self._send("EVALSHA", script.sha, 1, self.keys.base, *arguments)
        return Call(script, arguments, asyncio.ensure_future(sent))

    async def _reply(self, call: Call) -> Any:
        try:
            return await call.sent
        except NoScriptError:
            # it did not run, so this is not a repetition
            call.unknown = True
            with redis_errors(self.client):
                return await self._send("EVAL", call.script.text, 1, self.keys.base, *call.arguments)
        except (RedisError, OSError):
            with redis_errors(self.client):
                raise

    async def _on_job(self, name: str, job_id: str, *arguments: Argument) -> int:
        """Run a script that answers a code about `job_id`, and raise what a negative one means."""
        reply = cast("int", await self._run(name, *arguments))
        if reply < 0:
            raise error_of(reply, job_id)
        return reply

    async def _execute(self, *command: Argument) -> Any:
        """What redis-py makes of the reply; `_send` answers it as it is."""
        return await cast("Any", self.client).execute_command(*command)
