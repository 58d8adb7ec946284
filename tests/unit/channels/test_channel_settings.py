"""The settings of the two workers: refused at start with all mistakes at once, never with their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from carecircle.runtime.settings import SettingsError
from carecircle_email.provider import Limits, Security
from carecircle_email.settings import EmailSettings
from carecircle_push.settings import PushSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/x")
    monkeypatch.setenv("CARECIRCLE_VAPID_PRIVATE_KEY_FILE", str(tmp_path / "vapid.pem"))
    monkeypatch.setenv("CARECIRCLE_VAPID_SUBJECT", "mailto:operator@care.example")
    return monkeypatch


class TestEmail:
    def test_mail_is_encrypted_unless_told_otherwise(self) -> None:
        assert EmailSettings.load().server().security is Security.STARTTLS

    def test_the_server_is_as_the_environment_says(self, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("s3cret\n")
        for name, value in {
            "SMTP_HOST": "mx.example",
            "SMTP_PORT": "465",
            "SMTP_SECURITY": "tls",
            "SMTP_USERNAME": "us",
            "SMTP_PASSWORD_FILE": str(tmp_path / "password"),
            "SMTP_SENDER": "Care Circle <r@care.example>",
        }.items():
            environment.setenv(f"CARECIRCLE_{name}", value)
        settings = EmailSettings.load()
        server, sender = settings.server(), settings.sender()

        assert (server.host, server.port, server.security) == ("mx.example", 465, Security.TLS)
        assert (server.username, server.password, server.helo_name) == ("us", "s3cret", "care.example")
        assert (sender.name, sender.address) == ("Care Circle", "r@care.example")
        assert "s3cret" not in repr(settings) + repr(server)

    def test_a_password_never_goes_out_in_the_clear(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("CARECIRCLE_SMTP_SECURITY", "none")
        environment.setenv("CARECIRCLE_SMTP_USERNAME", "us")

        with pytest.raises(SettingsError, match="starttls or tls"):
            EmailSettings.load()

    @pytest.mark.parametrize(
        "value", ["", "nobody", "a@b, c@d", "a@b\r\nBcc: c@d", "Name <>", "jürgen@care.example", "<a@b>\x00"]
    )
    def test_a_sender_is_one_plain_mailbox(self, environment: pytest.MonkeyPatch, value: str) -> None:
        with pytest.raises(SettingsError, match="CARECIRCLE_SMTP_SENDER"):
            EmailSettings.load(smtp_sender=value)

    @pytest.mark.parametrize("value", ["javascript:alert(1)", "care.example", "https://a b", "https://a\r\nX: y"])
    def test_an_unsubscribe_link_is_a_web_address(self, value: str) -> None:
        with pytest.raises(SettingsError, match="CARECIRCLE_UNSUBSCRIBE_URL"):
            EmailSettings.load(unsubscribe_url=value)

    def test_what_is_empty_is_not_set(self, environment: pytest.MonkeyPatch) -> None:
        for name in ("SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_HELO_NAME", "SMTP_CA_FILE", "UNSUBSCRIBE_URL"):
            environment.setenv(f"CARECIRCLE_{name}", "")
        environment.setenv("CARECIRCLE_SMTP_SECURITY", "none")
        server = EmailSettings.load().server()

        assert (server.username, server.password, server.ca_file) == (None, None, None)
        assert server.helo_name == "localhost"

    def test_the_limits_of_one_mail_fit_into_one_send(self) -> None:
        assert EmailSettings.load().limits() == Limits(connect=10, command=15, until_dot=45, final_reply=120)

    def test_limits_the_wrong_way_round_are_refused(self) -> None:
        with pytest.raises(ValueError, match="connect <= command"):
            Limits(connect=20, command=10)


class TestPush:
    def test_origins_are_a_list_with_commas(self, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("CARECIRCLE_PUSH_ALLOWED_ORIGINS", "https://up.example, http://127.0.0.1:8026 ,")

        assert PushSettings.load().push_allowed_origins == {"https://up.example", "http://127.0.0.1:8026"}

    @pytest.mark.parametrize("value", ["https://up.example/path", "up.example", "ftp://up.example", "*"])
    def test_an_origin_is_an_origin(self, value: str) -> None:
        with pytest.raises(SettingsError, match="CARECIRCLE_PUSH_ALLOWED_ORIGINS"):
            PushSettings.load(push_allowed_origins=value)

    @pytest.mark.parametrize("value", ["operator@care.example", "https://care.example/contact", "mailto:", ""])
    def test_a_subject_that_the_signer_would_refuse_is_refused_at_start(self, value: str) -> None:
        # py-vapid raises "Missing 'sub'" for these, at the first message.
        with pytest.raises(SettingsError, match="CARECIRCLE_VAPID_SUBJECT"):
            PushSettings.load(vapid_subject=value)

    @pytest.mark.parametrize("value", ["mailto:operator@care.example", "https://care.example", "mailto:a@localhost"])
    def test_a_subject_that_passes_can_be_signed(self, value: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        from carecircle_push.signer import VapidSigner

        subject = PushSettings.load(vapid_subject=value).vapid_subject
        assert VapidSigner(ec.generate_private_key(ec.SECP256R1()), subject).authorization("https://a.example")
