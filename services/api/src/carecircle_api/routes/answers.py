"""Answers to the nearest dose of a medication, to many doses at once, and those of a phone that was offline."""

from __future__ import annotations

from fastapi import APIRouter, Response

from carecircle.usecases.accounts import get_account
from carecircle.usecases.binding import answer_medication
from carecircle.usecases.many_answers import Give, answer_all_at, answer_many
from carecircle_api.deps import Work
from carecircle_api.idempotency import CreatingDep, KeepingRoute
from carecircle_api.schemas.answers import AnswerResultBody, AnswerResultsBody, NewAnswersBody, OfflineAnswersBody
from carecircle_api.schemas.occurrences import AdministrationBody, NewAdministrationBody
from carecircle_api.schemas.problem import IN_A_CIRCLE, problems
from carecircle_api.schemas.values import Id

router = APIRouter(prefix="/v1", tags=["occurrences"], route_class=KeepingRoute)


@router.post("/medications/{medication_id}/administrations", status_code=201, responses=problems(*IN_A_CIRCLE, 409))
async def answer_nearest_dose(
    medication_id: Id, body: NewAdministrationBody, work: CreatingDep, response: Response
) -> AdministrationBody:
    """Answer without naming the dose: the one nearest to `at` is meant, if `at` lies in its window.

    If that dose was answered, that is a 409 `already_recorded`; if no window holds `at`, a 409 `no_dose_in_window`
    with the `candidates`.
    """
    given = await answer_medication(
        work.session, work.actor, medication_id, body.answer(work.now), work.now, horizon=work.plan_horizon
    )
    work.due_soon(given.patient_id)
    response.headers["Location"] = f"/v1/occurrences/{given.occurrence_id}/administrations/{given.id}"
    return AdministrationBody.of(given, await _name(work))


@router.post("/patients/{patient_id}/answers", responses=problems(*IN_A_CIRCLE, 409))
async def answer_many_doses(patient_id: Id, body: NewAnswersBody, work: CreatingDep) -> AnswerResultsBody:
    """Give one answer to many doses: "all of eight o'clock was taken". Each has its own result."""
    answer, which = body.answer(work.now), body.which()
    session, actor, now, horizon = work.session, work.actor, work.now, work.plan_horizon
    if isinstance(which, list):
        wishes = [Give(answer, one) for one in which]
        results = await answer_many(session, actor, patient_id, wishes, now, horizon=horizon)
    else:
        results = await answer_all_at(session, actor, patient_id, which, answer, now, horizon=horizon)
    work.due_soon(patient_id)
    name = await _name(work)
    return AnswerResultsBody(items=[AnswerResultBody.of(one, name) for one in results])


@router.post("/patients/{patient_id}/answers/offline", responses=problems(*IN_A_CIRCLE, 409))
async def send_offline_answers(patient_id: Id, body: OfflineAnswersBody, work: CreatingDep) -> AnswerResultsBody:
    """Send what was answered and undone without a connection, with your own ids and times.

    Send it again if no answer came: the same items have the same results, and nothing is written twice.
    """
    read = list(body.wishes())
    wishes = [one for one in read if not isinstance(one, list)]
    results = iter(await answer_many(work.session, work.actor, patient_id, wishes, work.now, horizon=work.plan_horizon))
    work.due_soon(patient_id)
    name = await _name(work)
    return AnswerResultsBody(
        items=[
            AnswerResultBody.refused(one) if isinstance(one, list) else AnswerResultBody.of(next(results), name)
            for one in read
        ]
    )


async def _name(work: Work) -> str:
    return (await get_account(work.session, work.actor)).display_name
