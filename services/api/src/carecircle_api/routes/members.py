"""The members of a care circle, and invitations to it."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Body, Path, Response

from carecircle.usecases.circle import (
    MemberChanges,
    NewInvitation,
    accept_invitation,
    change_member,
    invite,
    list_members,
    remove_member,
)
from carecircle_api.deps import ServicesDep, WorkDep
from carecircle_api.schemas.pages import ListOf, PageDep, write_cursor
from carecircle_api.schemas.patients import (
    InvitationBody,
    MemberBody,
    MemberChangesBody,
    NewInvitationBody,
    PatientBody,
)
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id, Token

router = APIRouter(prefix="/v1", tags=["members"])


@router.get("/patients/{patient_id}/members", responses=problems(*IN_A_CIRCLE))
async def list_circle(patient_id: Id, work: WorkDep, request: PageDep) -> ListOf[MemberBody]:
    """Who belongs to the care circle."""
    page = await list_members(work.session, work.actor, patient_id, request)
    return ListOf(items=[MemberBody.of(view) for view in page.rows], next=write_cursor(page.next))


# Without an Idempotency-Key: the answer holds the token, which is kept nowhere. Inviting again replaces the invitation.
@router.post("/patients/{patient_id}/members", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def invite_member(
    patient_id: Id, body: NewInvitationBody, work: WorkDep, services: ServicesDep, response: Response
) -> InvitationBody:
    """Invite somebody (owners). The answer is the only place where the token is shown; pass it on to them."""
    new = NewInvitation(body.email, body.role, body.is_patient)
    invited = await invite(work.session, work.actor, patient_id, new, work.now)
    answer = InvitationBody.of(invited, services.settings.public_url)
    response.headers["Location"] = f"/v1/invitations/{invited.token}/accept"
    return answer


@router.patch("/patients/{patient_id}/members/{member_id}", responses=problems(*IN_A_CIRCLE, 409))
async def change_circle_member(
    patient_id: Id, member_id: Id, body: Annotated[MemberChangesBody, Body()], work: WorkDep
) -> MemberBody:
    """Change a role (owners), or whether a member is told of doses (owners, and everybody for themselves)."""
    changes = cast("MemberChanges", body)
    return MemberBody.of(await change_member(work.session, work.actor, patient_id, member_id, changes))


@router.delete("/patients/{patient_id}/members/{member_id}", status_code=204, responses=problems(*IN_A_CIRCLE, 409))
async def remove_circle_member(patient_id: Id, member_id: Id, work: WorkDep) -> None:
    """Remove a member (owners), or leave. Holds at once."""
    await remove_member(work.session, work.actor, patient_id, member_id)


@router.post(
    "/invitations/{token}/accept",
    status_code=201,
    responses=problems(*IN_A_CIRCLE, 409) | {200: {"model": PatientBody}},
)
async def accept_circle_invitation(
    token: Annotated[Token, Path(examples=["Jt4yO2dVd0mVq0ZB6o8j5o1G3Qb1q7c2d5e8f0a1b2c"])],
    work: WorkDep,
    response: Response,
) -> PatientBody:
    """Join a care circle with the account that the invitation names. Accepting again changes nothing."""
    view, joined = await accept_invitation(work.session, work.actor, token, work.now)
    response.headers["Location"] = f"/v1/patients/{view.patient.id}"
    if not joined:
        response.status_code = 200
    return PatientBody.of(view)
