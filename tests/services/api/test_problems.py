"""Whatever comes in, what goes out is an answer or a problem that names the field; never a fault of ours."""

from __future__ import annotations

import asyncio
import json

import httpx2
import pytest
from sqlalchemy.exc import OperationalError

from carecircle_api import errors
from carecircle_api.guard import MOST_LARGE, BodyGate
from carecircle_api.routes import me

LONE_SURROGATE = "\ud800"
BAD_TEXTS = ["\u0000", "a\u0000b", LONE_SURROGATE, "a\u001bb", "a\u202eb", "a\u2028b", "x" * 2001]


async def send(person, method, path, body: bytes, content_type="application/json"):
    return await person.client.request(method, path, content=body, headers={"Content-Type": content_type})


async def test_an_unknown_path_is_a_problem(client, refused):
    refused(await client.get("/v1/nothing/here"), 404, "no_such_path")
    refused(await client.get("/"), 404, "no_such_path")
    refused(await client.get("/v1/patients/"), 404, "no_such_path")


async def test_an_unknown_method_is_a_problem_that_says_which_there_are(client, refused):
    answer = await client.put("/v1/me", json={})
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_what_is_not_json_is_refused(anna, refused):
    refused(await send(anna, "POST", "/v1/patients", b'{"display_name": '), 400, "malformed_body", field="body")
    refused(await send(anna, "POST", "/v1/patients", b"\x80"), 400, "malformed_body", field="body")
    refused(await send(anna, "POST", "/v1/patients", b""), 422, "invalid", field="body")
    refused(await send(anna, "POST", "/v1/patients", b"null"), 422, "invalid", field="body")
    refused(await send(anna, "POST", "/v1/patients", b"[]"), 422, "invalid", field="body")
    refused(await send(anna, "POST", "/v1/patients", b"{}", "text/plain"), 422, "invalid", field="body")
    refused(await send(anna, "POST", "/v1/patients", b"{}", "application/x-www-form-urlencoded"), 422, "invalid")


@pytest.mark.parametrize("bomb", [b"[" * 100_000, b'{"a":' * 40_000, b'{"zone": ' + b"[" * 900 + b"]" * 900 + b"}"])
async def test_deeply_nested_json_is_refused(anna, bomb):
    answer = await send(anna, "POST", "/v1/patients", bomb)
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_number_of_5000_digits_is_refused(anna, schedule, circle):
    body = json.dumps(schedule()).replace('"quantity": 1', '"quantity": ' + "9" * 5000).encode()
    answer = await send(anna, "POST", f"/v1/medications/{circle.medication['id']}/schedules", body)
    assert answer.status_code in {400, 422}


async def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(anna, refused):
    body = json.dumps({"display_name": "x" * 10_000_000, "zone": "UTC"}).encode()
    refused(await send(anna, "POST", "/v1/patients", body), 413, "body_too_large", field="body")


async def test_a_body_without_a_length_is_counted_as_it_comes(anna, refused):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    answer = await anna.client.post("/v1/patients", content=endless(), headers=headers)
    refused(answer, 413, "body_too_large", field="body")


async def test_a_body_that_does_not_come_is_given_up():
    answers: list[dict] = []

    async def never():
        await asyncio.Event().wait()

    async def note(message):
        answers.append(message)

    async def app(scope, receive, send):
        raise AssertionError("the application must not see it")

    gate = BodyGate(app, max_bytes=1000, timeout=0.05)
    await gate({"type": "http", "headers": [(b"content-length", b"10")]}, never, note)
    assert answers[0]["status"] == 408


async def test_names_of_unknown_fields_cannot_break_the_answer(anna, refused):
    names = ["a\u0000b", LONE_SURROGATE, "\u202ename", "<script>", "x" * 100_000, "ä"]
    for name in names:
        body = json.dumps({"display_name": "Mum", "zone": "UTC", name: 1}).encode()
        problem = refused(await send(anna, "POST", "/v1/patients", body), 422, "invalid")
        (error,) = problem["errors"]
        assert len(error["field"]) <= 200
        assert error["field"].isprintable()


async def test_a_thousand_mistakes_are_answered_with_the_first_few(anna, refused):
    body = {"display_name": "Mum", "zone": "UTC"} | {f"field{number}": 1 for number in range(1000)}
    problem = refused(await anna.post("/v1/patients", body), 422, "invalid")
    assert len(problem["errors"]) == 20


TEXT_FIELDS = [
    ("POST", "/v1/patients", "display_name", {"zone": "UTC"}),
    ("POST", "/v1/patients", "zone", {"display_name": "Mum"}),
    ("POST", "{circle}/medications", "name", {}),
    ("POST", "{circle}/medications", "strength", {"name": "A"}),
    ("POST", "{circle}/medications", "form", {"name": "A"}),
    ("POST", "{circle}/medications", "instructions", {"name": "A"}),
    ("POST", "{circle}/medications", "status", {"name": "A"}),
    ("POST", "{circle}/medications", "severity", {"name": "A"}),
    ("PATCH", "{medication}", "name", {}),
    ("PATCH", "{medication}", "status", {}),
    ("PATCH", "{circle}", "display_name", {}),
    ("PATCH", "{circle}", "zone", {}),
    ("PATCH", "/v1/me", "display_name", {}),
    ("PATCH", "/v1/me", "zone", {}),
    ("POST", "{circle}/members", "email", {"role": "carer"}),
    ("POST", "{circle}/members", "role", {"email": "ben@example.org"}),
    ("POST", "{occurrence}/administrations", "reason", {"status": "skipped"}),
    ("POST", "{occurrence}/administrations", "status", {}),
    ("POST", "{occurrence}/administrations", "at", {"status": "taken"}),
    ("POST", "/v1/push-subscriptions", "endpoint", {"keys": {"p256dh": "a", "auth": "b"}}),
]


async def test_text_that_cannot_be_stored_or_shown_is_refused_in_every_field(circle, anna, refused):
    await circle.schedule()
    places = {
        "circle": circle.path,
        "medication": f"/v1/medications/{circle.medication['id']}",
        "occurrence": f"/v1/occurrences/{(await circle.occurrences())[-1]['id']}",
    }
    for method, template, field, rest in TEXT_FIELDS:
        for text in [*BAD_TEXTS, 7, True, ["a"], {"a": 1}]:
            body = json.dumps({**rest, field: text}).encode()
            answer = await send(anna, method, template.format(**places), body)
            problem = refused(answer, 422, "invalid")
            assert any(error["field"].startswith(field) for error in problem["errors"]), (template, field, text)


async def test_ids_are_uuids_in_their_one_notation(anna, refused):
    for bad in ("1", "null", "%00", "{00000000-0000-0000-0000-000000000000}", "0" * 32, "urn:uuid:" + "0" * 32, "%ff"):
        refused(await anna.get(f"/v1/patients/{bad}"), 422, "invalid", field="patient_id")


BAD_PERIODS = [
    ("since=yesterday", "since"),
    ("since=2026-01-01", "since"),
    ("since=2026-01-01T00:00:00", "since"),
    ("since=1700000000", "since"),
    ("since=1999-12-31T23:59:59Z", "since"),
    ("since=0001-01-01T00:00:00%2B14:00", "since"),
    ("since=9999-12-31T23:59:59-12:00", "since"),
    ("since=2026-02-30T00:00:00Z", "since"),
    ("since=2026-01-01T25:00:00Z", "since"),
    ("since=%00", "since"),
    ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "until"),
    ("since=2026-01-01T00:00:00Z&until=2027-01-01T00:00:00Z", "until"),
]


async def test_bad_periods_name_the_parameter(circle, anna, refused, subtests):
    for query, field in BAD_PERIODS:
        with subtests.test(query):
            refused(await anna.get(f"{circle.path}/occurrences?{query}"), 422, "invalid", field=field)


async def test_an_unescaped_plus_in_a_query_is_understood(circle, anna):
    query = "since=2026-01-01T00:00:00+01:00&until=2026-01-02T00:00:00+01:00"
    assert (await anna.get(f"{circle.path}/occurrences?{query}")).status_code == 200


BAD_PAGES = ["cursor=x", "cursor=%00", "cursor=" + "A" * 32, "cursor=" + "_" * 32, "limit=0", "limit=201", "limit=x"]


async def test_bad_pages_name_the_parameter(circle, anna, refused, subtests):
    for query in BAD_PAGES:
        with subtests.test(query):
            answer = await anna.get(f"{circle.path}/deliveries?{query}")
            if answer.status_code != 200:  # a cursor made of zeros is a place in the list, if an odd one
                refused(answer, 422, "invalid", field=query.split("=")[0])
            else:
                assert query == "cursor=" + "A" * 32


async def test_every_answer_has_the_security_headers(client, anna, refused):
    answers = [
        await anna.get("/v1/me"),
        await client.get("/v1/me"),
        await client.get("/nowhere"),
        await client.post("/v1/auth/register", content=b"x" * 300_000),
    ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


async def test_a_callers_trace_goes_on_and_a_broken_one_does_not(client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await client.get("/nowhere", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert answer.json()["trace_id"] == trace
    for broken in ("", "00-" + "0" * 32 + "-00f067aa0ba902b7-01", f"{trace}\nx", "x" * 5000):
        answer = await client.get("/nowhere", headers={"traceparent": broken.replace("\n", " ")})
        assert answer.json()["trace_id"] not in {trace, "0" * 32}


class TestFaults:
    """What is not the client's fault."""

    async def test_a_bug_is_answered_without_its_words(self, anna, monkeypatch, refused, capsys):
        async def broken(*_):
            raise RuntimeError("secret of Anna")

        monkeypatch.setattr(me, "get_account", broken)
        answer = await anna.get("/v1/me")
        refused(answer, 500, "internal")
        assert "secret" not in answer.text

    async def test_a_database_that_is_away_is_said_and_is_no_bug(self, anna, database, refused, monkeypatch):
        async def away(*_):
            raise OperationalError("SELECT 1", {}, Exception("connection refused"))

        monkeypatch.setattr(me, "get_account", away)
        answer = await anna.get("/v1/me")
        refused(answer, 503, "try_again")
        assert int(answer.headers["retry-after"]) > 0

    async def test_a_lock_that_cannot_be_had_is_said_and_changes_nothing(self, circle, anna, database, refused):
        async with database.transaction() as session:
            await session.connection()
            from carecircle.db.patients import locked_patient

            await locked_patient(session, circle.patient["id"])
            answer = await anna.patch(circle.path, {"display_name": "Other"})
            refused(answer, 503, "try_again")
        assert (await anna.get(circle.path)).json()["display_name"] == "Mother"

    def test_every_refusal_of_the_domain_has_a_status(self):
        def kinds(of):
            for kind in of.__subclasses__():
                yield kind
                yield from kinds(kind)

        for kind in kinds(errors.DomainError):
            assert any(base in errors.STATUS for base in kind.__mro__), kind


async def test_metrics_count_by_route_and_never_by_path(client, anna, circle):
    await anna.get(circle.path)
    await client.post("/v1/invitations/secret-token-of-somebody/accept")
    await client.request("BREW", "/v1/me")
    text = (await client.get("/metrics")).text
    assert 'route="/v1/patients/{patient_id}",status="200"} 1.0' in text
    assert 'method="OTHER"' in text
    assert "secret-token" not in text
    assert circle.patient["id"] not in text


async def test_access_logs_hold_no_paths_and_no_names(anna, circle, capfd):
    invitation = await anna.made(f"{circle.path}/members", {"email": "ben@example.org", "role": "carer"})
    await anna.post(f"/v1/invitations/{invitation['token']}/accept")
    written = "".join(capfd.readouterr())
    assert "/v1/invitations/{token}/accept" in written
    assert invitation["token"] not in written
    assert "Mother" not in written
    assert "example.org" not in written


async def test_livez_and_readyz_need_no_login(client):
    assert (await client.get("/livez")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).status_code == 200


async def test_cross_origin_reading_is_not_allowed(client):
    answer = await client.options(
        "/v1/me", headers={"Origin": "https://evil.example.org", "Access-Control-Request-Method": "GET"}
    )
    assert answer.status_code == 405
    assert isinstance(answer, httpx2.Response)
    assert "access-control-allow-origin" not in answer.headers


async def test_few_large_bodies_are_read_at_once_and_their_places_come_free():
    """A third large body is sent away at once; one of usual size is not."""
    inside = asyncio.Event()
    go_on = asyncio.Event()
    running = 0

    async def app(scope, receive, send):
        nonlocal running
        running += 1
        if running == MOST_LARGE:
            inside.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})

    gate = BodyGate(app, max_bytes=10, timeout=5, large={"/large": 100})

    async def sent(size: int) -> int:
        answers: list[dict] = []

        async def receive():
            return {"type": "http.request", "body": b"x" * size, "more_body": False}

        async def note(message):
            answers.append(message)

        await gate({"type": "http", "path": "/large", "headers": []}, receive, note)
        return answers[0]["status"]

    async with asyncio.TaskGroup() as tasks:
        first = [tasks.create_task(sent(50)) for _ in range(MOST_LARGE)]
        await asyncio.wait_for(inside.wait(), 5)
        assert await sent(50) == 503
        small = tasks.create_task(sent(5))
        go_on.set()
    assert [task.result() for task in [*first, small]] == [204] * (MOST_LARGE + 1)
    assert await sent(50) == 204
    assert await sent(101) == 413
