"""Would the mail server take our mails? Connects, encrypts and logs in as the worker does, and sends nothing."""

from __future__ import annotations

import asyncio
import ssl

import aiosmtplib

from carecircle.runtime.findings import Finding
from carecircle.runtime.settings import SettingsError
from carecircle_email.outcomes import Phase
from carecircle_email.provider import Dialogue, Limits, NoWayToSend, Security, problem_of
from carecircle_email.settings import EmailSettings

SUBJECT = "Mail server"
PLACES = {
    Phase.CONNECT: "CARECIRCLE_SMTP_HOST and _PORT, and whether a firewall is in between",
    Phase.HELLO: "CARECIRCLE_SMTP_PORT and _SECURITY: 587 wants starttls, 465 wants tls",
    Phase.TLS: "CARECIRCLE_SMTP_SECURITY, the server's certificate, or CARECIRCLE_SMTP_CA_FILE for a private authority",
    Phase.AUTH: "CARECIRCLE_SMTP_USERNAME and CARECIRCLE_SMTP_PASSWORD_FILE",
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def check() -> list[Finding]:
    """What is right and wrong with the server of the settings."""
    try:
        # The database is somebody else's check; a missing address of it is said there.
        settings = EmailSettings.load(database_url="postgresql://not-asked")
    except SettingsError as error:
        return [Finding.fail(SUBJECT, "settings", str(error), "set it in the environment")]
    return [_encryption(settings), await _dialogue(settings)]


async def _dialogue(settings: EmailSettings) -> Finding:
    server, limits = settings.server(), Limits()
    try:
        tls = None if server.security is Security.NONE else ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        return Finding.fail(SUBJECT, "certificates", f"{server.ca_file}: {error}", "see CARECIRCLE_SMTP_CA_FILE")
    dialogue = Dialogue(server, limits, tls)
    try:
        async with asyncio.timeout(limits.until_dot):
            await dialogue.connect()
    except (aiosmtplib.SMTPException, OSError, NoWayToSend) as error:
        said = str(error) or problem_of(error)
        return Finding.fail(
            SUBJECT, "accepts us", f"{server.host}:{server.port} at {dialogue.phase}: {said}",
            f"see {PLACES.get(dialogue.phase, 'its log')}",
        )  # fmt: skip
    finally:
        dialogue.hang_up()
    login = f"logged in as {server.username}" if server.username else "no login"
    return Finding.ok(SUBJECT, "accepts us", f"{server.host}:{server.port}, {server.security}, {login}")


def _encryption(settings: EmailSettings) -> Finding:
    if settings.smtp_security is Security.NONE and settings.smtp_host not in LOOPBACK:
        return Finding.warn(
            SUBJECT, "encryption", f"mails to {settings.smtp_host} travel in the clear",
            "set CARECIRCLE_SMTP_SECURITY to starttls or tls, unless that is a sink or a relay beside this machine",
        )  # fmt: skip
    return Finding.ok(SUBJECT, "encryption", settings.smtp_security)
