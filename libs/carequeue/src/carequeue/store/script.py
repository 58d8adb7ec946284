"""Runs scripts by their names on the server, and loads them when the server does not know them (yet, or any more)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoScriptError

from carequeue.lua.loader import load
from carequeue.store.connection import redis_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio import Redis

Argument = str | int | float


async def run_script(client: Redis, name: str, key: str, arguments: Sequence[Argument]) -> Any:
    """The reply of a script.

    Raises:
        ConnectionLost: no reply came; the script may have run.
    """
    script = load(name)
    with redis_errors(client):
        try:
            return await _execute(client, "EVALSHA", script.sha, 1, key, *arguments)
        except NoScriptError:
            # it did not run, so this is not a repetition
            return await _execute(client, "EVAL", script.text, 1, key, *arguments)


async def _execute(client: Redis, *command: Argument) -> Any:
    return await cast("Any", client).execute_command(*command)
