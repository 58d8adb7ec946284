"""Patients, the members of their care circle, and invitations to it."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from carecircle.domain.people import Role
from carecircle.domain.routine import Routine
from carecircle.usecases.circle import Invited, MemberView
from carecircle.usecases.patients import PatientView
from carecircle_api.schemas.values import Answer, Body, Email, Flag, Name, WallTime, ZoneName


class NewPatientBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"display_name": "Mum", "zone": "Europe/Berlin", "is_self": False}]}
    )

    display_name: Name
    zone: ZoneName = Field(description="The IANA zone where the patient lives: doses follow its wall clock.")
    is_self: Flag = Field(default=False, description="This account is the patient's own login.")


@with_config(ConfigDict(extra="forbid"))
class RoutineBody(TypedDict, total=False):
    """The times that are to change; a meal's `before_…` and `after_…` are half an hour from it."""

    wake_up: WallTime
    breakfast: WallTime
    lunch: WallTime
    dinner: WallTime
    bedtime: WallTime


@with_config(
    ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"zone": "America/New_York"}, {"routine": {"breakfast": "09:30", "bedtime": "23:15"}}]
        },
    )
)
class PatientChangesBody(TypedDict, total=False):
    """What is to change. A new zone moves the doses of the schedules that follow the patient, a new routine those
    that hang on it.
    """

    display_name: Name
    zone: ZoneName
    routine: RoutineBody


class RoutineAnswer(Answer):
    """What a schedule's `when` means for this patient."""

    wake_up: str
    breakfast: str
    lunch: str
    dinner: str
    bedtime: str


class PatientBody(Answer):
    id: UUID
    display_name: str
    zone: str
    routine: RoutineAnswer
    created_at: datetime
    role: Role = Field(description="Your role in this care circle.")
    is_self: bool = Field(description="You are this patient.")
    reminders: bool = Field(description="You are told when a dose is due.")
    supply_messages: bool = Field(description="You are told when a medicine runs low or expires.")

    @classmethod
    def of(cls, view: PatientView) -> Self:
        return cls(
            id=view.patient.id,
            display_name=view.patient.display_name,
            zone=view.patient.zone,
            routine=RoutineAnswer.model_validate(Routine.from_json(view.patient.routine).to_json()),
            created_at=view.patient.created_at,
            role=Role(view.membership.role),
            is_self=view.membership.is_patient,
            reminders=view.membership.reminders,
            supply_messages=view.membership.supply_messages,
        )


class MemberBody(Answer):
    id: UUID = Field(description="Of the membership: what PATCH and DELETE name.")
    account_id: UUID
    display_name: str
    email: str | None = Field(description="Only for owners, and your own.")
    role: Role
    is_patient: bool
    reminders: bool
    supply_messages: bool
    created_at: datetime

    @classmethod
    def of(cls, view: MemberView) -> Self:
        member = view.membership
        return cls(
            id=member.id,
            account_id=member.account_id,
            display_name=view.display_name,
            email=view.email,
            role=Role(member.role),
            is_patient=member.is_patient,
            reminders=member.reminders,
            supply_messages=member.supply_messages,
            created_at=member.created_at,
        )


@with_config(
    ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reminders": False}, {"supply_messages": True}]})
)
class MemberChangesBody(TypedDict, total=False):
    """What is to change. Owners change anything; everybody may change their own `reminders` and `supply_messages`."""

    role: Role
    reminders: Flag
    supply_messages: Flag


class NewInvitationBody(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ben@example.org", "role": "carer", "is_patient": False}]}
    )

    email: Email
    role: Role
    is_patient: Flag = Field(default=False, description="The invited person is the patient.")


class InvitationBody(Answer):
    """Pass `url` or `token` on to the invited person; neither is kept here, so neither can be shown again."""

    id: UUID
    email: str
    role: Role
    is_patient: bool
    token: str
    url: str
    expires_at: datetime

    @classmethod
    def of(cls, invited: Invited, public_url: str) -> Self:
        invitation = invited.invitation
        return cls(
            id=invitation.id,
            email=invitation.email,
            role=Role(invitation.role),
            is_patient=invitation.is_patient,
            token=invited.token,
            url=f"{public_url.rstrip('/')}/v1/invitations/{invited.token}/accept",
            expires_at=invitation.expires_at,
        )
