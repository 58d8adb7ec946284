"""What only the API reads from the environment."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from carecircle.runtime.settings import Settings

MIN_SECRET_BYTES = 32


class ApiSettings(Settings):
    secret_key: SecretStr
    """Signs access tokens; at least 32 random bytes. Changing it ends every access token, not the refresh tokens."""
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65535)
    """0: any free port, said in the log."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of reverse proxies whose X-Forwarded-For and -Proto are believed; comma separated. None by default."""

    vapid_private_key_file: Path | None = None
    """The key whose public half browsers subscribe with. Without it there is no push."""
    push_allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Exact origins of push services beside the public ones, such as a self-hosted UnifiedPush; comma separated."""

    login_attempts: int = Field(default=10, ge=3, le=1000)
    """Wrong passwords for one account from one address in 15 minutes; more are refused for the rest of them."""
    registrations_per_address: int = Field(default=100, ge=1, le=100_000)
    """In 15 minutes."""
    access_token_minutes: int = Field(default=15, ge=1, le=15)
    max_body_bytes: int = Field(default=256 * 1024, ge=1024, le=16 * 1024 * 1024)
    max_import_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    """Of a patient's archive, the one body that may be large; each is in memory several times while it is read."""
    body_timeout_seconds: float = Field(default=20, gt=0, le=300)
    shutdown_seconds: int = Field(default=20, ge=1, le=300)
    """How long running requests may take to end after SIGTERM."""

    @property
    def access_lifetime(self) -> timedelta:
        return timedelta(minutes=self.access_token_minutes)

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"needs at least {MIN_SECRET_BYTES} bytes; `openssl rand -base64 48` makes one")
        return value

    @field_validator("trusted_proxies", "push_allowed_origins", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("push_allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            parts = urlsplit(item)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
                raise ValueError("each one is an origin such as https://push.example.org, without a path")
        return value
