"""One typed method for each script about the limits of a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from carequeue.store.script import Scripts


@dataclass(frozen=True, slots=True)
class LimitsNow:
    """What is set, None if it is not, and what it does."""

    concurrency: int | None
    max: int | None
    duration_ms: int | None
    active: int
    limited_for: int
    """How many ms nothing starts."""


class Limiting(Scripts):
    """Limits. All of it may be repeated."""

    async def change(self, **values: int | None) -> None:
        """Set limits by their fields in `meta`; None removes one."""
        arguments: list[str | int] = []
        for field, value in values.items():
            arguments += (field, "" if value is None else value)
        await self._run("changeLimits", *arguments)

    async def limit(self, span_ms: int) -> None:
        await self._run("limitQueue", span_ms)

    async def remove(self) -> bool:
        return await self._run("removeLimit") == 1

    async def now(self, limit: int | None = None) -> LimitsNow:
        """`limit`: the rate limit that `limited_for` is about; None: the queue's own."""
        reply = await self._run("getLimits", "" if limit is None else limit)
        concurrency, most, duration, active, limited_for = cast("list[int | str]", reply)
        return LimitsNow(_number(concurrency), _number(most), _number(duration), int(active), int(limited_for))


def _number(text: int | str) -> int | None:
    return None if text == "" else int(text)
