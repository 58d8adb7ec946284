"""What a schedule would do, asked over HTTP: the cases of the domain document as anybody can ask them."""

from __future__ import annotations

from typing import Any

import pytest

TABLET = {"quantity": 1, "unit": "tablet"}


def calendar(*times: str, start: str = "2026-01-01", **more: Any) -> dict[str, Any]:
    return {"kind": "calendar", "times": list(times), "start_date": start, "dose": TABLET} | more


def interval(n: int, unit: str, start: str, **more: Any) -> dict[str, Any]:
    return {"kind": "interval", "every": {"n": n, "unit": unit}, "start": start, "dose": TABLET} | more


TAPER = {
    "kind": "taper",
    "times": ["08:00"],
    "steps": [
        {"start_date": "2026-10-20", "end_date": "2026-10-26", "dose": {"quantity": 20, "unit": "mg"}},
        {"start_date": "2026-10-27", "end_date": "2026-11-02", "dose": {"quantity": 10, "unit": "mg"}},
        {"start_date": "2026-11-03", "end_date": "2026-11-09", "dose": {"quantity": 5, "unit": "mg"}},
    ],
}
NEW_YORK, BERLIN, LA = "America/New_York", "Europe/Berlin", "America/Los_Angeles"

# Case, zone, schedule, [since, until), what is due.
CASES = [
    ("1", NEW_YORK, calendar("08:00"), "2026-03-07T00:00", "2026-03-08T00:00", ["2026-03-07T13:00"]),
    ("2", NEW_YORK, calendar("08:00"), "2026-03-08T00:00", "2026-03-09T00:00", ["2026-03-08T12:00"]),
    ("3", NEW_YORK, calendar("02:30"), "2026-03-08T00:00", "2026-03-09T00:00", ["2026-03-08T07:30"]),
    ("4", NEW_YORK, calendar("02:30", "03:30"), "2026-03-08T00:00", "2026-03-09T00:00", ["2026-03-08T07:30"] * 2),
    ("5", NEW_YORK, calendar("01:30"), "2026-11-01T00:00", "2026-11-02T00:00", ["2026-11-01T05:30"]),
    (
        "6",
        NEW_YORK,
        calendar("08:00"),
        "2026-10-31T00:00",
        "2026-11-02T00:00",
        ["2026-10-31T12:00", "2026-11-01T13:00"],
    ),
    ("7 gap", BERLIN, calendar("02:30"), "2026-03-29T00:00", "2026-03-30T00:00", ["2026-03-29T01:30"]),
    ("7 fold", BERLIN, calendar("02:30"), "2026-10-25T00:00", "2026-10-26T00:00", ["2026-10-25T00:30"]),
    ("8 gap", "Europe/London", calendar("01:30"), "2026-03-29T00:00", "2026-03-30T00:00", ["2026-03-29T01:30"]),
    ("8 fold", "Europe/Dublin", calendar("01:30"), "2026-10-25T00:00", "2026-10-26T00:00", ["2026-10-25T00:30"]),
    ("10", "Asia/Kathmandu", calendar("08:00"), "2026-06-10T00:00", "2026-06-11T00:00", ["2026-06-10T02:15"]),
    ("10", "Asia/Kolkata", calendar("08:00"), "2026-06-10T00:00", "2026-06-11T00:00", ["2026-06-10T02:30"]),
    ("11", "Pacific/Chatham", calendar("08:00"), "2026-01-14T12:00", "2026-01-15T12:00", ["2026-01-14T18:15"]),
    ("11", "Pacific/Chatham", calendar("08:00"), "2026-07-14T12:00", "2026-07-15T12:00", ["2026-07-14T19:15"]),
    ("17", "America/Mexico_City", calendar("08:00"), "2026-07-01T00:00", "2026-07-02T00:00", ["2026-07-01T14:00"]),
    ("17", "Asia/Tehran", calendar("08:00"), "2026-07-01T00:00", "2026-07-02T00:00", ["2026-07-01T04:30"]),
    (
        "18",
        NEW_YORK,
        interval(8, "hour", "2026-03-07T22:00", mode="elapsed"),
        "2026-03-07T00:00",
        "2026-03-09T04:00",
        ["2026-03-08T03:00", "2026-03-08T11:00", "2026-03-08T19:00", "2026-03-09T03:00"],
    ),
    (
        "19",
        BERLIN,
        calendar("08:00", start="2026-03-28", every={"n": 2, "unit": "day"}),
        "2026-03-01T00:00",
        "2026-03-31T00:00",
        ["2026-03-28T07:00", "2026-03-30T06:00"],
    ),
    (
        "20",
        LA,
        calendar("21:00", days_of_week=["mon", "wed", "fri"]),
        "2026-10-30T12:00",
        "2026-11-04T00:00",
        ["2026-10-31T04:00", "2026-11-03T05:00"],
    ),
    (
        "22 clamp",
        BERLIN,
        calendar("09:00", days_of_month=[31]),
        "2026-02-01T00:00",
        "2026-04-01T00:00",
        ["2026-02-28T08:00", "2026-03-31T07:00"],
    ),
    (
        "22 skip",
        BERLIN,
        calendar("09:00", days_of_month=[31], month_end="skip"),
        "2026-02-01T00:00",
        "2026-04-01T00:00",
        ["2026-03-31T07:00"],
    ),
    (
        "23",
        "Pacific/Auckland",
        calendar("08:00", "20:00", end_date="2026-06-30"),
        "2026-06-29T12:00",
        "2026-08-01T00:00",
        ["2026-06-29T20:00", "2026-06-30T08:00"],
    ),
    ("26", NEW_YORK, TAPER, "2026-11-01T00:00", "2026-11-02T00:00", ["2026-11-01T13:00"]),
    ("26 over", NEW_YORK, TAPER, "2026-11-10T00:00", "2026-12-01T00:00", []),
    (
        "27",
        BERLIN,
        interval(3, "hour", "2026-03-01T09:00", mode="windowed", window={"from": "09:00", "to": "21:00"}),
        "2026-03-29T00:00",
        "2026-03-30T00:00",
        [f"2026-03-29T{hour:02}:00" for hour in (7, 10, 13, 16, 19)],
    ),
    ("29", NEW_YORK, calendar("00:10"), "2026-03-09T00:00", "2026-03-10T00:00", ["2026-03-09T04:10"]),
    (
        "21 days on, 7 off",
        BERLIN,
        calendar("08:00", start="2026-03-01", cycle={"on": 21, "off": 7}),
        "2026-03-21T00:00",
        "2026-03-30T00:00",
        ["2026-03-21T07:00", "2026-03-29T06:00"],
    ),
    (
        "three doses",
        BERLIN,
        calendar("08:00", "20:00", start="2026-06-01", count=3),
        "2026-01-01T00:00",
        "2027-01-01T00:00",
        ["2026-06-01T06:00", "2026-06-01T18:00", "2026-06-02T06:00"],
    ),
]


@pytest.fixture
def ask(anna):
    async def ask(schedule: dict[str, Any], zone: str | None, since: str, until: str, **more: Any) -> dict[str, Any]:
        body = {"schedule": schedule, "patient_zone": zone, "since": since + ":00Z", "until": until + ":00Z"} | more
        answer = await anna.post("/v1/schedules/preview", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def due(found: dict[str, Any]) -> list[str]:
    return [one["due_at"].removesuffix(":00Z") for one in found["occurrences"]]


async def test_the_cases_of_one_zone(ask, subtests):
    for name, zone, schedule, since, until, expected in CASES:
        with subtests.test(name):
            assert due(await ask(schedule, zone, since, until)) == expected


async def test_a_gap_is_explained(ask):
    found = await ask(calendar("02:30"), NEW_YORK, "2026-03-08T00:00", "2026-03-09T00:00")
    assert found["occurrences"] == [
        {
            "nominal_local": "2026-03-08T02:30",
            "zone": NEW_YORK,
            "due_at": "2026-03-08T07:30:00Z",
            "missed_at": "2026-03-08T19:00:00Z",
            "dose": TABLET,
            "notes": ["gap"],
        }
    ]


async def test_26_each_step_has_its_dose(ask):
    found = await ask(TAPER, NEW_YORK, "2026-10-26T00:00", "2026-11-04T00:00")
    assert [one["dose"]["quantity"] for one in found["occurrences"]] == [20] + [10] * 7 + [5]


@pytest.mark.parametrize(("mode", "expected"), [("calendar", "2026-03-27T08:00"), ("elapsed", "2026-03-27T09:15")])
async def test_30_from_the_last_dose_taken(ask, mode, expected):
    schedule = interval(3, "day", "2026-03-23T09:00", mode=mode, anchor="last_taken")
    taken = [{"at": "2026-03-24T09:15:00Z"}]
    found = await ask(schedule, BERLIN, "2026-03-23T00:00", "2026-03-28T00:00", taken=taken)
    assert due(found) == ["2026-03-23T08:00", expected]
    assert [one["notes"] for one in found["occurrences"]] == [[], ["after_taken"]]


async def test_31_and_32_as_needed(ask):
    four_hours = {"kind": "as_needed", "min_interval": "PT4H", "dose": TABLET}
    taken = [{"at": "2026-03-08T01:30:00-05:00"}]
    found = await ask(four_hours, NEW_YORK, "2026-03-08T00:00", "2026-03-09T00:00", taken=taken)
    assert found["occurrences"] == []
    assert found["as_needed"][0]["next_allowed_at"] == "2026-03-08T10:30:00Z"

    four_a_day = {"kind": "as_needed", "max": {"count": 4, "per": "PT24H"}, "dose": TABLET}
    taken = [{"at": f"2026-06-{at}:00:00Z"} for at in ("01T12", "01T16", "01T20", "02T00")]
    after = (await ask(four_a_day, "UTC", "2026-06-01T00:00", "2026-06-03T00:00", taken=taken))["as_needed"]
    assert [one["warning"] for one in after] == [None, None, "last_before_max", "max_reached"]
    assert after[-1]["next_allowed_at"] == "2026-06-02T12:00:00Z"


async def test_33_a_journey(ask):
    journey = [{"at": "2026-05-10T15:00:00Z", "zone": "Europe/Paris"}]
    period = ("2026-05-10T12:00", "2026-05-11T13:00")
    follow = await ask(calendar("08:00", "20:00"), NEW_YORK, *period, zone_changes=journey)
    home = await ask(calendar("08:00", "20:00", zone_policy="home"), NEW_YORK, *period, zone_changes=journey)
    assert due(follow) == ["2026-05-10T12:00", "2026-05-10T18:00", "2026-05-11T06:00"]
    assert [one["notes"] for one in follow["occurrences"]] == [[], ["zone_change"], []]
    assert due(home) == ["2026-05-10T12:00", "2026-05-11T00:00", "2026-05-11T12:00"]


async def test_what_a_journey_drops_is_said(ask):
    journey = [{"at": "2026-05-10T13:00:00Z", "zone": LA}]
    found = await ask(
        calendar("08:00", "20:00"), NEW_YORK, "2026-05-10T00:00", "2026-05-11T12:00", zone_changes=journey
    )
    assert due(found) == ["2026-05-10T00:00", "2026-05-10T12:00", "2026-05-11T03:00"]
    assert [(one["due_at"], one["notes"]) for one in found["dropped"]] == [
        ("2026-05-10T15:00:00Z", ["zone_change", "min_gap"])
    ]


async def test_a_smaller_gap_of_ones_own_keeps_it(ask):
    journey = [{"at": "2026-05-10T13:00:00Z", "zone": LA}]
    schedule = calendar("08:00", "20:00", min_gap="PT3H")
    found = await ask(schedule, NEW_YORK, "2026-05-10T12:00", "2026-05-11T12:00", zone_changes=journey)
    assert due(found) == ["2026-05-10T12:00", "2026-05-10T15:00", "2026-05-11T03:00"]


async def test_over_the_date_line_and_back(ask):
    """Auckland to Honolulu: 8 June is lived twice, and no dose is doubled within half the interval."""
    journey = [
        {"at": "2026-06-08T03:00:00Z", "zone": "Pacific/Honolulu"},
        {"at": "2026-06-12T03:00:00Z", "zone": "Pacific/Auckland"},
    ]
    found = await ask(
        calendar("08:00"), "Pacific/Auckland", "2026-06-07T00:00", "2026-06-15T00:00", zone_changes=journey
    )
    assert due(found) == [
        "2026-06-07T20:00", "2026-06-08T18:00", "2026-06-09T18:00", "2026-06-10T18:00", "2026-06-11T18:00",
        "2026-06-12T20:00", "2026-06-13T20:00", "2026-06-14T20:00",
    ]  # fmt: skip


async def test_elapsed_intervals_keep_their_instants_on_a_journey(ask):
    journey = [{"at": "2026-05-10T15:00:00Z", "zone": "Europe/Paris"}]
    schedule = interval(8, "hour", "2026-05-10T08:00", zone_policy="elapsed")
    found = await ask(schedule, NEW_YORK, "2026-05-10T00:00", "2026-05-11T13:00", zone_changes=journey)
    assert due(found) == ["2026-05-10T12:00", "2026-05-10T20:00", "2026-05-11T04:00", "2026-05-11T12:00"]
    assert [one["nominal_local"][11:] for one in found["occurrences"]] == ["08:00", "22:00", "06:00", "14:00"]


async def test_the_routine_of_a_request_counts(ask):
    schedule = {"kind": "calendar", "when": ["after_dinner"], "start_date": "2026-01-01", "dose": TABLET}
    period = ("UTC", "2026-06-01T00:00", "2026-06-02T00:00")
    assert due(await ask(schedule, *period)) == ["2026-06-01T19:00"]
    assert due(await ask(schedule, *period, routine={"dinner": "20:15"})) == ["2026-06-01T20:45"]


async def test_any_period_of_the_past_may_be_asked(ask):
    found = await ask(calendar("08:00", start="2005-01-01"), "Pacific/Apia", "2011-12-29T00:00", "2012-01-01T00:00")
    assert due(found) == ["2011-12-29T18:00", "2011-12-30T18:00", "2011-12-31T18:00"]


async def test_very_many_doses_are_cut_and_it_is_said(ask):
    every_five = interval(5, "minute", "2026-01-01T00:00")
    found = await ask(every_five, "UTC", "2026-01-01T00:00", "2035-12-31T00:00")
    assert (len(found["occurrences"]), found["truncated"]) == (5000, True)


REFUSED = [
    ({"patient_zone": "Mars/Olympus"}, "patient_zone"),
    ({"patient_zone": None}, "patient_zone"),
    ({"until": "2026-01-01T00:00:00Z"}, "until"),
    ({"until": "2099-01-01T00:00:00Z"}, "until"),
    ({"since": "yesterday"}, "since"),
    ({"schedule": None}, "schedule"),
    ({"schedule": {}}, "schedule.kind"),
    ({"schedule": {"kind": "lunar"}}, "schedule.kind"),
    ({"schedule": calendar("08:00", start="2026-02-30")}, "schedule.start_date"),
    ({"schedule": calendar("08:00", "08:00")}, "schedule.times.1"),
    ({"schedule": calendar("8:00")}, "schedule.times.0"),
    ({"zone_changes": [{"at": "2026-01-01T00:00:00Z", "zone": "EST"}]}, "zone_changes.0.zone"),
    ({"taken": [{"at": "08:00"}]}, "taken.0.at"),
    ({"routine": {"dinner": "24:00"}}, "routine.dinner"),
    ({"routine": {"dinner": "07:00"}}, "routine.dinner"),
    ({"colour": "red"}, "colour"),
]


async def test_bad_questions_name_the_field(anna, refused, subtests):
    good = {
        "schedule": calendar("08:00"),
        "patient_zone": "UTC",
        "since": "2026-01-01T00:00:00Z",
        "until": "2026-02-01T00:00:00Z",
    }
    for changes, field in REFUSED:
        with subtests.test(str(changes)[:60]):
            refused(await anna.post("/v1/schedules/preview", good | changes), 422, "invalid", field=field)


class TestSaved:
    async def test_it_says_what_is_due_and_who_is_told_how(self, anna, circle):
        made = await circle.schedule(times=["00:00", "12:00"])
        found = (await anna.get(f"/v1/schedules/{made['id']}/preview?days=2")).json()
        assert len(found["occurrences"]) == 4
        assert found["recipients"] == [
            {"account_id": anna.account["id"], "display_name": anna.account["display_name"], "channels": ["email"]}
        ]
        assert found["paused"] is False
        assert [one["due_at"] for one in found["occurrences"][:3]] == [
            one["due_at"] for one in made["next_occurrences"]
        ]

    async def test_a_break_is_said(self, anna, circle):
        made = await circle.schedule()
        await anna.patch(f"/v1/medications/{circle.medication['id']}", {"status": "on_hold"})
        assert (await anna.get(f"/v1/schedules/{made['id']}/preview")).json()["paused"] is True

    async def test_it_is_for_the_circle_only(self, circle, person, refused):
        made = await circle.schedule()
        stranger = await person("stranger")
        refused(await stranger.get(f"/v1/schedules/{made['id']}/preview"), 404, "not_found")


async def test_a_dose_explains_itself(anna, circle):
    await circle.schedule()
    [dose, *_] = await circle.occurrences()
    await anna.post(f"/v1/occurrences/{dose['id']}/administrations", {"status": "skipped", "reason": "Felt sick"})
    found = (await anna.get(f"/v1/occurrences/{dose['id']}/explain")).json()
    assert found["state"] == "skipped"
    assert [step["code"] for step in found["steps"]] == ["planned", "skipped"]
    assert "Secretamol" not in str(found)


class TestImport:
    async def test_what_was_read_can_be_previewed_and_saved(self, anna, circle):
        body = {"rrule": "FREQ=MONTHLY;BYMONTHDAY=31;BYHOUR=9", "start": "2026-01-31T09:00", "dose": TABLET}
        found = (await anna.post("/v1/schedules/import", body)).json()
        assert found["schedule"]["month_end"] == "skip"
        preview = {"patient_zone": BERLIN, "since": "2026-01-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"}
        asked = await anna.post("/v1/schedules/preview", preview | {"schedule": found["schedule"]})
        assert due(asked.json()) == ["2026-01-31T08:00", "2026-03-31T07:00"]
        await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", found["schedule"])

    async def test_an_hourly_rule_comes_as_an_interval(self, anna, circle):
        body = {"rrule": "FREQ=HOURLY;INTERVAL=8;UNTIL=20261231", "start": "2026-11-24T22:00", "dose": TABLET}
        found = (await anna.post("/v1/schedules/import", body)).json()
        assert (found["schedule"]["kind"], found["schedule"]["start"]) == ("interval", "2026-11-24T22:00")
        assert found["notes"]
        await anna.made(f"/v1/medications/{circle.medication['id']}/schedules", found["schedule"])

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"rrule": "FREQ=SECONDLY", "start": "2026-01-31T09:00"}, "rrule"),
            ({"rrule": "FREQ=MINUTELY", "start": "2026-01-31T09:00"}, "rrule"),
            ({"rrule": "FREQ=DAILY;COUNT=1000000", "start": "2026-01-31T09:00"}, "rrule"),
            ({"rrule": "FREQ=DAILY"}, "start"),
            ({}, "rrule"),
            ({"rrule": "FREQ=DAILY", "start": "2026-01-31T09:00", "icalendar": "x"}, "rrule"),
            ({"icalendar": "BEGIN:VEVENT"}, "icalendar"),
            ({"rrule": "FREQ=DAILY", "start": "2026-01-31T09:00", "zone": "EST"}, "zone"),
        ],
    )
    async def test_bombs_and_nonsense_are_refused(self, anna, refused, body, field):
        refused(await anna.post("/v1/schedules/import", body | {"dose": TABLET}), 422, "invalid", field=field)
