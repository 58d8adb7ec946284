"""What a push message says and does not say, and when it may sound again."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from carecircle.channels import SupplyFacts, SupplyLine
from carecircle_push.channel import MAX_PAYLOAD, payload, topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from carecircle.channels import MessageFacts

    Facts = Callable[..., MessageFacts]

URL = "https://care.example/occurrences/01936f0e-0000-7000-8000-00000000d05e"


def said(facts: MessageFacts) -> dict[str, Any]:
    return json.loads(payload(facts, URL))


def test_it_has_what_a_service_worker_needs(facts: Facts) -> None:
    message = said(facts())

    assert set(message) == {"title", "body", "tag", "renotify", "url", "occurrence_id", "kind"}
    assert message["tag"] == message["occurrence_id"] == str(facts().occurrence_id)
    assert message["url"] == URL
    assert message["kind"] == "due"


def test_by_default_a_lock_screen_learns_no_name_and_no_medicine(facts: Facts) -> None:
    for changes in ({}, {"late": True}, {"kind": "answered", "answer": "taken"}):
        message = said(facts(**changes))
        text = message["title"] + message["body"]
        assert "Rosa" not in text
        assert "Ana" not in text
        assert "08:00" in text


def test_details_are_in_the_body_of_who_asked_and_never_in_the_title(facts: Facts) -> None:
    message = said(facts(medication_name="Metoprolol", dose="1 tablet"))

    assert "Metoprolol" in message["body"]
    assert "Metoprolol" not in message["title"]


@pytest.mark.parametrize(
    ("changes", "sounds"),
    [
        ({}, True),
        # The same message once more: if the first copy is shown, this one replaces it without a sound.
        ({"attempt": 2}, False),
        # A snooze's repeat must be heard although the reminder before it is still shown, at any attempt.
        ({"step": 1}, True),
        ({"step": 1, "attempt": 2}, True),
        ({"kind": "answered", "answer": "taken"}, False),
    ],
)
def test_it_sounds_for_each_planned_reminder_and_not_for_copies(
    facts: Facts, changes: dict[str, Any], sounds: bool
) -> None:
    assert said(facts(**changes))["renotify"] is sounds


def test_a_copy_differs_in_nothing_else(facts: Facts) -> None:
    assert said(facts(attempt=2)) == said(facts()) | {"renotify": False}


def test_an_answer_replaces_the_reminder_under_the_same_tag(facts: Facts) -> None:
    answered = said(facts(kind="answered", answer="taken"))

    assert answered["tag"] == said(facts())["tag"]
    assert "taken" in answered["body"]


@pytest.mark.parametrize("name", ["M" * 200, "薬" * 200, "💊" * 200, '"\\' * 100, "\u202e" * 200 + "x"])
def test_it_fits_every_push_service_whatever_people_typed(facts: Facts, name: str) -> None:
    hostile = dict.fromkeys(("medication_name", "dose", "patient_name", "recipient_name"), name)
    made = payload(facts(**hostile), "https://care.example/" + "u" * 1000)

    assert len(made) <= MAX_PAYLOAD
    assert json.loads(made)["title"]
    assert "\u202e" not in made.decode()


def test_without_an_app_it_opens_no_page(facts: Facts) -> None:
    assert json.loads(payload(facts(), None))["url"] is None


def test_an_app_url_that_fits_no_message_is_an_error(facts: Facts) -> None:
    with pytest.raises(ValueError, match="app's URL"):
        payload(facts(), "https://care.example/" + "u" * 2700)


def test_a_topic_is_as_rfc_8030_wants_it_one_for_each_dose(facts: Facts) -> None:
    one, other = topic(facts().occurrence_id), topic(facts().delivery_id)

    assert re.fullmatch(r"[A-Za-z0-9_-]{24,32}", one)
    assert one == topic(facts().occurrence_id)
    assert one != other


def test_a_digest_says_what_to_do_and_names_nobody(digest: Callable[..., MessageFacts]) -> None:
    message = said(digest(3))

    assert (message["kind"], message["title"]) == ("not_reminded", "3 doses had no reminder")
    assert "08:00 on Tue 3 Mar" in message["body"]
    assert message["body"].endswith("never double a dose.")
    assert "Rosa" not in message["title"] + message["body"]


@pytest.mark.parametrize("name", ["M" * 200, "薬" * 200, "💊" * 200, "\u202e" * 200 + "x"])
def test_a_digest_is_never_cut_before_what_to_do(digest: Callable[..., MessageFacts], name: str) -> None:
    made = payload(digest(50, name=name, patient_name=name), URL)

    assert len(made) <= MAX_PAYLOAD
    assert json.loads(made)["body"].endswith("never double a dose.")


def test_a_supply_message_is_about_no_dose_and_names_nothing(facts: Facts) -> None:
    low = SupplyLine("low", None, None, empty=False, run_out_on=date(2026, 3, 9), expires_on=None)
    message = said(facts(kind="refill", supply=SupplyFacts(UUID(int=7), (low,))))

    assert (message["kind"], message["occurrence_id"], message["renotify"]) == ("refill", None, False)
    assert message["tag"] == str(facts().occurrence_id)  # of the notice
    assert message["body"].startswith("A medicine runs low, the first dose without is on Mon 9 Mar.")
    assert "Rosa" not in message["title"] + message["body"]
