"""Who may do what in a care circle."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    CARER = "carer"
    VIEWER = "viewer"


class Action(StrEnum):
    READ = "read"
    ANSWER = "answer"
    """Mark taken or skipped, undo, snooze."""
    EDIT = "edit"
    """Medications and schedules."""
    MANAGE = "manage"
    """The patient's record, members and invitations."""


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.OWNER: frozenset(Action),
    Role.CARER: frozenset({Action.READ, Action.ANSWER, Action.EDIT}),
    Role.VIEWER: frozenset({Action.READ}),
}
OWN_LOGIN = frozenset({Action.READ, Action.ANSWER, Action.EDIT})
"""What the patient's own login may do, whatever its role."""


def may(role: Role, action: Action, *, is_patient: bool = False) -> bool:
    """Whether a member of the circle may do this."""
    return action in ALLOWED[role] or (is_patient and action in OWN_LOGIN)


def starts_reminded(role: Role) -> bool:
    """Whether a new member is told when a dose is due, until they say otherwise."""
    return role is not Role.VIEWER
