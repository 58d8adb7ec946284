"""Registering, logging in, staying logged in, and what ends a session."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from carecircle.db.accounts import Account, RefreshToken
from carecircle_api.passwords import Passwords
from carecircle_api.tokens import AccessTokens

PASSWORD, WRONG, ANOTHER = "correct horse battery", "wrong password", "another password"
NEW = {"email": "ben@example.org", "password": PASSWORD, "display_name": "Ben"}


async def register(client, **changes):
    return await client.post("/v1/auth/register", json=NEW | changes)


async def token(client, username="ben@example.org", password=PASSWORD):
    return await client.post("/v1/auth/token", data={"username": username, "password": password})


async def refresh(client, refresh_token):
    return await client.post("/v1/auth/refresh", json={"refresh_token": refresh_token})


def without_trace(problem: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in problem.items() if key != "trace_id"}


async def test_a_new_account_can_log_in_and_see_itself(client):
    registered = await register(client)
    assert registered.status_code == 201
    assert registered.headers["location"] == "/v1/me"
    assert registered.json()["zone"] == "UTC"

    answer = await client.post(
        "/v1/auth/token", data={"grant_type": "password", "username": "BEN@example.org", "password": PASSWORD}
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    assert tokens["token_type"] == "bearer"  # noqa: S105 - the kind of token
    assert tokens["expires_in"] == 900
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert me.json()["email"] == "ben@example.org"
    assert "password" not in me.text


async def test_the_address_is_normalised(client):
    registered = await register(client, email="Ben@BÜCHER.example")
    assert registered.json()["email"] == "Ben@xn--bcher-kva.example"
    for typed in ("ben@bücher.example", "Ben@xn--bcher-kva.example", " BEN@BÜCHER.example "):
        assert (await token(client, username=typed)).status_code == 200


BAD_REGISTRATIONS = [
    ({"email": "no address"}, "email"),
    ({"email": "ben@example.org\r\nBcc: eve@example.org"}, "email"),
    ({"email": "ben@example.org\u0000"}, "email"),
    ({"email": "a" * 250 + "@example.org"}, "email"),
    ({"email": 7}, "email"),
    ({"password": "short"}, "password"),
    ({"password": "x" * 129}, "password"),
    ({"password": "\ud800" * 10}, "password"),
    ({"display_name": "   "}, "display_name"),
    ({"display_name": "Ben\u0000"}, "display_name"),
    ({"display_name": "Ben\u202e"}, "display_name"),
    ({"display_name": "x" * 201}, "display_name"),
    ({"zone": "Mars/Olympus"}, "zone"),
    ({"zone": "../../etc/passwd"}, "zone"),
    ({"role": "admin"}, "role"),
]


async def test_bad_registrations_name_the_field(client, refused, subtests):
    for changes, field in BAD_REGISTRATIONS:
        with subtests.test(str(changes)[:60].encode("ascii", "replace").decode()):
            # By hand: httpx's own encoder would refuse half a surrogate pair before it reached us.
            body = json.dumps(NEW | changes).encode()
            answer = await client.post("/v1/auth/register", content=body, headers={"Content-Type": "application/json"})
            refused(answer, 422, "invalid", field=field)


async def test_an_address_has_one_account_whatever_its_case(client, refused):
    await register(client)
    refused(await register(client, email="BEN@example.org"), 409, "email_taken", field="email")


async def test_two_registrations_at_once_make_one_account(client):
    answers = await asyncio.gather(*(register(client) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_wrong_password_and_an_unknown_address_look_the_same(client, refused):
    await register(client)
    wrong = refused(await token(client, password=WRONG), 401, "bad_credentials")
    unknown = refused(await token(client, username="nobody@example.org"), 401, "bad_credentials")
    assert without_trace(wrong) == without_trace(unknown)


class CountingHasher(PasswordHasher):
    checks = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - argon2's name
        self.checks += 1
        return super().verify(hash, password)


async def test_an_unknown_address_costs_a_password_check_as_well():
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    passwords = Passwords(hasher)
    assert await passwords.check("nobody has this password", None) is False
    assert hasher.checks == 1


async def test_ten_wrong_passwords_close_the_account_to_that_address(app, client, refused):
    await register(client)
    await register(client, email="cleo@example.org")
    for _ in range(10):
        refused(await token(client, password=WRONG), 401, "bad_credentials")
    answer = await token(client)
    refused(answer, 429, "too_many_attempts")
    assert 0 < int(answer.headers["retry-after"]) <= 900

    assert (await token(client, username="cleo@example.org")).status_code == 200
    elsewhere = httpx2.ASGITransport(app, client=("198.51.100.7", 1))
    async with httpx2.AsyncClient(transport=elsewhere, base_url="http://api.test") as other:
        assert (await token(other)).status_code == 200


async def test_attempts_at_once_do_not_slip_past_the_limit(client):
    await register(client)
    answers = await asyncio.gather(*(token(client, password=WRONG) for _ in range(15)))
    assert [answer.status_code for answer in answers].count(401) == 10


async def test_the_right_password_forgives_earlier_mistakes(client, refused):
    await register(client)
    for _ in range(3):
        for _ in range(5):
            refused(await token(client, password=WRONG), 401, "bad_credentials")
        assert (await token(client)).status_code == 200


async def test_forwarded_addresses_are_not_believed(client, refused):
    await register(client)
    for number in range(10):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        await client.post("/v1/auth/token", data={"username": "ben@example.org", "password": "wrong"}, headers=headers)
    refused(await token(client), 429, "too_many_attempts")


BAD_FORMS = [
    {"username": "ben@example.org"},
    {"username": "ben@example.org", "password": PASSWORD, "grant_type": "client_credentials"},
    {"username": "ben\u0000@example.org", "password": PASSWORD},
    {"username": "ben@example.org", "password": "x" * 2000},
    {"username": "ben@example.org", "password": PASSWORD, "otp": "1"},
]


async def test_bad_login_forms_are_refused(client, refused, subtests):
    for form in BAD_FORMS:
        with subtests.test(str(form)[:60]):
            refused(await client.post("/v1/auth/token", data=form), 422, "invalid")


async def test_a_refresh_token_gives_the_next_pair_once(anna, client):
    first = anna.tokens["refresh_token"]
    second = (await refresh(client, first)).json()
    assert second["refresh_token"] != first
    me = await client.get("/v1/me", headers={"Authorization": f"Bearer {second['access_token']}"})
    assert me.status_code == 200
    assert (await refresh(client, second["refresh_token"])).status_code == 200


async def test_a_reused_refresh_token_ends_its_family_and_every_access_token(anna, client, refused):
    other_device = (await token(client, username=anna.email)).json()
    stolen = anna.tokens["refresh_token"]
    next_pair = (await refresh(client, stolen)).json()

    refused(await refresh(client, stolen), 401, "unauthenticated")
    refused(await refresh(client, next_pair["refresh_token"]), 401, "unauthenticated")
    refused(await anna.get("/v1/me"), 401, "unauthenticated")
    # Another device only has to fetch a new access token.
    renewed = await refresh(client, other_device["refresh_token"])
    assert renewed.status_code == 200


async def test_of_two_uses_at_once_one_wins_and_the_family_ends(anna, client):
    answers = await asyncio.gather(*(refresh(client, anna.tokens["refresh_token"]) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    won = next(answer for answer in answers if answer.status_code == 200).json()
    assert (await refresh(client, won["refresh_token"])).status_code == 401


async def test_refresh_tokens_run_out_and_are_kept_as_hashes(anna, client, database, refused):
    async with database.transaction() as session:
        stored = (await session.scalars(select(RefreshToken.token_hash))).all()
        assert anna.tokens["refresh_token"] not in stored
        await session.execute(update(RefreshToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    refused(await refresh(client, anna.tokens["refresh_token"]), 401, "unauthenticated")


@pytest.mark.parametrize("body", [{"refresh_token": ""}, {"refresh_token": "a\u0000"}, {"refresh_token": "ä"}, {}])
async def test_bad_refresh_bodies_are_refused(client, refused, body):
    refused(await client.post("/v1/auth/refresh", json=body), 422, "invalid", field="refresh_token")


WRONG_CLAIMS = [
    {"exp": 1},
    {"exp": None},
    {"aud": "somebody-else"},
    {"aud": None},
    {"iss": "http://evil.example.org"},
    {"sub": None},
    {"sub": "not-a-uuid"},
    {"jti": None},
    {"ver": None},
    {"ver": 2},
    {"ver": "x"},
    {"iat": None},
]


class TestAccessTokens:
    """Only our own, unexpired tokens count."""

    @pytest.fixture
    def claims(self, anna, services) -> dict[str, Any]:
        return jwt.decode(anna.tokens["access_token"], options={"verify_signature": False})

    @pytest.fixture
    def key(self, services) -> bytes:
        return services.tokens._key

    async def me(self, client, access_token: str):
        return await client.get("/v1/me", headers={"Authorization": f"Bearer {access_token}"})

    async def test_a_token_made_like_ours_works(self, client, claims, key):
        again = jwt.encode(claims, key, "HS256", headers={"typ": "at+jwt"})
        assert (await self.me(client, again)).status_code == 200

    async def test_missing_or_wrong_claims_do_not_count(self, client, refused, claims, key, subtests):
        for changes in WRONG_CLAIMS:
            with subtests.test(str(changes)):
                changed = {name: value for name, value in (claims | changes).items() if value is not None}
                forged = jwt.encode(changed, key, "HS256", headers={"typ": "at+jwt"})
                answer = await self.me(client, forged)
                refused(answer, 401, "unauthenticated")
                assert answer.headers["www-authenticate"] == "Bearer"

    async def test_another_type_algorithm_or_key_does_not_count(self, client, refused, claims, key):
        long_key = key * 2
        forgeries = [
            jwt.encode(claims, key, "HS256"),  # typ: JWT
            jwt.encode(claims, long_key, "HS512", headers={"typ": "at+jwt"}),
            jwt.encode(claims, long_key, "HS256", headers={"typ": "at+jwt"}),
            jwt.encode(claims, "", "none", headers={"typ": "at+jwt"}),
            "",
            "a.b.c",
            "x" * 10_000,
            base64.urlsafe_b64encode(b"[" * 1500).decode().rstrip("=") + ".e30.x",
        ]
        for forged in forgeries:
            refused(await self.me(client, forged), 401, "unauthenticated")

    async def test_other_schemes_do_not_count(self, client, refused, anna):
        for value in ("", "Bearer", f"Basic {anna.tokens['access_token']}", anna.tokens["access_token"]):
            refused(await client.get("/v1/me", headers={"Authorization": value}), 401, "unauthenticated")

    async def test_they_run_out_after_their_lifetime(self, client, refused, anna, services, settings):
        account_id = anna.account["id"]
        tokens = AccessTokens(
            "a secret key of the tests, long enough to sign with", settings.public_url, timedelta(minutes=15)
        )
        late = tokens.issue(account_id, 1, datetime.now(UTC) - timedelta(minutes=16))
        fresh = tokens.issue(account_id, 1, datetime.now(UTC) - timedelta(minutes=14))
        refused(await self.me(client, late), 401, "unauthenticated")
        assert (await self.me(client, fresh)).status_code == 200

    async def test_a_deleted_account_is_out_at_once(self, anna, database, refused):
        async with database.transaction() as session:
            await session.delete(await session.get_one(Account, anna.account["id"]))
        refused(await anna.get("/v1/me"), 401, "unauthenticated")


BAD_CHANGES = [
    ({"zone": "Nowhere"}, "zone"),
    ({"zone": None}, "zone"),
    ({"email_enabled": "yes"}, "email_enabled"),
    ({"push_enabled": 1}, "push_enabled"),
    ({"token_version": 9}, "token_version"),
    ({"password_hash": "x"}, "password_hash"),
    ({"display_name": ""}, "display_name"),
    ({"email": "new@example.org"}, "current_password"),
    ({"new_password": "another password"}, "current_password"),
]


class TestMe:
    async def test_wishes_can_be_changed_one_at_a_time(self, anna):
        changed = await anna.patch("/v1/me", {"zone": "Asia/Kathmandu", "details_in_messages": True})
        assert changed.status_code == 200
        assert changed.json() == anna.account | {"zone": "Asia/Kathmandu", "details_in_messages": True}
        assert (await anna.patch("/v1/me", {})).json() == changed.json()

    async def test_bad_changes_name_the_field(self, anna, refused, subtests):
        for body, field in BAD_CHANGES:
            with subtests.test(str(body)):
                refused(await anna.patch("/v1/me", body), 422, "invalid", field=field)

    async def test_a_new_password_needs_the_old_one_and_ends_every_session(self, anna, client, refused):
        body = {"new_password": ANOTHER, "current_password": "not this one"}
        refused(await anna.patch("/v1/me", body), 403, "wrong_password", field="current_password")
        body["current_password"] = PASSWORD
        assert (await anna.patch("/v1/me", body)).status_code == 200

        refused(await anna.get("/v1/me"), 401, "unauthenticated")
        refused(await refresh(client, anna.tokens["refresh_token"]), 401, "unauthenticated")
        refused(await token(client, username=anna.email), 401, "bad_credentials")
        assert (await token(client, username=anna.email, password=ANOTHER)).status_code == 200

    async def test_the_old_password_cannot_be_guessed_with_a_stolen_token(self, anna, refused):
        body = {"new_password": ANOTHER, "current_password": WRONG}
        for _ in range(10):
            refused(await anna.patch("/v1/me", body), 403, "wrong_password")
        refused(await anna.patch("/v1/me", body | {"current_password": PASSWORD}), 429, "too_many_attempts")

    async def test_a_new_address_is_deliverable_again(self, anna, client, database, refused, person):
        await person("ben")
        async with database.transaction() as session:
            (await session.get_one(Account, anna.account["id"])).email_undeliverable_at = datetime.now(UTC)
        assert (await anna.get("/v1/me")).json()["email_undeliverable_at"] is not None

        taken = {"email": "BEN@example.org", "current_password": PASSWORD}
        refused(await anna.patch("/v1/me", taken), 409, "email_taken", field="email")
        changed = await anna.patch("/v1/me", {"email": "anna@new.example.org", "current_password": PASSWORD})
        assert changed.json()["email_undeliverable_at"] is None
        assert changed.json()["email"] == "anna@new.example.org"
