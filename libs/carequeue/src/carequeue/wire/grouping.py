"""The group of a job as its options say it, in the words of BullMQ Pro; BullMQ itself keeps and ignores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from carequeue.errors import InvalidOption
from carequeue.group import MAX_PRIORITY, Group

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode_group(group: str | Group) -> dict[str, object]:
    said = group if isinstance(group, Group) else Group(group)
    return {"id": said.id} if said.priority is None else {"id": said.id, "priority": said.priority}


def decode_group(raw: Mapping[str, Any]) -> Group | None:
    """The group in stored options; what cannot be one counts as unsaid."""
    stored = _stored(raw)
    priority = stored.get("priority")
    try:
        return Group(group_id(raw) or "", priority if isinstance(priority, int) else None)
    except InvalidOption:
        return None


def group_id(raw: Mapping[str, Any]) -> str | None:
    """The id of the group in stored options; BullMQ Pro allows numbers."""
    found = _stored(raw).get("id")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


def wire_priority(raw: Mapping[str, Any]) -> int:
    """The priority that a job with these options starts with: in its group if it has one, else among the others."""
    priority = _stored(raw).get("priority", raw.get("priority"))
    return min(int(priority), MAX_PRIORITY) if isinstance(priority, int | float) else 0


def _stored(raw: Mapping[str, Any]) -> dict[str, Any]:
    stored = raw.get("group")
    return cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}
