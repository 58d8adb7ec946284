"""What the push worker reads from the environment, beside what every service reads."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read at run time by pydantic
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from carecircle.runtime.settings import Settings


class PushSettings(Settings):
    vapid_private_key_file: Path
    """PEM, made by `carecircle vapid generate`."""
    vapid_subject: str = Field(pattern=r"^(mailto:[^@\s]+@[\w.-]+|https://[\w-]+(\.[\w-]+)*)$")
    """Where push services reach the operator: `mailto:` or a bare `https://host`."""
    push_allowed_origins: Annotated[frozenset[str], NoDecode] = frozenset()
    """Exact origins, comma separated, that are trusted beside the public push services."""

    @field_validator("push_allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("push_allowed_origins")
    @classmethod
    def _origins(cls, value: frozenset[str]) -> frozenset[str]:
        for item in value:
            parts = urlsplit(item)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
                raise ValueError("each one is an origin such as https://push.example.org, without a path")
        return value
