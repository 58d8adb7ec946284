"""Bad schedules of every kind: each gets a 422 that says what, where and what would be right, and nothing is saved."""

from __future__ import annotations

from typing import Any

import pytest

TABLET = {"quantity": 1, "unit": "tablet"}
GOOD: dict[str, dict[str, Any]] = {
    "calendar": {"kind": "calendar", "times": ["08:00"], "start_date": "2026-03-02", "dose": TABLET},
    "interval": {
        "kind": "interval",
        "every": {"n": 8, "unit": "hour"},
        "start": "2026-03-02T08:00",
        "dose": TABLET,
    },
    "steps": {
        "kind": "steps",
        "times": ["08:00"],
        "steps": [
            {"start_date": "2026-03-02", "end_date": "2026-03-08", "dose": TABLET},
            {"start_date": "2026-03-09", "end_date": "2026-03-15", "dose": TABLET},
        ],
    },
    "as_needed": {
        "kind": "as_needed",
        "min_interval": "PT4H",
        "max": {"count": 4, "per": "PT24H"},
        "dose": TABLET,
    },
}
STEP = {"start_date": "2026-03-02", "dose": TABLET}

NEVER = {"every": {"n": 12, "unit": "month"}, "days_of_month": [30], "month_end": "skip"}  # from February on

# What is changed of a good one, and the field that the refusal names.
CALENDAR = [
    ({"times": None}, "times"),
    ({"times": None, "when": []}, "when"),
    ({"when": ["breakfast"]}, "when"),
    ({"times": None, "when": ["teatime"]}, "when.0"),
    ({"times": None, "when": ["breakfast", "breakfast"]}, "when.1"),
    ({"every": {"n": 0, "unit": "day"}}, "every.n"),
    ({"every": {"n": -1, "unit": "day"}}, "every.n"),
    ({"every": {"n": 367, "unit": "day"}}, "every.n"),
    ({"every": {"n": 54, "unit": "week"}}, "every.n"),
    ({"every": {"n": 25, "unit": "month"}}, "every.n"),
    ({"every": {"n": 10**20, "unit": "day"}}, "every.n"),
    ({"every": {"n": 1.5, "unit": "day"}}, "every.n"),
    ({"every": {"n": "2", "unit": "day"}}, "every.n"),
    ({"every": {"n": True, "unit": "day"}}, "every.n"),
    ({"every": {"n": 2, "unit": "hour"}}, "every.unit"),
    ({"every": {"n": 2}}, "every.unit"),
    ({"every": 2}, "every"),
    ({"every": {"n": 2, "unit": "day", "phase": 1}}, "every.phase"),
    ({"days_of_month": []}, "days_of_month"),
    ({"days_of_month": [0]}, "days_of_month.0"),
    ({"days_of_month": [1, 32]}, "days_of_month.1"),
    ({"days_of_month": [-1]}, "days_of_month.0"),
    ({"days_of_month": [31, 31]}, "days_of_month.1"),
    ({"days_of_month": ["31"]}, "days_of_month.0"),
    ({"days_of_month": [1], "every": {"n": 2, "unit": "week"}}, "days_of_month"),
    ({"month_end": "wrap"}, "month_end"),
    ({"cycle": {"on": 0, "off": 7}}, "cycle.on"),
    ({"cycle": {"on": 21, "off": 0}}, "cycle.off"),
    ({"cycle": {"on": 21, "off": 367}}, "cycle.off"),
    ({"cycle": {"on": 21}}, "cycle.off"),
    ({"cycle": [21, 7]}, "cycle"),
    ({"count": 0}, "count"),
    ({"count": -3}, "count"),
    ({"count": 1001}, "count"),
    ({"count": "ten"}, "count"),
    ({"end_date": "2026-03-01"}, "end_date"),
    ({"end_date": "2026-03-05", "days_of_week": ["sat"]}, "days_of_week"),
    ({**NEVER, "start_date": "2026-02-01"}, "days_of_week"),
    ({"zone_policy": "elapsed"}, "zone_policy"),
    ({"min_gap": "4 hours"}, "min_gap"),
    ({"min_gap": "PT0M"}, "min_gap"),
    ({"min_gap": "P8D"}, "min_gap"),
    ({"min_gap": "P1M"}, "min_gap"),
    ({"min_gap": "-PT4H"}, "min_gap"),
    ({"min_gap": 4}, "min_gap"),
    ({"min_gap": "PT99999999999999H"}, "min_gap"),
    ({"on_time": "PT1S"}, "on_time"),
    ({"missed_after": ""}, "missed_after"),
    ({"severity": "urgent"}, "severity"),
    ({"window": {"from": "09:00", "to": "21:00"}}, "window"),
    ({"dose": None}, "dose"),
    ({"dose": {"quantity": 1}}, "dose.unit"),
]  # fmt: skip
INTERVAL = [
    ({"every": None}, "every"),
    ({"every": {"n": 0, "unit": "hour"}}, "every.n"),
    ({"every": {"n": 4, "unit": "minute"}}, "every.n"),
    ({"every": {"n": 367, "unit": "day"}}, "every.n"),
    ({"every": {"n": 10**18, "unit": "minute"}}, "every.n"),
    ({"every": {"n": 1, "unit": "week"}}, "every.unit"),
    ({"start": None}, "start"),
    ({"start": "2026-03-02"}, "start"),
    ({"start": "2026-03-02T08:00Z"}, "start"),
    ({"start": "2026-03-02T08:00:30"}, "start"),
    ({"start": "2026-02-30T08:00"}, "start"),
    ({"start": "1999-03-02T08:00"}, "start"),
    ({"start": "2026-03-02 08:00"}, "start"),
    ({"start": 1772000000}, "start"),
    ({"start_date": "2026-03-03"}, "start_date"),
    ({"mode": "calendar"}, "mode"),
    ({"mode": "sometimes"}, "mode"),
    ({"mode": "windowed"}, "window"),
    ({"mode": "elapsed", "window": {"from": "09:00", "to": "21:00"}}, "window"),
    ({"window": {"from": "09:00", "to": "09:00"}}, "window.to"),
    ({"window": {"from": "9:00", "to": "21:00"}}, "window.from"),
    ({"window": {"from": "09:00", "to": "24:00"}}, "window.to"),
    ({"window": {"from": "09:00"}}, "window.to"),
    ({"window": {"from": "09:00", "to": "21:00"}, "every": {"n": 1, "unit": "day"}}, "every"),
    ({"anchor": "breakfast"}, "anchor"),
    ({"end_date": "2026-03-01"}, "end_date"),
    ({"count": 0}, "count"),
    ({"times": ["08:00"]}, "times"),
    ({"zone": "UTC+2"}, "zone"),
]
STEPS = [
    ({"steps": []}, "steps"),
    ({"steps": None}, "steps"),
    ({"steps": [STEP] * 61}, "steps"),
    ({"steps": [{"start_date": "2026-03-02"}]}, "steps.0.dose"),
    ({"steps": [STEP | {"dose": {"quantity": 0, "unit": "mg"}}]}, "steps.0.dose.quantity"),
    ({"steps": [STEP | {"end_date": "2026-03-01"}]}, "steps.0.end_date"),
    ({"steps": [STEP | {"days_of_week": []}]}, "steps.0.days_of_week"),
    ({"steps": [STEP | {"days_of_week": ["mon", "mon"]}]}, "steps.0.days_of_week.1"),
    ({"steps": [STEP | {"start_date": "02.03.2026"}]}, "steps.0.start_date"),
    ({"steps": [STEP, STEP]}, "steps.1"),
    ({"steps": [STEP | {"days_of_week": ["mon"]}, STEP | {"days_of_week": ["tue", "mon"]}]}, "steps.1"),
    ({"steps": [STEP | {"colour": "red"}]}, "steps.0.colour"),
    ({"times": None}, "times"),
    ({"times": ["08:00"], "when": ["bedtime"]}, "when"),
    ({"start_date": "2026-04-01"}, "end_date"),
    ({"end_date": "2026-03-01"}, "end_date"),
    ({"count": 5}, "count"),
]
AS_NEEDED = [
    ({"min_interval": "4h"}, "min_interval"),
    ({"min_interval": "PT0H"}, "min_interval"),
    ({"min_interval": "P32D"}, "min_interval"),
    ({"max": {"count": 0, "per": "PT24H"}}, "max.count"),
    ({"max": {"count": 101, "per": "PT24H"}}, "max.count"),
    ({"max": {"count": 4}}, "max.per"),
    ({"max": {"count": 4, "per": "PT0M"}}, "max.per"),
    ({"max": {"count": 4, "per": "P32D"}}, "max.per"),
    ({"max": 4}, "max"),
    ({"times": ["08:00"]}, "times"),
    ({"dose": None}, "dose"),
]
CORPUS = {"calendar": CALENDAR, "interval": INTERVAL, "steps": STEPS, "as_needed": AS_NEEDED}


@pytest.fixture
def path(circle) -> str:
    return f"/v1/medications/{circle.medication['id']}/schedules"


@pytest.mark.parametrize("kind", list(CORPUS))
async def test_the_good_one_is_good(path, anna, kind):
    made = await anna.made(path, GOOD[kind])
    assert made["kind"] == kind


@pytest.mark.parametrize("kind", list(CORPUS))
async def test_each_bad_one_names_its_field(path, anna, refused, kind, subtests):
    for changes, field in CORPUS[kind]:
        with subtests.test(f"{kind} {str(changes)[:60]}"):
            problem = refused(await anna.post(path, GOOD[kind] | changes), 422, "invalid", field=field)
            assert all(len(error["message"]) > 10 for error in problem["errors"])
    assert (await anna.get(path)).json()["items"] == []


@pytest.mark.parametrize("body", [None, [], "calendar", {}, {"kind": "lunar"}, {"kind": None}, {"kind": ["calendar"]}])
async def test_what_is_no_schedule_at_all(path, anna, refused, body):
    refused(await anna.post(path, body), 422, "invalid")


async def test_a_schedule_may_change_its_kind(path, anna):
    made = await anna.made(path, GOOD["calendar"])
    one = f"/v1/schedules/{made['id']}"
    for kind in ("interval", "steps", "as_needed", "calendar"):
        changed = await anna.put(one, GOOD[kind])
        assert (changed.status_code, changed.json()["kind"]) == (200, kind), changed.text
        assert (await anna.get(one)).json()["kind"] == kind


async def test_what_is_answered_can_be_sent_back(path, anna):
    """Every field that a body has comes back with the same value, so that a form can be filled from an answer."""
    for body in GOOD.values():
        made = await anna.made(path, body)
        assert {name: made[name] for name in body if name != "steps"} == {
            name: value for name, value in body.items() if name != "steps"
        }
        for sent, answered in zip(body.get("steps", []), made.get("steps", []), strict=True):
            assert {name: answered[name] for name in sent} == sent
