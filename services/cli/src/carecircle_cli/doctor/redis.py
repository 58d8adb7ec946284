"""Can this Redis hold our queues? By what it says of itself (`INFO`, which managed servers allow, unlike `CONFIG`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from carecircle.runtime.findings import Finding
from carecircle.runtime.redis_url import with_timeouts
from carecircle_cli.doctor.wording import without_secrets
from carequeue import CarequeueError, Inspector

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBJECT = "Redis"
OLDEST = (6, 2)
NEARLY_FULL = 0.8


async def check_redis(url: str) -> list[Finding]:
    """What is right and wrong with the server at `url`."""
    try:
        queue = Inspector("doctor", with_timeouts(url), prefix="{bull}")
        try:
            info = cast("Mapping[str, Any]", await cast("Any", queue.client).info())
        finally:
            await queue.close()
        return judge_redis(info)
    except (RedisError, OSError, ValueError, CarequeueError) as error:
        return [
            Finding.fail(SUBJECT, "reachable", without_secrets(error), "start it, or set REDIS_URL to where it runs")
        ]


def judge_redis(info: Mapping[str, Any]) -> list[Finding]:
    """From the parsed reply of `INFO`."""
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", ""))
    return [
        Finding.ok(SUBJECT, "reachable", f"{name} {version}"),
        _version(str(info.get("redis_version", ""))),
        _policy(str(info.get("maxmemory_policy", ""))),
        _role(str(info.get("role", "master"))),
        _persistence(info),
        _memory(info),
    ]


def _version(text: str) -> Finding:
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        return Finding.warn(
            SUBJECT, "version", f"it calls itself {text!r}", "make sure that it has Redis 6.2's commands"
        )
    if (int(found[1]), int(found[2])) < OLDEST:
        return Finding.fail(SUBJECT, "version", f"{text} is too old", "use Redis 6.2 or later, or any Valkey")
    return Finding.ok(SUBJECT, "version", f"speaks Redis {text}")


def _policy(policy: str) -> Finding:
    if policy != "noeviction":
        return Finding.fail(
            SUBJECT, "maxmemory-policy", f"{policy or 'unknown'}: under memory pressure it throws jobs away",
            "set `maxmemory-policy noeviction` in redis.conf (or CONFIG SET it)",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "maxmemory-policy", "noeviction")


def _role(role: str) -> Finding:
    if role != "master":
        return Finding.fail(SUBJECT, "role", "a replica, which cannot be written to", "set REDIS_URL to the primary")
    return Finding.ok(SUBJECT, "role", "primary")


def _persistence(info: Mapping[str, Any]) -> Finding:
    if not int(info.get("aof_enabled", 0)):
        return Finding.warn(
            SUBJECT, "persistence", "no append-only file: a restart forgets every job",
            "set `appendonly yes`; until then the reconciler re-adds what is due, seconds late",
        )  # fmt: skip
    if info.get("aof_last_write_status", "ok") != "ok":
        return Finding.fail(SUBJECT, "persistence", "its last write to disk failed", "look for a full or failing disk")
    return Finding.ok(SUBJECT, "persistence", "append-only file on")


def _memory(info: Mapping[str, Any]) -> Finding:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if limit and used > limit * NEARLY_FULL:
        return Finding.warn(
            SUBJECT, "memory", f"{used / limit:.0%} of maxmemory used: at 100 % every write is refused",
            "raise maxmemory, or see with `carecircle queue counts` what piles up",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "memory", f"{used / 2**20:.0f} MiB used" + (f" of {limit / 2**20:.0f}" if limit else ""))
