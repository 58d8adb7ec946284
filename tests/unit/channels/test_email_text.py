"""What a reminder mail says and does not say, and that it is the same mail however often it is written."""

from __future__ import annotations

from datetime import date
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from carecircle.channels import SupplyFacts, SupplyLine, Undeliverable
from carecircle_email.channel import EmailChannel, Sender, mailbox
from carecircle_email.provider import Security, Server, SmtpProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from carecircle.channels import MessageFacts

    Facts = Callable[..., MessageFacts]
    Digest = Callable[..., MessageFacts]

SENDER = Sender("CareCircle", "reminders@care.example", "https://care.example")
PATIENT = UUID("01936f0e-0000-7000-8000-00000000fa71")
DETAILS = {"medication_name": "Metoprolol 50 mg", "dose": "1 tablet"}


def channel(sender: Sender = SENDER) -> EmailChannel:
    return EmailChannel(SmtpProvider(Server("127.0.0.1", 9, Security.NONE)), sender)


def written(facts: MessageFacts, sender: Sender = SENDER, address: str = "ana@example.org") -> EmailMessage:
    return message_from_bytes(channel(sender).write(address, facts).content, policy=policy.default)


def parts(message: EmailMessage) -> tuple[str, str]:
    return tuple(_body(message, kind) for kind in ("plain", "html"))  # pyright: ignore[reportReturnType]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_dose_is_named_by_patient_day_and_time_in_both_parts(facts: Facts) -> None:
    for text in parts(written(facts())):
        assert "Rosa Blum" in text
        assert "08:00" in text
        assert "Tuesday 3 March 2026" in text
        assert "https://care.example/occurrences/01936f0e-0000-7000-8000-00000000d05e" in text
        assert "late" not in text


def test_without_an_app_it_carries_no_link(facts: Facts) -> None:
    for text in parts(written(facts(), Sender(SENDER.name, SENDER.address))):
        assert "http" not in text
        assert "None" not in text
        assert "This page shows" not in text


def test_nothing_in_it_depends_on_when_it_is_read(facts: Facts) -> None:
    for text in parts(written(facts(late=True, **DETAILS))):
        words = text.lower().replace(">", " ").replace("<", " ").split()
        assert not {"now", "today", "tomorrow", "minutes", "ago"} & set(words)


def test_headers_are_neutral_constant_and_mark_an_automatic_mail(facts: Facts) -> None:
    mail = written(facts(**DETAILS))

    assert mail["Subject"] == "Reminder for 08:00, Tue 3 Mar"
    assert mail["Message-ID"] == "<01936f0e-0000-7000-8000-00000000d311@care.example>"
    assert mail["Date"] == "Tue, 03 Mar 2026 07:00:01 +0000"
    assert mail["From"] == "CareCircle <reminders@care.example>"
    assert mail["To"] == "ana@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-Entity-Ref-ID"] == "01936f0e-0000-7000-8000-00000000d311"
    assert mail["List-Unsubscribe"] is None
    assert mail.get_boundary() == "b-01936f0e-0000-7000-8000-00000000d311"


def test_a_drug_name_is_only_in_it_when_the_facts_carry_one_and_never_in_the_subject(facts: Facts) -> None:
    for text in parts(written(facts())):
        assert "Medicine" not in text
    mail = written(facts(**DETAILS))
    for text in parts(mail):
        assert "Metoprolol 50 mg" in text
        assert "1 tablet" in text
    assert "Metoprolol" not in str(mail["Subject"])


def test_a_late_message_says_so_and_warns(facts: Facts) -> None:
    for text in parts(written(facts(late=True))):
        assert "late" in text
        assert "due at 08:00" in text
        assert "never double a dose" in " ".join(text.split())


def test_every_attempt_writes_the_same_bytes(facts: Facts) -> None:
    once, again = (channel().write("ana@example.org", facts(attempt=n, **DETAILS)) for n in (1, 2))

    assert once == again


def test_another_delivery_is_another_mail(facts: Facts) -> None:
    other = facts(delivery_id=facts().occurrence_id)

    assert written(other)["Message-ID"] != written(facts())["Message-ID"]


def test_an_unsubscribe_link_is_in_header_and_text_when_there_is_one(facts: Facts) -> None:
    link = "https://care.example/mail/off"
    mail = written(facts(), Sender(SENDER.name, SENDER.address, SENDER.app_url, link))

    assert mail["List-Unsubscribe"] == f"<{link}>"
    for text in parts(mail):
        assert link in text


@pytest.mark.parametrize(
    "name",
    [
        "Rosa\r\nBcc: thief@example.org",
        "<script>alert(1)</script>",
        "\u202eRosa\u202c",
        "{{ 7 * 7 }}",
        "R" * 10_000,
        "Zoë 李小龍 👩\u200d👧",
        "A\ud800na",
    ],
)
def test_what_people_typed_stays_text(facts: Facts, name: str) -> None:
    hostile: dict[str, Any] = dict.fromkeys(("patient_name", "recipient_name", "medication_name", "dose"), name)
    mail = written(facts(**hostile))
    plain, html = parts(mail)

    assert mail["Bcc"] is None
    assert "<script" not in html
    assert "49" not in plain
    assert "\u202e" not in plain + html
    assert max(map(len, plain.splitlines())) < 200


def test_no_line_is_longer_than_mail_allows(facts: Facts) -> None:
    long = Sender("C" * 100, f"reminders@{'d' * 60}.{'e' * 60}.{'f' * 60}.example", "https://care.example")
    envelope = channel(long).write(f"{'a' * 64}@{'b' * 60}.example", facts())
    lines = envelope.content.split(b"\r\n")

    assert max(map(len, lines)) <= 998
    assert b"\n" not in envelope.content.replace(b"\r\n", b"")
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert mail["Message-ID"] == f"<{facts().delivery_id}@{long.domain}>"


@pytest.mark.parametrize(
    ("address", "wire", "utf8"),
    [
        ("ana@example.org", "ana@example.org", False),
        ("Ana.B+x@Example.org", "Ana.B+x@Example.org", False),
        ("ana@bücher.example", "ana@xn--bcher-kva.example", False),
        ("jürgen@example.org", "jürgen@example.org", True),
    ],
)
def test_an_address_is_written_as_smtp_wants_it(address: str, wire: str, utf8: bool) -> None:
    assert mailbox(address) == (wire, utf8)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "@example.org",
        "ana@",
        "ana@example.org\r\nRCPT TO:<x@y.z>",
        "ana@example.org, x@y.z",
        "ana <ana@example.org>",
        "ana>@example.org",
        "a na@example.org",
        "ana@exa mple.org",
        "ana@example.org SIZE=1",
        "a\u202ena@example.org",
        '"a\\"b"@example.org',
    ],
)
def test_an_address_that_could_break_the_dialogue_is_never_used(address: str) -> None:
    with pytest.raises(Undeliverable, match="address_unusable"):
        mailbox(address)


def test_a_mailbox_beyond_ascii_makes_a_utf8_mail(facts: Facts) -> None:
    envelope = channel().write("jürgen@example.org", facts())

    assert envelope.utf8
    assert "To: jürgen@example.org".encode() in envelope.content


def test_the_html_is_readable_without_css_and_by_screen_readers(facts: Facts) -> None:
    _, html = parts(written(facts(**DETAILS)))

    assert '<html lang="en">' in html
    assert html.count("<h1") == 1
    assert "<img" not in html
    assert "<table" not in html


def test_a_digest_lists_every_dose_and_says_whose_fault_it_is(digest: Digest) -> None:
    mail = written(digest(2))

    assert mail["Subject"] == "2 doses had no reminder"
    for text in parts(mail):
        words = " ".join(text.split())
        assert "Rosa Blum" in words
        assert "08:00 on Monday 2 March 2026" in words
        assert "08:00 on Tuesday 3 March 2026" in words
        assert "This is our fault, not yours." in words
        assert "Check the plan or ask the pharmacist what to do; never double a dose." in words
        assert "https://care.example/occurrences/01936f0e-0000-7000-8000-00000000d05e" in words
        assert "earlier" not in words


def test_a_digest_of_one_dose_is_about_one(digest: Digest) -> None:
    mail = written(digest(1))

    assert mail["Subject"] == "A dose had no reminder"
    for text in parts(mail):
        assert "this dose" in text
        assert "these doses of" not in text


def test_a_digest_names_medicines_only_to_who_asked(digest: Digest) -> None:
    for text in parts(written(digest(2))):
        assert "Metoprolol" not in text
        assert "tablet" not in text
    mail = written(digest(2, name="Metoprolol 50 mg"))
    assert "Metoprolol" not in str(mail["Subject"])
    for text in parts(mail):
        assert text.count("Metoprolol 50 mg") == 2
        assert text.count("1 tablet") == 2


def test_of_very_many_doses_the_newest_are_listed(digest: Digest) -> None:
    for text in parts(written(digest(100))):
        assert "70 earlier ones" in text
        assert text.count("08:00 on ") == 30
        assert "Tuesday 3 March 2026" in text


def test_in_a_digest_too_what_people_typed_stays_text(digest: Digest) -> None:
    plain, html = parts(written(digest(2, name="<script>alert(1)</script>\r\n\u202e{{ 7 * 7 }}")))

    assert "<script" not in html
    assert "49" not in plain
    assert "\u202e" not in plain + html
    assert len([line for line in plain.splitlines() if line.startswith("- ")]) == 2


def test_a_copy_of_a_digest_is_the_same_mail(digest: Digest) -> None:
    once, again = (channel().write("ana@example.org", digest(3, attempt=n)) for n in (1, 2))

    assert once == again


def supplies(facts: Facts, name: str | None, left: str | None) -> MessageFacts:
    low = SupplyLine("low", name, left, empty=False, run_out_on=date(2026, 3, 9), expires_on=None)
    expiring = SupplyLine("expiring", name, left, empty=False, run_out_on=None, expires_on=date(2026, 3, 31))
    return facts(kind="refill", medication_name=name, supply=SupplyFacts(PATIENT, (low, expiring)))


def test_a_supply_mail_lists_what_to_look_at_and_leads_there(facts: Facts) -> None:
    mail = written(supplies(facts, None, None))
    assert mail["Subject"] == "A medicine's supply needs a look"
    for text in parts(mail):
        words = " ".join(text.split())
        assert "A medicine runs low, the first dose without is on Mon 9 Mar" in words
        assert "A package is not to be used after Tue 31 Mar" in words
        assert "Tuesday 3 March 2026" in words
        assert f"https://care.example/patients/{PATIENT}/supply" in text
        assert "None" not in text
        assert not {"now", "today", "tomorrow"} & set(words.lower().split())


def test_a_supply_mail_names_medicines_only_to_who_asked_and_escapes_them(facts: Facts) -> None:
    mail = written(supplies(facts, "<b>Metoprolol</b>", "6 tablet"))
    assert "Metoprolol" not in str(mail["Subject"])
    plain, html = parts(mail)
    assert "<b>Metoprolol</b>: 6 tablet left" in plain
    assert "&lt;b&gt;Metoprolol" in html
    assert "<b>" not in html
