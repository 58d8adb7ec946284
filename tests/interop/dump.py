"""Everything that a queue holds in Redis, in a form in which two queues can be compared.

Instants become distances from the start of the test, tokens and stack traces become placeholders, stream ids go.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

INSTANT = re.compile(r"(?<!\d)1[5-9]\d{11}(?!\d)")
NEAR_MS = 3 * 24 * 3600 * 1000
STEP_MS = 10_000  # how exactly instants are compared: tests are quicker than half of it, their delays are multiples
NOT_COMPARED = {
    "stalled-check": "a timer of whichever worker looked last",
    "stalled": "what was active at that moment",
    "housekeeping": "ours, not known to Node: a timer of whichever worker looked last after the schedulers",
}
DELAYED_SCORE = 4096


@dataclass(frozen=True, slots=True)
class Era:
    """The start of a test, from which its instants are told."""

    start_ms: int
    base: str = ""
    """The key of the queue, which is another on each side: told as `…`."""

    def instant(self, ms: int) -> str | int:
        """`now+60s` for an instant of the test; one that the test wrote itself (long ago) stays as it is."""
        distance = ms - self.start_ms
        return f"now{round(distance / STEP_MS) * STEP_MS // 1000:+d}s" if abs(distance) < NEAR_MS else ms

    def text(self, text: str) -> str:
        told = INSTANT.sub(lambda found: str(self.instant(int(found.group()))), text)
        return told.replace(self.base, "…") if self.base else told

    def value(self, value: Any) -> Any:
        """The same for whatever JSON holds; empty lists and objects are alike, because Lua cannot tell them apart."""
        match value:
            case bool() | None:
                return value
            case int() | float() if 1.5e12 < value < 2e12:
                return self.instant(int(value))
            case str():
                return self.text(value)
            case list() | dict() if not value:
                return "empty"
            case list():
                return [self.value(one) for one in value]
            case dict():
                return {self.text(name): self.value(one) for name, one in value.items()}
            case _:
                return value


async def dump(redis: Redis, base: str, era: Era) -> dict[str, Any]:
    """What stands under `base`, by what follows it in the key."""
    found: dict[str, Any] = {}
    for key in sorted([key async for key in redis.scan_iter(match=f"{base}:*", count=1000)]):
        suffix = key.removeprefix(f"{base}:")
        if suffix in NOT_COMPARED:
            continue
        content = await _content(redis, key, suffix, era)
        if suffix.startswith("repeat:"):
            await _tell_schedule(redis, base, suffix, content, era)
        told = era.text(suffix)
        while told in found:  # two runs of one scheduler, milliseconds apart
            told += "+"
        found[told] = content
    return found


async def _tell_schedule(redis: Redis, base: str, suffix: str, fields: dict[str, Any], era: Era) -> None:
    """Tell what schedulers keep as distances from the clock by the slot that they mean.

    A scheduler's job is delayed from its timestamp until its slot, and `every` keeps the place of its slots among the
    multiples of the interval as `offset`.
    """
    if "timestamp" in fields:
        delay, timestamp = await redis.hmget(f"{base}:{suffix}", "delay", "timestamp")
        slot = int(suffix.rpartition(":")[2])
        if int(delay):
            fields["delay"] = f"until {era.instant(int(timestamp) + int(delay))}"
        if fields["opts"].get("delay"):
            fields["opts"]["delay"] = f"until {era.instant(int(timestamp) + fields['opts']['delay'])}"
        repeat = fields["opts"].get("repeat", {})
    else:
        slot = int(await redis.zscore(f"{base}:repeat", suffix.removeprefix("repeat:")) or 0)
        repeat = fields
    if repeat.get("offset") is not None:
        every = int(repeat.get("every") or 0)
        fits = every and (slot - int(repeat["offset"])) % every == 0
        repeat["offset"] = "the slot's" if fits else "of no meaning"


async def _content(redis: Redis, key: str, suffix: str, era: Era) -> Any:
    match await redis.type(key):
        case "string" if suffix.endswith(":lock"):
            return {"token": "…", "expires": await redis.pttl(key) > 0}
        case "string" if suffix == "limiter" or suffix.startswith("de:"):
            return {"holds": await redis.get(key), "expires": _lasting(await redis.pttl(key))}
        case "string":
            return await redis.get(key)
        case "list":
            return [era.text(member) for member in await redis.lrange(key, 0, -1)]
        case "set":
            return sorted(era.text(member) for member in await redis.smembers(key))
        case "hash":
            return {era.text(name): _field(name, text, era) for name, text in (await redis.hgetall(key)).items()}
        case "zset":
            return _scores(suffix, await redis.zrange(key, 0, -1, withscores=True), era)
        case "stream":
            return [{name: era.text(text) for name, text in entry.items()} for _, entry in await redis.xrange(key)]
        case other:
            return f"a {other}"


def _lasting(pttl: int) -> str:
    return "never" if pttl < 0 else f"in {round(pttl / STEP_MS) * STEP_MS // 1000}s"


def _field(name: str, text: str, era: Era) -> Any:
    if name in ("opts", "parent", "repeat"):
        return era.value(json.loads(text))
    if name == "stacktrace":
        return ["…"] * len(json.loads(text))
    return era.text(text)


def _scores(suffix: str, members: list[tuple[str, float]], era: Era) -> Any:
    if suffix == "delayed":
        return [(era.text(member), _delayed(score, era)) for member, score in members]
    if suffix in ("completed", "failed", "waiting-children", "repeat") or suffix.endswith(":unsuccessful"):
        return {era.text(member): era.instant(int(score)) for member, score in members}
    return [(era.text(member), era.value(score)) for member, score in members]


def _delayed(score: float, era: Era) -> Any:
    """Due time and place among those due in the same millisecond; the place is chance if the clock gave the time."""
    due = era.instant(int(score) // DELAYED_SCORE)
    return due if isinstance(due, str) else (due, int(score) % DELAYED_SCORE)


def differences(node: Any, ours: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Where two dumps differ, by path: what Node has there, what we have."""
    if isinstance(node, dict) and isinstance(ours, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for name in sorted(node.keys() | ours.keys()):
            found |= differences(node.get(name, "(missing)"), ours.get(name, "(missing)"), f"{path}/{name}")
        return found
    return {} if node == ours else {path: (node, ours)}
