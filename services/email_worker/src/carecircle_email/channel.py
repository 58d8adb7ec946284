"""The e-mail channel: whom it reaches, what it writes, and how a dead address is remembered.

One message has one recipient and is the same, byte for byte, however often it is sent: servers that drop duplicates
recognise it, and a person who gets two reads the same thing twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from carecircle.channels import ChannelSpec, MessageFacts, Undeliverable, UnremindedDose
from carecircle.db.accounts import Account
from carecircle.delivery.rendering import SUPPLY_TITLE, clock_time, date, earlier_ones, no_reminder_for, supply_line
from carecircle.delivery.wording import long_day, occurrence_url, plain, supply_url
from carecircle.domain.delivery import Kind
from carecircle_email.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from carecircle.domain.delivery import Outcome
    from carecircle_email.provider import SmtpProvider

MAILBOX = re.compile(r"[^\s<>()\[\]\\,;:@\"]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
"""Nothing that could end the address on an SMTP command line or in a header; no quoted local parts either."""
LISTED_DOSES = 30
"""Of more doses a digest lists the newest: a mail that nobody reads to the end warns nobody."""
# Unfolded headers: folding may tear a long Message-ID into encoded words.
WIRE = policy.SMTP.clone(max_line_length=None)
WIRE_UTF8 = policy.SMTPUTF8.clone(max_line_length=None)


async def targets(session: AsyncSession, account_id: UUID) -> Sequence[UUID]:
    """The account itself, if it wants mail and its address is not known to be dead."""
    account = await session.get(Account, account_id)
    reachable = account is not None and account.email_enabled and account.email_undeliverable_at is None
    return [account_id] if reachable else []


CHANNEL = ChannelSpec(name="email", targets=targets)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who the mails come from, and where their links lead."""

    name: str
    address: str
    app_url: str | None = None
    unsubscribe_url: str | None = None

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class EmailChannel:
    """The sending side, one a worker process."""

    def __init__(self, provider: SmtpProvider, sender: Sender) -> None:
        self._provider = provider
        self._sender = sender
        self._templates = Environment(
            loader=PackageLoader("carecircle_email"),
            autoescape=select_autoescape(("html",), default=False),  # plain text is not HTML
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    @property
    def spec(self) -> ChannelSpec:
        return CHANNEL

    async def compose(self, session: AsyncSession, facts: MessageFacts) -> Envelope:
        """The mail to the address that the account has at this moment. Raises `Undeliverable`."""
        if facts.kind == Kind.ANSWERED:
            raise Undeliverable("kind_unsupported")  # a mail cannot replace another one
        account = await session.get(Account, facts.target_id)
        if account is None:
            raise Undeliverable("target_gone")
        if not account.email_enabled:
            raise Undeliverable("channel_off")
        if account.email_undeliverable_at is not None:
            raise Undeliverable("address_dead")
        return self.write(account.email, facts)

    async def send(self, message: Envelope) -> Outcome:
        return await self._provider.send(message)

    async def mark_gone(self, session: AsyncSession, target_id: UUID, now: datetime) -> None:
        """The mail server said that this address does not exist: no more mail until it changes."""
        account = await session.get(Account, target_id)
        if account is not None and account.email_undeliverable_at is None:
            account.email_undeliverable_at = now

    def write(self, address: str, facts: MessageFacts) -> Envelope:
        """The same facts and address make the same bytes; `facts.attempt` changes nothing."""
        recipient, utf8 = mailbox(address)
        message = EmailMessage(policy=policy.SMTPUTF8 if utf8 else policy.SMTP)
        for name, value in self._headers(recipient, facts).items():
            message[name] = value
        words = self._words(facts)
        message.set_content(self._render(f"{facts.kind}.txt", words), cte="quoted-printable")
        message.add_alternative(self._render(f"{facts.kind}.html", words), subtype="html", cte="quoted-printable")
        message.set_boundary(f"b-{facts.delivery_id}")
        content = message.as_bytes(policy=WIRE_UTF8 if utf8 else WIRE)
        return Envelope(self._sender.address, recipient, content, utf8)

    def _headers(self, recipient: str, facts: MessageFacts) -> dict[str, Any]:
        headers = {
            "From": Address(self._sender.name, addr_spec=self._sender.address),
            "To": recipient,
            # Neutral whatever the receiver opted in to: subjects are shown on lock screens and kept in logs.
            "Subject": subject(facts),
            "Date": format_datetime(facts.first_handoff_at),
            "Message-ID": f"<{facts.delivery_id}@{self._sender.domain}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "X-Entity-Ref-ID": str(facts.delivery_id),
        }
        if self._sender.unsubscribe_url is not None:
            headers["List-Unsubscribe"] = f"<{self._sender.unsubscribe_url}>"
        return headers

    def _words(self, facts: MessageFacts) -> dict[str, Any]:
        earlier = len(facts.unreminded) - LISTED_DOSES
        return {
            "recipient": plain(facts.recipient_name),
            "patient": plain(facts.patient_name),
            "time": clock_time(facts.nominal_local),
            "day": long_day(facts.nominal_local),
            "late": facts.late,
            "medication": plain(facts.medication_name) if facts.medication_name else None,
            "dose": plain(facts.dose) if facts.dose else None,
            "url": self._url(facts),
            "settings_url": self._sender.unsubscribe_url,
            "doses": [_dose_words(dose) for dose in facts.unreminded[-LISTED_DOSES:]],
            "earlier": earlier_ones(earlier) if earlier > 0 else None,
            "supplies": [supply_line(line) for line in facts.supply.lines] if facts.supply else [],
        }

    def _url(self, facts: MessageFacts) -> str | None:
        if facts.supply is not None:
            return supply_url(self._sender.app_url, facts.supply.patient_id)
        return occurrence_url(self._sender.app_url, facts.occurrence_id)

    def _render(self, template: str, words: dict[str, Any]) -> str:
        return self._templates.get_template(template).render(words)


def subject(facts: MessageFacts) -> str:
    if facts.supply is not None:
        return SUPPLY_TITLE
    if facts.kind == Kind.NOT_REMINDED:
        return no_reminder_for(len(facts.unreminded))
    return f"Reminder for {clock_time(facts.nominal_local)}, {date(facts.nominal_local)}"


def _dose_words(dose: UnremindedDose) -> dict[str, str | None]:
    return {
        "time": clock_time(dose.nominal_local),
        "day": long_day(dose.nominal_local),
        "medication": plain(dose.medication_name) if dose.medication_name else None,
        "dose": plain(dose.dose) if dose.dose else None,
    }


def mailbox(address: str) -> tuple[str, bool]:
    """The address as SMTP wants it, and whether only SMTPUTF8 can carry it. Raises `Undeliverable`."""
    local, _, domain = address.rpartition("@")
    try:
        spec = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError as error:
        raise Undeliverable("address_unusable") from error
    if not MAILBOX.fullmatch(spec) or not spec.isprintable():
        raise Undeliverable("address_unusable")
    return spec, not spec.isascii()
