"""What a server must be, and let its user do, to hold a queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import NoPermissionError

from carequeue.errors import NotPermitted, UnsuitableRedis
from carequeue.lua.loader import load
from carequeue.store.failures import IS_CLUSTER, address, redis_errors
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis

    from carequeue.store.client import LinkedRedis

OLDEST = (6, 2)
COMMAND = re.compile(r"'([A-Z]{3,})'")
"""The commands in a script; words among them that are none do not matter."""

WHAT_TO_DO = "give it what docs/connections.md lists"

PRODUCER = ("add", "upsertScheduler", "getScheduler")
WORKER = (
    *(
        "step",
        "checkStalled",
        "extendLocks",
        "getScheduler",
        "advanceScheduler",
        "updateProgress",
        "addLog",
        "updateData",
    ),
    *("takeRound", "auditSchedulers", "mendScheduler"),
)


class Rights(Scripts):
    """What the user of a client may do with a queue."""

    async def check(self, *scripts: str) -> None:
        """Refuse a user who would get stuck in the middle of one of these scripts, which nothing undoes.

        Raises:
            NotPermitted: a command or the queue's keys are not permitted.
            ConnectionLost: Redis does not answer.
        """
        commands = {command for script in scripts for command in COMMAND.findall(load(script).text)}
        commands.add("EVAL")  # this script may be known already, others are not, or not for ever
        if "checkStalled" in scripts:
            commands.add("BZPOPMIN")  # how a worker waits
        where = f"Redis at {address(self.client)} does not let this user"
        try:
            missing = cast("list[str]", await self._run("checkRights", *sorted(commands)))
        except NotPermitted as error:
            raise NotPermitted(
                f"{where} run scripts on the keys of {self.keys.base}, or touch them at all ({error.__cause__}): "
                f"{WHAT_TO_DO}"
            ) from error
        if missing:
            raise NotPermitted(f"{where} run {', '.join(missing)} on the keys of {self.keys.base}: {WHAT_TO_DO}")


async def check_server(client: Redis, *, in_cluster: bool = False) -> None:
    """Refuse a server that cannot hold a queue safely. What a server may not tell about itself counts as well.

    Raises:
        UnsuitableRedis: older than 6.2, it evicts keys when memory is full, or it is a cluster's and that was not said.
        ConnectionLost: it does not answer.
    """
    with redis_errors(client):
        said = await _info(client)
    version, policy = said.get("redis_version"), said.get("maxmemory_policy")
    if version is not None and version_of(str(version)) < OLDEST:
        raise UnsuitableRedis(f"Redis {version} is too old: the queue's scripts need 6.2 or newer, or Valkey")
    if policy is not None and policy != "noeviction":
        raise UnsuitableRedis(
            f"maxmemory-policy is {policy}: when memory is full this server deletes keys, and jobs with them. "
            "Set it to noeviction."
        )
    if said.get("cluster_enabled") and not in_cluster:
        raise UnsuitableRedis(IS_CLUSTER.format(where=f"Redis at {address(client)}"))


async def greet(client: LinkedRedis) -> None:
    """Connect now: a connection with a name is seen by others from then on, and a refused login is noticed.

    Raises:
        ConnectionLost: Redis does not answer.
    """
    with redis_errors(client):
        await client.send("PING")


def version_of(text: str) -> tuple[int, int]:
    parts = [*text.split("."), "0", "0"]
    return (int(parts[0]), int(parts[1])) if parts[0].isdecimal() and parts[1].isdecimal() else (0, 0)


async def _info(client: Redis) -> Mapping[str, Any]:
    """What the server says about itself; nothing if this user may not ask."""
    try:
        return cast("Mapping[str, Any]", await cast("Any", client).info())
    except NoPermissionError:
        return {}
