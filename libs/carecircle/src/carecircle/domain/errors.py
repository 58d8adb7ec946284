"""Expected refusals, each with a stable code. Only the API knows which HTTP status a code means."""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """A wish that the rules refuse. The docstring is the default message."""

    code: ClassVar[str] = "refused"

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.field = field
        """Which part of the input is meant, dotted (`times.1`), where one is."""
        super().__init__(self.message)


class NotFound(DomainError):
    """There is nothing with this id in your care circles."""

    code = "not_found"


class NotAllowed(DomainError):
    """Your role in this care circle does not allow this."""

    code = "not_allowed"


class Invalid(DomainError):
    """The input does not make sense."""

    code = "invalid"


class Conflict(DomainError):
    """What is stored stands in the way of this."""

    code = "conflict"
