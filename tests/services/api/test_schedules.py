"""Schedules over HTTP: what goes in, what comes back, and two people who change one at a time."""

from __future__ import annotations

import asyncio
import json

import pytest


@pytest.fixture
def path(circle) -> str:
    return f"/v1/medications/{circle.medication['id']}/schedules"


async def test_a_schedule_can_be_read_back(path, anna, schedule, circle, hints):
    body = schedule(times=["20:00", "08:00"], days_of_week=["wed", "mon"], dose={"quantity": 0.5, "unit": "tablet"})
    answer = await anna.post(path, body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["times"] == ["08:00", "20:00"]
    assert made["days_of_week"] == ["mon", "wed"]
    assert made["dose"] == {"quantity": 0.5, "unit": "tablet"}
    assert made["revision"] == 1
    assert made["zone"] is None
    assert made["zone_in_force"] == "Europe/Berlin"
    assert len(made["next_occurrences"]) == 3
    assert (await anna.get(answer.headers["location"])).json() == made
    assert (await anna.get(path)).json() == {"items": [made], "next": None}
    assert str(hints.patients[-1]) == circle.patient["id"]


async def test_whole_amounts_are_whole_numbers(path, anna, schedule):
    made = await anna.post(path, schedule(dose={"quantity": 2, "unit": "drops"}))
    assert '"quantity":2,' in made.text.replace("2.0", "2")
    assert made.json()["dose"]["quantity"] == 2


BAD_SCHEDULES = [
    ({"kind": "elapsed"}, "kind"),
    ({"kind": None}, "kind"),
    ({"times": []}, "times"),
    ({"times": "08:00"}, "times"),
    ({"times": ["08:00", "08:00"]}, "times.1"),
    ({"times": ["8:00"]}, "times.0"),
    ({"times": ["24:00"]}, "times.0"),
    ({"times": ["08:60"]}, "times.0"),
    ({"times": ["08:00:00"]}, "times.0"),
    ({"times": ["08:00\n"]}, "times.0"),
    ({"times": ["\u0660\u0668:\u0660\u0660"]}, "times.0"),  # Arabic-Indic digits
    ({"times": [800]}, "times.0"),
    ({"times": [f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 20, 40)]}, "times"),
    ({"days_of_week": []}, "days_of_week"),
    ({"days_of_week": ["monday"]}, "days_of_week.0"),
    ({"days_of_week": ["mon", "mon"]}, "days_of_week.1"),
    ({"start_date": "2026-02-30"}, "start_date"),
    ({"start_date": "1999-12-31"}, "start_date"),
    ({"start_date": "2201-01-01"}, "start_date"),
    ({"start_date": "2026-01-01T00:00:00Z"}, "start_date"),
    ({"start_date": 20260101}, "start_date"),
    ({"start_date": None}, "start_date"),
    ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date"),
    ({"start_date": "2026-03-02", "end_date": "2026-03-02", "days_of_week": ["tue"]}, "days_of_week"),
    ({"dose": None}, "dose"),
    ({"dose": {"quantity": 0, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": -1, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": "1", "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": True, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": 1e300, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": 10**30, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": 0.00001, "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": float("nan"), "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": float("inf"), "unit": "tablet"}}, "dose.quantity"),
    ({"dose": {"quantity": 1, "unit": ""}}, "dose.unit"),
    ({"dose": {"quantity": 1, "unit": "t\u0000"}}, "dose.unit"),
    ({"dose": {"quantity": 1, "unit": "\ud800"}}, "dose.unit"),
    ({"dose": {"quantity": 1, "unit": "x" * 51}}, "dose.unit"),
    ({"dose": {"quantity": 1, "unit": "tablet", "route": "oral"}}, "dose.route"),
    ({"zone": "Mars/Olympus"}, "zone"),
    ({"zone": ""}, "zone"),
    ({"zone": "../../etc/passwd"}, "zone"),
    ({"zone": "Europe/Berlin\u0000"}, "zone"),
    ({"zone_policy": "travel"}, "zone_policy"),
    ({"every": 2}, "every"),
]


async def test_bad_schedules_name_the_field(path, anna, refused, schedule, subtests):
    for changes, field in BAD_SCHEDULES:
        with subtests.test(str(changes)[:60].encode("ascii", "replace").decode()):
            # By hand: json.dumps writes NaN and half a surrogate pair, which an HTTP client would refuse to send.
            body = json.dumps(schedule(**changes)).encode()
            answer = await anna.client.post(path, content=body, headers={"Content-Type": "application/json"})
            refused(answer, 422, "invalid", field=field)


async def test_a_change_of_times_replaces_what_was_planned(path, anna, schedule, circle):
    made = await anna.made(path, schedule())
    one = f"/v1/schedules/{made['id']}"
    revised = await anna.put(one, schedule(times=["01:15", "13:15"]))
    assert revised.status_code == 200
    assert revised.json()["revision"] == 2
    assert {dose["nominal_local_time"][11:] for dose in await circle.occurrences()} == {"01:15", "13:15"}


async def test_a_change_that_comes_too_late_for_today_asks_for_a_decision(anna, schedule, new_circle):
    circle = await new_circle(anna, zone="UTC")
    made = await circle.schedule(times=["23:59"])
    revised = (await anna.put(f"/v1/schedules/{made['id']}", schedule(times=["00:00", "23:59"]))).json()
    assert revised["decision_needed"] is True
    assert [slot[11:] for slot in revised["past_slots_today"]] == ["00:00"]

    again = (await anna.put(f"/v1/schedules/{made['id']}", schedule(times=["00:00", "23:59"]))).json()
    assert again["decision_needed"] is False
    assert again["past_slots_today"] == []


async def test_a_new_dose_text_keeps_the_planned_doses(path, anna, schedule, circle):
    made = await anna.made(path, schedule())
    before = [dose["id"] for dose in await circle.occurrences()]
    revised = await anna.put(f"/v1/schedules/{made['id']}", schedule(dose={"quantity": 2, "unit": "drops"}))
    assert revised.json()["revision"] == 1
    after = await circle.occurrences()
    assert [dose["id"] for dose in after] == before
    assert {dose["dose"]["unit"] for dose in after} == {"drops"}


OTHER_TAGS = ['"nonsense"', "nonsense", 'W/"1"', "", ","]


class TestConditionalChanges:
    @pytest.fixture
    async def one(self, path, anna, schedule) -> str:
        return (await anna.post(path, schedule())).headers["location"]

    async def test_a_change_of_what_was_read_goes_through(self, one, anna, schedule):
        tag = (await anna.get(one)).headers["etag"]
        changed = await anna.put(one, schedule(times=["07:00"]), headers={"If-Match": tag})
        assert changed.status_code == 200
        assert changed.headers["etag"] == (await anna.get(one)).headers["etag"] != tag

    @pytest.mark.parametrize("change", [{"times": ["07:00"]}, {"dose": {"quantity": 2, "unit": "tablet"}}])
    async def test_a_change_of_what_somebody_else_changed_is_refused(self, one, anna, schedule, refused, change):
        tag = (await anna.get(one)).headers["etag"]
        await anna.put(one, schedule(**change))
        refused(await anna.put(one, schedule(times=["09:00"]), headers={"If-Match": tag}), 412, "revision_mismatch")
        assert "09:00" not in (await anna.get(one)).json()["times"]

    async def test_of_two_changes_at_once_one_is_refused(self, one, anna, schedule):
        tag = (await anna.get(one)).headers["etag"]
        answers = await asyncio.gather(
            *(anna.put(one, schedule(times=[time]), headers={"If-Match": tag}) for time in ("07:00", "08:00", "09:00"))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412]

    async def test_of_two_new_dose_texts_at_once_one_is_refused(self, one, anna, schedule):
        """They leave the revision as it is, so it is no sign of who came first."""
        tag = (await anna.get(one)).headers["etag"]
        bodies = [schedule(dose={"quantity": number, "unit": "drops"}) for number in (2, 3, 4)]
        answers = await asyncio.gather(*(anna.put(one, body, headers={"If-Match": tag}) for body in bodies))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412]

    async def test_any_state_will_do_if_asked_so(self, one, anna, schedule):
        assert (await anna.put(one, schedule(times=["07:00"]), headers={"If-Match": "*"})).status_code == 200
        assert (await anna.put(one, schedule(times=["08:00"]))).status_code == 200

    async def test_other_tags_do_not_match(self, one, anna, schedule, refused, subtests):
        for tag in OTHER_TAGS:
            with subtests.test(tag):
                refused(await anna.put(one, schedule(), headers={"If-Match": tag}), 412, "revision_mismatch")


async def test_a_deleted_schedule_leaves_nothing_open(path, anna, schedule, circle, refused):
    one = (await anna.post(path, schedule())).headers["location"]
    assert (await anna.delete(one)).status_code == 204
    refused(await anna.get(one), 404, "not_found")
    refused(await anna.delete(one), 404, "not_found")
    assert await circle.occurrences() == []


async def test_a_schedule_that_is_over_or_far_ahead_is_fine(path, anna, schedule):
    over = await anna.made(path, schedule(start_date="2020-01-01", end_date="2020-02-01"))
    ahead = await anna.made(path, schedule(start_date="2199-12-31", end_date="2200-12-31"))
    assert over["next_occurrences"] == ahead["next_occurrences"] == []
