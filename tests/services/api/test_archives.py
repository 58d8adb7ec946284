"""The whole record leaves and comes back: nothing is lost, nothing of the past is sent, nothing half is kept."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.unit.carecircle.test_kinds_oracle import calendar_rules, interval_rules, steps_rules

from carecircle.db.accounts import Account
from carecircle.db.base import new_id
from carecircle.db.deliveries import Delivery
from carecircle.db.due import mark_enqueued
from carecircle.db.occurrences import Administration, OccurrenceRow
from carecircle.db.patients import Patient
from carecircle.domain.answer import NotDoneReason, Timing
from carecircle.domain.as_needed import AsNeededRule, Maximum
from carecircle.domain.dose import Dose
from carecircle.domain.errors import Invalid
from carecircle.domain.interval_rule import Anchor, IntervalRule
from carecircle.domain.routine import Routine
from carecircle.domain.schedule import SchedulePlan, ZonePolicy
from carecircle.domain.steps_rule import StepsRule
from carecircle.usecases.access import Actor
from carecircle.usecases.archiving import export_patient, import_patient
from carecircle_api.exports.json_file import archive_json, read_archive
from carecircle_api.schemas.archived_doses import ArchivedDoseBody
from carecircle_api.schemas.archives import ArchiveBody
from carecircle_api.schemas.schedule_bodies import body_of

UNUSABLE = "-"
NOW = datetime(2026, 4, 10, 8, 0, tzinfo=UTC)
TODAY = NOW.date()


def z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def exported(session, actor: Actor, patient_id: UUID, now: datetime = NOW) -> dict[str, Any]:
    parts = archive_json(await export_patient(session, actor, patient_id), now)
    return json.loads(b"".join([part async for part in parts]))


async def brought_in(session, actor: Actor, document: dict[str, Any], now: datetime = NOW):
    archive = await read_archive(ArchiveBody.model_validate(document), now)
    return await import_patient(session, actor, archive, now)


async def account(session) -> Actor:
    row = Account(id=new_id(), email=f"{uuid4().hex}@example.org", password_hash=UNUSABLE, display_name="Importer")
    session.add(row)
    await session.flush()
    return Actor(row.id)


def without_ids(document: dict[str, Any]) -> dict[str, Any]:
    """The document with places in place of ids, and what is of one instant in one order."""
    schedules: dict[str, str] = {}
    medications = []
    for n, medication in enumerate(document["medications"]):
        inner = []
        for m, schedule in enumerate(medication.get("schedules", [])):
            schedules[schedule["id"]] = f"{n}.{m}"
            inner.append({**schedule, "id": f"{n}.{m}"})
        medications.append({**medication, "id": str(n), "schedules": inner})
    doses = [{**dose, "id": "", "schedule_id": schedules[dose["schedule_id"]]} for dose in document["doses"]]
    doses.sort(
        key=lambda dose: (dose["due_at"], dose["schedule_id"], dose.get("revision", 1), dose["nominal_local_time"])
    )
    return {**document, "exported_at": "", "medications": medications, "doses": doses}


# ---- patients that Hypothesis makes

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cf"]), min_size=1, max_size=20).filter(
    str.strip
)
names = texts.map(str.strip)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Chatham", "Asia/Kathmandu", "UTC"])
doses = st.fixed_dictionaries(
    {
        "quantity": st.integers(1, 10_000_000).map(lambda n: n / 10_000).map(lambda n: int(n) if n == int(n) else n),
        "unit": names,
    }
)
past = st.datetimes(datetime(2025, 1, 1), datetime(2026, 4, 10, 7), timezones=st.just(UTC))  # noqa: DTZ001 - aware by it
ahead = st.integers(1, 40 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
lengths = st.none() | st.integers(1, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def plans(draw: st.DrawFn) -> SchedulePlan:

    start = TODAY + timedelta(days=draw(st.integers(-100, 10)))
    kind = draw(st.sampled_from([calendar_rules, steps_rules, interval_rules, None]))
    if kind is None:
        most = draw(
            st.none() | st.builds(Maximum, st.integers(1, 9), st.integers(1, 600).map(lambda n: timedelta(hours=n)))
        )
        rule: Any = AsNeededRule(draw(lengths), most)
    else:
        rule = draw(kind(start))
    if isinstance(rule, IntervalRule):
        start = rule.start.date()
        if rule.keeps_its_instants and draw(st.booleans()):
            rule = IntervalRule(rule.every, rule.start, rule.mode, Anchor.START, rule.window, draw(zones))
    counted = not isinstance(rule, StepsRule | AsNeededRule)
    dose = Dose(Decimal(draw(st.integers(1, 99_999))) / 100, draw(names))
    try:
        return SchedulePlan(
            rule=rule,
            start_date=rule.start_date if isinstance(rule, StepsRule) else start,
            end_date=rule.end_date
            if isinstance(rule, StepsRule)
            else draw(st.none() | st.just(start + timedelta(days=90))),
            zone=draw(st.none() | zones),
            zone_policy=draw(st.sampled_from([ZonePolicy.FOLLOW, ZonePolicy.HOME])),
            dose=rule.steps[0].dose if isinstance(rule, StepsRule) else dose,
            count=draw(st.none() | st.integers(1, 1000)) if counted else None,
            min_gap=draw(lengths),
            on_time=draw(lengths),
            missed_after=draw(lengths),
        )
    except Invalid:
        reject()


@st.composite
def answers(draw: st.DrawFn, *, standing: str | None) -> list[dict[str, Any]]:
    """Some that were taken back, and the one that stands at the end."""
    given = []
    statuses = [draw(st.sampled_from(["taken", "skipped"])) for _ in range(draw(st.integers(0, 2)))]
    at = draw(past)
    for n, status in enumerate([*statuses, *([standing] if standing else [])]):
        answer = {"status": status, "at": z(draw(past)), "dose": draw(doses), "recorded_by": draw(names)}
        answer["recorded_at"] = z(at + timedelta(seconds=n))
        if draw(st.booleans()):
            answer["reason"] = draw(names)
        if status == "taken" and draw(st.booleans()):
            answer |= {"dose_changed": True, "timing": draw(st.sampled_from(list(Timing))).value}
        if status == "skipped" and draw(st.booleans()):
            answer["reason_code"] = draw(st.sampled_from(list(NotDoneReason))).value
        if n < len(statuses):
            answer |= {
                "entered_in_error_at": z(at + timedelta(seconds=n, microseconds=7)),
                "entered_in_error_by": draw(names),
            }
        given.append(answer)
    return given


@st.composite
def dose_lists(draw: st.DrawFn, schedules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = []
    for n in range(draw(st.integers(0, 8))):
        schedule = draw(st.sampled_from(schedules))
        zone = draw(zones)
        state = draw(
            st.sampled_from(["taken", "skipped", "missed", "unknown", "on_hold", "cancelled", "planned", "due"])
        )
        due = draw(ahead) if state == "planned" else draw(past | ahead)
        local = due.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(microseconds=n)
        dose = {
            "id": str(UUID(int=n)),
            "schedule_id": schedule["id"],
            "revision": draw(st.integers(1, schedule["revision"])),
            "nominal_local_time": local.isoformat(),
            "zone": zone,
            "due_at": z(due),
            "missed_at": z(due + timedelta(hours=draw(st.integers(0, 12)))),
            "dose": draw(doses),
            "state": state,
            "remind_at": z(due),
            "reminder_step": 0 if state in {"planned", "due"} else draw(st.integers(0, 3)),
            "created_at": z(draw(past)),
            "updated_at": z(draw(past)),
            "answers": draw(answers(standing=state if state in {"taken", "skipped"} else None)),
        }
        if draw(st.booleans()):
            dose |= {"moved_from": z(due - timedelta(minutes=30)), "moved_at": z(draw(past))}
        if state not in {"planned"} and draw(st.booleans()):
            dose["reminded_step"] = draw(st.integers(0, 3))
        for name, values in (("note", ["gap", "as_needed"]), ("reason", ["superseded", "felt sick"])):
            if draw(st.booleans()):
                dose[name] = draw(st.sampled_from(values))
        made.append(dose)
    return made


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    medications = []
    for n in range(draw(st.integers(1, 3))):
        created = draw(past)
        schedules = []
        for m in range(draw(st.integers(1, 2))):
            plan = draw(plans())
            schedule = {
                "id": str(UUID(int=n * 10 + m)),
                "body": body_of(plan),
                "revision": draw(st.integers(1, 5)),
                "created_at": z(created),
                "valid_from": z(draw(past)),
                "planned_until": z(NOW + timedelta(hours=48)),
            }
            if isinstance(plan.rule, IntervalRule) and plan.rule.start_zone is not None:
                schedule["start_zone"] = plan.rule.start_zone
            if draw(st.booleans()):
                schedule["deleted_at"] = z(draw(past))
            schedules.append(schedule)
        medication = {"id": str(UUID(int=n)), "name": draw(names), "created_at": z(created + timedelta(microseconds=n))}
        medication |= {"status": draw(st.sampled_from(["active", "on_hold", "stopped", "completed"]))}
        medication |= {"severity": draw(st.sampled_from(["info", "normal", "time_critical", "critical"]))}
        for name in ("strength", "form", "instructions"):
            if draw(st.booleans()):
                medication[name] = draw(names)
        if draw(st.booleans()):
            medication["deleted_at"] = z(draw(past))
        medications.append({**medication, "schedules": schedules})
    medications.sort(key=lambda medication: datetime.fromisoformat(medication["created_at"]))
    patient: dict[str, Any] = {"display_name": draw(names), "zone": draw(zones)}
    if draw(st.booleans()):
        patient["routine"] = Routine(breakfast=time(9, 30), bedtime=time(0, 15)).to_json()
    every = [schedule for medication in medications for schedule in medication["schedules"]]
    return {
        "format": "carecircle-patient",
        "version": 1,
        "patient": patient,
        "medications": medications,
        "doses": draw(dose_lists(every)),
    }


def as_it_will_be(document: dict[str, Any]) -> dict[str, Any]:
    """The document after the changes that an import says it makes, written as an export would."""
    doses = []
    for written in document["doses"]:
        dose = dict(written)
        if dose["state"] in {"planned", "due"}:
            if datetime.fromisoformat(dose["due_at"]) <= NOW:
                reminded = "reminded_step" in dose
                dose["state"] = "missed" if reminded else "unknown"
                dose.pop("reason", None)
                if not reminded:
                    dose["reason"] = "not_reminded"
            else:
                dose["state"] = "planned"
                dose.pop("reminded_step", None)
        doses.append(dose)
    changed = ArchiveBody.model_validate({**document, "doses": []})
    written = changed.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    written["doses"] = [
        ArchivedDoseBody.model_validate(dose).model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude_defaults=True
        )
        for dose in doses
    ]
    return written


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=documents())
async def test_what_comes_in_goes_out_again_as_it_was(session, document):
    """Into a first patient, out, into a second one, out: equal but for ids and what an import says it changes."""
    outer = await session.begin_nested()
    actor = await account(session)
    first = await brought_in(session, actor, document)
    once = await exported(session, actor, first.patient_id)
    second = await brought_in(session, actor, once)
    twice = await exported(session, actor, second.patient_id)
    await outer.rollback()
    session.expunge_all()

    assert without_ids(once) == without_ids(as_it_will_be(document))
    assert without_ids(twice) == without_ids(once)


# ---- over HTTP


async def lived_in(circle) -> None:
    """Answers, one taken back, an edit, a pause, a dose as needed, a change of zone, a routine, a deletion."""
    owner = circle.owner
    schedule = await circle.schedule()
    other = await circle.schedule(times=["09:00"], days_of_week=["mon", "sun"], count=50, missed_after="PT2H")
    doses = await circle.occurrences()
    for dose, answer in zip(doses, ({"status": "taken"}, {"status": "skipped", "reason": "sick"}), strict=False):
        await owner.made(f"/v1/occurrences/{dose['id']}/administrations", answer)
    given = await owner.made(f"/v1/occurrences/{doses[2]['id']}/administrations", {"status": "taken"})
    await owner.delete(f"/v1/occurrences/{doses[2]['id']}/administrations/{given['id']}")
    await owner.post(f"/v1/occurrences/{doses[3]['id']}/snooze", {"minutes": 10})
    await owner.delete(f"/v1/schedules/{other['id']}")
    path = f"/v1/medications/{circle.medication['id']}/schedules"
    for body in (
        {"kind": "as_needed", "min_interval": "PT4H", "max": {"count": 4, "per": "PT24H"}},
        {"kind": "interval", "every": {"n": 8, "unit": "hour"}, "start": "2026-01-01T06:00", "zone_policy": "elapsed"},
        {"kind": "interval", "every": {"n": 2, "unit": "day"}, "anchor": "last_taken", "start": "2026-01-01T06:00"},
        {
            "kind": "calendar",
            "when": ["before_breakfast", "bedtime"],
            "start_date": "2026-01-01",
            "zone_policy": "home",
        },
    ):
        made = await owner.made(path, {"dose": {"quantity": 0.25, "unit": "tablet"}, **body})
        if made["kind"] == "as_needed":
            await owner.made(f"/v1/schedules/{made['id']}/administrations", {"reason": "headache"})
    steps = [{"start_date": "2026-01-01", "dose": {"quantity": 2.5, "unit": "mg"}, "days_of_week": ["tue"]}]
    await owner.made(path, {"kind": "taper", "times": ["07:00"], "steps": steps})
    await owner.put(f"/v1/schedules/{schedule['id']}", {**schedule_of(schedule), "times": ["01:00", "13:00", "19:00"]})
    await owner.patch(circle.path, {"zone": "America/New_York", "routine": {"breakfast": "09:30"}})
    paused = await owner.made(f"{circle.path}/medications", {"name": "Paused", "strength": "5 mg"})
    await owner.made(f"/v1/medications/{paused['id']}/schedules", schedule_of(schedule))
    await owner.patch(f"/v1/medications/{paused['id']}", {"status": "on_hold"})
    gone = await owner.made(f"{circle.path}/medications", {"name": "Gone", "instructions": "two\nlines"})
    await owner.made(f"/v1/medications/{gone['id']}/schedules", schedule_of(schedule))
    await owner.delete(f"/v1/medications/{gone['id']}")


def schedule_of(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("kind", "times", "days_of_week", "start_date", "dose")}


async def document_of(person, path: str) -> dict[str, Any]:
    answer = await person.get(f"{path}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith('attachment; filename="patient-20')
    return answer.json()


def up_to_its_mark(document: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Without how far ahead doses are planned, and those beyond the first document's mark: time goes on."""
    schedules = [schedule for medication in first["medications"] for schedule in medication["schedules"]]
    mark = min(schedule["planned_until"] for schedule in schedules)
    medications = [
        {**one, "schedules": [{**schedule, "planned_until": ""} for schedule in one["schedules"]]}
        for one in document["medications"]
    ]
    return {**document, "medications": medications, "doses": [one for one in document["doses"] if one["due_at"] < mark]}


async def test_a_life_with_everything_in_it_comes_back_as_it_was(anna, circle, hints):
    await lived_in(circle)
    document = await document_of(anna, circle.path)
    hints.patients.clear()

    answer = await anna.post("/v1/patients/import", document)

    assert answer.status_code == 201, answer.text
    done = answer.json()
    assert answer.headers["location"] == f"/v1/patients/{done['patient_id']}"
    assert done["patient_id"] != circle.patient["id"]
    assert [str(one) for one in hints.patients] == [done["patient_id"]]
    assert (done["medications"], done["doses"]["kept"]) == (3, len(document["doses"]))
    assert {dose["state"] for dose in document["doses"]} >= {"taken", "skipped", "planned", "cancelled", "on_hold"}
    again = await document_of(anna, answer.headers["location"])
    assert without_ids(up_to_its_mark(again, document)) == without_ids(up_to_its_mark(document, document))
    patient = (await anna.get(answer.headers["location"])).json()
    assert patient["role"] == "owner"


async def test_who_answered_keeps_their_name(anna, circle, person):
    ben = await person("ben")
    await circle.invite(ben, "carer")
    await circle.schedule()
    dose = (await circle.occurrences())[0]
    await ben.made(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"})

    done = await anna.made("/v1/patients/import", await document_of(anna, circle.path))

    listed = (await anna.get(f"/v1/patients/{done['patient_id']}/occurrences")).json()["items"]
    assert listed[0]["administration"]["recorded_by"]["display_name"] == "Ben"
    told = (await anna.get(f"/v1/occurrences/{listed[0]['id']}/explain")).json()
    assert "Ben" in json.dumps(told)


async def test_nothing_of_the_past_is_asked_for_and_what_is_to_come_is_planned_once(anna, circle, database):
    schedule = await circle.schedule()
    document = await document_of(anna, circle.path)
    now = datetime.now(UTC)
    template = document["doses"][0]
    for n, state in enumerate(["planned", "due"]):
        due = now - timedelta(minutes=10 * (n + 1))
        document["doses"].append(
            {
                **template,
                "id": str(uuid4()),
                "nominal_local_time": due.replace(tzinfo=None).isoformat(),
                "due_at": z(due),
                "remind_at": z(now + timedelta(minutes=5)),
                "missed_at": z(now + timedelta(hours=3)),
                "state": state,
                **({"reminded_step": 0} if n else {}),
            }
        )
    future = [dose["due_at"] for dose in document["doses"] if dose["due_at"] > z(now)]

    done = await anna.made("/v1/patients/import", document)

    assert done["doses"]["closed"] == 2
    assert done["doses"]["planned"] == len(future) == len(set(future))
    patient = UUID(done["patient_id"])
    async with database.transaction() as session:
        rows = (await session.scalars(select(OccurrenceRow).where(OccurrenceRow.patient_id == patient))).all()
        waiting = await mark_enqueued(session, until=now + timedelta(days=30), limit=1000, patient_id=patient)
        sent = await session.scalar(select(func.count()).select_from(Delivery).where(Delivery.patient_id == patient))
    assert sorted((row.state, row.reason) for row in rows if row.due_at <= now) == [
        ("missed", None),
        ("unknown", "not_reminded"),
    ]
    assert {one.row_id for one in waiting} == {row.id for row in rows if row.due_at > now}
    assert sent == 0
    unknown = next(row for row in rows if row.state == "unknown")
    await anna.made(f"/v1/occurrences/{unknown.id}/administrations", {"status": "taken"})
    assert schedule["id"] not in {str(row.schedule_id) for row in rows}


async def test_doses_that_nobody_has_planned_yet_are_planned(anna, circle, database):
    """An old document: its mark is behind, and of the time in between there are no doses."""
    await circle.schedule()
    document = await document_of(anna, circle.path)
    long_ago = z(datetime.now(UTC) - timedelta(days=30))
    document["doses"] = []
    for schedule in document["medications"][0]["schedules"]:
        schedule |= {"planned_until": long_ago, "valid_from": long_ago, "created_at": long_ago}
    done = await anna.made("/v1/patients/import", document)
    assert 7 <= done["doses"]["planned"] <= 9
    listed = (await anna.get(f"/v1/patients/{done['patient_id']}/occurrences")).json()["items"]
    assert min(dose["due_at"] for dose in listed) > z(datetime.now(UTC) - timedelta(minutes=1))


async def test_a_mark_far_ahead_silences_nothing_for_long(anna, circle, database):
    await circle.schedule()
    document = await document_of(anna, circle.path)
    document["medications"][0]["schedules"][0] |= {
        "planned_until": "2190-01-01T00:00:00Z",
        "valid_from": "2190-01-01T00:00:00Z",
    }
    done = await anna.made("/v1/patients/import", document)
    later = await document_of(anna, f"/v1/patients/{done['patient_id']}")
    (schedule,) = later["medications"][0]["schedules"]
    assert datetime.fromisoformat(schedule["planned_until"]) < datetime.now(UTC) + timedelta(days=3)
    assert datetime.fromisoformat(schedule["valid_from"]) <= datetime.now(UTC)


async def test_a_dry_run_says_the_same_and_keeps_nothing(anna, circle, database, hints):
    await lived_in(circle)
    document = await document_of(anna, circle.path)
    hints.patients.clear()
    async with database.transaction() as session:
        before = [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Patient, OccurrenceRow, Administration)
        ]

    answer = await anna.post("/v1/patients/import", document, params={"dry_run": "true"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["patient_id"] is None
    assert "location" not in answer.headers
    assert hints.patients == []
    async with database.transaction() as session:
        after = [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (Patient, OccurrenceRow, Administration)
        ]
    assert after == before
    done = await anna.made("/v1/patients/import", document)
    assert {**done, "patient_id": None, "dry_run": True} == answer.json()


def broken(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(document))
    place: Any = copy
    *way, last = path.split(".")
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[int(last) if isinstance(place, list) else last] = value
    return copy


WRONG = [
    ("format", "something-else", "format"),
    ("version", 2, "version"),
    ("patient.zone", "Mars/Base", "patient.zone"),
    ("patient.display_name", "", "patient.display_name"),
    ("medications.0.name", "x" * 201, "medications.0.name"),
    ("medications.0.colour", "red", "medications.0.colour"),
    ("medications.0.schedules.0.body.times", ["8"], "medications.0.schedules.0.body.times.0"),
    ("medications.0.schedules.0.body.times", ["08:00", "08:00"], "medications.0.schedules.0.body.times.1"),
    ("medications.0.schedules.0.body.kind", "moon", "medications.0.schedules.0.body.kind"),
    ("medications.0.schedules.0.start_zone", "UTC", "medications.0.schedules.0.start_zone"),
    ("doses.1.due_at", "yesterday", "doses.1.due_at"),
    ("doses.1.state", "lost", "doses.1.state"),
    ("doses.1.schedule_id", "00000000-0000-4000-8000-000000000001", "doses.1.schedule_id"),
    ("doses.1.zone", "Mars/Base", "doses.1.zone"),
    ("doses.1.revision", 99, "doses.1.revision"),
    ("doses.1.missed_at", "2001-01-01T00:00:00Z", "doses.1.missed_at"),
    ("doses.1.dose.quantity", -1, "doses.1.dose.quantity"),
    ("doses.1.state", "taken", "doses.1.answers"),
    ("doses.0.answers.0.at", "2026-13-01T00:00:00Z", "doses.0.answers.0.at"),
    ("doses.0.answers.0.status", "skipped", "doses.0.answers"),
    ("doses.0.answers.0.recorded_by", "", "doses.0.answers.0.recorded_by"),
    ("doses.0.state", "missed", None),
    ("doses.0.state", "planned", "doses.0.answers.0"),
    ("doses", {}, "doses"),
    ("doses.1", 7, "doses.1"),
]


@pytest.mark.parametrize(("path", "value", "named"), WRONG, ids=[f"{path}={value!r:.20}" for path, value, _ in WRONG])
async def test_what_is_wrong_is_named_and_nothing_is_kept(anna, circle, path, value, named, refused):
    await circle.schedule()
    dose = (await circle.occurrences())[0]
    await anna.made(f"/v1/occurrences/{dose['id']}/administrations", {"status": "taken"})
    document = await document_of(anna, circle.path)
    answer = await anna.post("/v1/patients/import", broken(document, path, value))
    if named is None:  # odd, but possible
        assert answer.status_code == 201
        return
    refused(answer, 422, "unknown_version" if path == "version" else "invalid", field=named)
    assert len((await anna.get("/v1/patients")).json()["items"]) == 1


async def test_every_error_is_named_not_only_the_first(anna, circle, refused):
    await circle.schedule()
    document = await document_of(anna, circle.path)
    document["doses"][0]["zone"] = document["doses"][3]["zone"] = "Nowhere"
    document["doses"][2]["id"] = document["doses"][1]["id"]
    problem = refused(await anna.post("/v1/patients/import", document), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["doses.0.zone", "doses.2.id", "doses.3.zone"]


async def test_only_this_path_takes_large_bodies_and_not_without_end(anna, circle, services, refused):
    limit = services.settings.max_import_bytes
    large = {"format": "carecircle-patient", "version": 1, "filler": "x" * services.settings.max_body_bytes}
    refused(await anna.post("/v1/patients", large), 413, "body_too_large")
    refused(await anna.post("/v1/patients/import", large), 422, "invalid", field="filler")
    refused(await anna.post("/v1/patients/import", {"filler": "x" * limit}), 413, "body_too_large")


async def test_a_person_imports_only_so_often(anna, circle, services, refused):
    for _ in range(services.throttle.imports):
        refused(await anna.post("/v1/patients/import", {}), 422, "invalid")
    refused(await anna.post("/v1/patients/import", {}), 429, "too_many_attempts")


async def test_a_hand_written_document_with_nothing_but_a_plan_is_enough(anna):
    document = {
        "format": "carecircle-patient",
        "version": 1,
        "patient": {"display_name": "Dad", "zone": "UTC"},
        "medications": [
            {
                "id": str(uuid4()),
                "name": "Metoprolol",
                "schedules": [
                    {
                        "id": str(uuid4()),
                        "body": {
                            "kind": "calendar",
                            "times": ["00:00", "12:00"],
                            "start_date": date(2026, 1, 1).isoformat(),
                            "dose": {"quantity": 1, "unit": "tablet"},
                        },
                    }
                ],
            }
        ],
    }
    done = await anna.made("/v1/patients/import", document)
    assert done["doses"] == {"kept": 0, "answers": 0, "closed": 0, "planned": done["doses"]["planned"]}
    assert 3 <= done["doses"]["planned"] <= 5


@pytest.mark.slow
async def test_years_of_doses_leave_and_come_back(anna, circle, database):
    """More than one page and one portion, in memory that does not grow with them: each page is read by itself."""
    schedule = await circle.schedule()
    document = await document_of(anna, circle.path)
    document["doses"] = [
        {
            "id": str(UUID(int=n)),
            "schedule_id": schedule["id"],
            "nominal_local_time": (datetime(2020, 1, 1) + timedelta(hours=6 * n)).isoformat(),  # noqa: DTZ001 - wall
            "zone": "UTC",
            "due_at": z(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=6 * n)),
            "missed_at": z(datetime(2020, 1, 1, 3, tzinfo=UTC) + timedelta(hours=6 * n)),
            "dose": {"quantity": 1, "unit": "tablet"},
            "state": "missed",
        }
        for n in range(4 * 365 * 4)
    ]
    done = await anna.made("/v1/patients/import", document)
    again = await document_of(anna, f"/v1/patients/{done['patient_id']}")
    history = [dose["nominal_local_time"] for dose in again["doses"] if dose["state"] == "missed"]
    assert len(history) == len(set(history)) == 4 * 365 * 4
    assert history == sorted(history)
