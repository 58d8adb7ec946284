"""One typed method for each script about what is done once."""

from __future__ import annotations

from typing import cast

from carequeue.store.script import Scripts

DIGITS = 20
"""Fences are compared as text: numbers lose digits in Lua."""


class OnceScripts(Scripts):
    """Claims and results. All of it may be repeated."""

    async def claim(self, key: str, fence: int, ttl_ms: int) -> tuple[str, str]:
        """What became of the claim, and the result if there is one."""
        state, result = cast("tuple[str, str]", await self._run("onceClaim", key, f"{fence:0{DIGITS}}", ttl_ms))
        return state, result

    async def done(self, key: str, fence: int, result: str, ttl_ms: int) -> bool:
        """False if somebody else has the claim now."""
        return await self._run("onceDone", key, f"{fence:0{DIGITS}}", result, ttl_ms) == 1
