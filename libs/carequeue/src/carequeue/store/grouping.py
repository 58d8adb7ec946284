"""One typed method for each script about the groups of a queue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from carequeue.store.reading import Fields, pairs
from carequeue.store.script import Scripts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALL_GROUPS = ""
"""In the place of a group's id: what holds for those that have no settings of their own."""


@dataclass(frozen=True, slots=True)
class GroupNow:
    """A group as the scripts describe it: `status` is ready, paused, maxed or limited."""

    id: str
    waiting: int
    active: int
    status: str
    limited_for: int
    """How many ms its rate limit lets nothing start."""


class Grouping(Scripts):
    """Groups. All of it may be repeated."""

    async def get(self, group_id: str) -> tuple[GroupNow, Mapping[str, int], Mapping[str, int]]:
        """The group, its own settings, and those of all groups."""
        described, own, shared = await self._run("getGroup", group_id)
        return GroupNow(*described), _settings(own), _settings(shared)

    async def page(self, cursor: str, count: int) -> tuple[str, list[GroupNow]]:
        """Some groups with waiting or active jobs, and the cursor of the next page; empty at first and at the end."""
        cursor, described = await self._run("getGroups", cursor, count)
        return cursor, [GroupNow(*each) for each in described]

    async def jobs(self, group_id: str, first: int, count: int) -> tuple[int, Sequence[tuple[str, Fields]]]:
        """How many jobs wait in the group, and those on the `count` places from `first` on."""
        places, flat = await self._run("getGroupJobs", group_id, first, count)
        return places, [(flat[at], pairs(flat[at + 1])) for at in range(0, len(flat), 2)]

    async def change(self, group_id: str, **values: int | None) -> None:
        """Change settings by their names in the hash of settings; None removes one."""
        arguments: list[str | int] = []
        for field, value in values.items():
            arguments += (field, "" if value is None else value)
        await self._run("changeGroup", group_id, *arguments)

    async def place(self, cursor: str, count: int) -> str:
        """Let what holds for all groups take effect on some; the cursor is 0 at first and at the end."""
        return cast("str", await self._run("placeGroups", cursor, count))

    async def limit(self, group_id: str, span_ms: int) -> None:
        await self._run("limitGroup", group_id, span_ms)

    async def remove_limit(self, group_id: str) -> bool:
        return await self._run("removeGroupLimit", group_id) == 1

    async def drain(self, group_id: str, now: int, first: int, count: int) -> tuple[int, int]:
        """Remove waiting jobs: how many of the `count` places from `first` on had one, and how many of these went."""
        looked, gone = await self._run("drainGroup", now, group_id, first, count)
        return looked, gone


def _settings(text: str) -> Mapping[str, int]:
    stored: Any = json.loads(text or "{}")
    return {name: int(value) for name, value in stored.items()}
