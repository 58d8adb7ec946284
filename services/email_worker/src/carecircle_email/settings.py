"""What the e-mail worker reads from the environment, beside what every service reads."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from carecircle.delivery.wording import is_web_url
from carecircle.runtime.budgets import Budgets
from carecircle.runtime.settings import Settings
from carecircle_email.channel import MAILBOX, Sender
from carecircle_email.provider import Limits, Security, Server

SENDER = re.compile(rf'(?P<name>[^<>@,;:"]+)<(?P<address>{MAILBOX.pattern})>|(?P<bare>{MAILBOX.pattern})')


class EmailSettings(Settings):
    smtp_host: str = Field(default="localhost", min_length=1, max_length=253)
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Security = Security.STARTTLS
    """`starttls`, `tls`, or `none` for a sink or a relay on this very machine. What it says or nothing is sent."""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_sender: str = "CareCircle <reminders@localhost>"
    smtp_helo_name: str | None = None
    """How this client names itself; the sender's domain if not set."""
    smtp_ca_file: str | None = None
    smtp_final_reply_seconds: float = Field(default=120, gt=0, le=120)
    """How long the server may take to accept a whole message. Short limits manufacture duplicates."""
    unsubscribe_url: str | None = None

    @field_validator("smtp_sender")
    @classmethod
    def _one_mailbox(cls, value: str) -> str:
        found = SENDER.fullmatch(value)
        if found is None or not value.isprintable() or not (found["address"] or found["bare"]).isascii():
            raise ValueError("one mailbox, as in CareCircle <reminders@example.org>")
        return value

    @field_validator(
        "smtp_username", "smtp_password", "smtp_helo_name", "smtp_ca_file", "unsubscribe_url", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        """Compose files pass what is not set as empty."""
        return value or None

    @field_validator("unsubscribe_url")
    @classmethod
    def _web_url(cls, value: str | None) -> str | None:
        if value is not None and not is_web_url(value):
            raise ValueError("an http or https URL")
        return value

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.smtp_username is not None and self.smtp_security is Security.NONE:
            raise ValueError("CARECIRCLE_SMTP_USERNAME needs CARECIRCLE_SMTP_SECURITY starttls or tls")
        return self

    def server(self) -> Server:
        return Server(
            host=self.smtp_host,
            port=self.smtp_port,
            security=self.smtp_security,
            username=self.smtp_username,
            password=self.smtp_password.get_secret_value() if self.smtp_password else None,
            helo_name=self.smtp_helo_name or self.sender().domain,
            ca_file=self.smtp_ca_file,
        )

    def limits(self) -> Limits:
        """From the one table of time budgets."""
        budgets = Budgets(lease=self.lease)
        limits = Limits(
            connect=budgets.smtp_connect.total_seconds(),
            command=budgets.smtp_command.total_seconds(),
            final_reply=self.smtp_final_reply_seconds,
        )
        if limits.total >= budgets.send.total_seconds():
            raise ValueError(f"a mail may take {limits.total} s, more than a send may: {budgets.send}")
        return limits

    def sender(self) -> Sender:
        name, _, address = self.smtp_sender.rpartition("<")
        return Sender(name.strip(), address.rstrip(">"), self.app_url, self.unsubscribe_url)
