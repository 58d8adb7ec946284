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


class EmailTaken(Conflict):
    """There is an account with this e-mail address already; log in instead."""

    code = "email_taken"


class LastOwner(Conflict):
    """A care circle keeps at least one owner; make somebody else owner first."""

    code = "last_owner"


class AlreadyMember(Conflict):
    """This account is a member of the care circle already."""

    code = "already_member"


class OwnLoginTaken(Conflict):
    """The patient has a login of their own already."""

    code = "own_login_taken"


class InvitationOver(Conflict):
    """This invitation was used, was withdrawn or has run out; ask for a new one."""

    code = "invitation_over"


class InvitationForAnother(NotAllowed):
    """This invitation is for another e-mail address than your account's."""

    code = "invitation_for_another"


class WrongPassword(NotAllowed):
    """The current password is not right."""

    code = "wrong_password"


class LimitReached(Conflict):
    """There are as many of these as one may have; remove some first."""

    code = "limit_reached"


class RevisionMismatch(DomainError):
    """Somebody else changed this since you read it; read it again and repeat your change."""

    code = "revision_mismatch"


class OwnLoginStays(Conflict):
    """Nobody but the patient can take the patient's own login out of the care circle."""

    code = "own_login_stays"
