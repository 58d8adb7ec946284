"""Settings from the environment, read once in `__main__`. Every mistake is said at once, in plain words.

`DATABASE_URL` and `REDIS_URL` have their usual names; everything else starts with `CARECIRCLE_`. Any of them can
come from a file instead (`CARECIRCLE_SECRET_KEY_FILE=/run/secrets/key`), which is how secrets should come. A service
subclasses `Settings` with what only it reads.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from carecircle.runtime.redis_url import check_redis_url

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PREFIX = "CARECIRCLE_"


class SettingsError(ValueError):
    """The environment does not describe a service that could run; each line names one setting."""


class Settings(BaseSettings):
    """What every service needs. `Settings.load()` reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    redis_url: SecretStr = Field(default=SecretStr("redis://localhost:6379/0"), validation_alias="REDIS_URL")
    """Also of sentinels or a Cluster: libs/carequeue/docs/connections.md lists what an address may be."""
    queue_prefix: str = Field(default="bull", pattern=r"^([^:{}\s]+|\{[^:{}\s]+\})$", validate_default=True)
    """In a Redis Cluster in braces: `{bull}` puts all queues where one script can reach them."""
    public_url: str = "http://localhost:8000"
    """Where people reach the API."""
    app_url: str | None = Field(default=None, pattern=r"^(https?://\S+)?$")
    """Where the circle's app opens: messages link to `<app_url>/occurrences/<id>`. None: they carry no link."""

    retry_base: float = Field(default=60, gt=0, le=3600)
    """Seconds before the first retry of a send; doubles each time."""
    lease_seconds: float = Field(default=45, ge=3, le=600)
    """How long a worker may hold a delivery without renewing; a dead worker's delivery is taken over after it."""
    reconcile_seconds: float = Field(default=5, gt=0, le=60)
    plan_horizon_hours: float = Field(default=48, gt=0, le=24 * 60)
    enqueue_horizon_minutes: float = Field(default=15, ge=1, le=24 * 60)
    concurrency: int = Field(default=20, ge=1, le=1000)
    """How many jobs one process runs at a time."""
    database_pool_size: int = Field(default=10, ge=2, le=100)

    health_host: str = "127.0.0.1"
    health_port: int = Field(default=0, ge=0, le=65535)
    """0: any free port, said in the log."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr) -> SecretStr:
        check_redis_url(url.get_secret_value(), "{bull}")
        return url

    @field_validator("queue_prefix")
    @classmethod
    def _fits_redis(cls, prefix: str, info: ValidationInfo) -> str:
        if (url := info.data.get("redis_url")) is not None:
            check_redis_url(url.get_secret_value(), prefix)
        return prefix

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def reconcile_every(self) -> timedelta:
        return timedelta(seconds=self.reconcile_seconds)

    @property
    def plan_horizon(self) -> timedelta:
        return timedelta(hours=self.plan_horizon_hours)

    @property
    def enqueue_horizon(self) -> timedelta:
        return timedelta(minutes=self.enqueue_horizon_minutes)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment; `given` values (field names) win over it.

        Raises:
            SettingsError: one line a mistake, all of them, without the values.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            lines = sorted(cls._plain(detail) for detail in error.errors(include_input=False, include_url=False))
            raise SettingsError("\n".join(lines)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, FilesNamedByEnvironment(settings_cls)

    @classmethod
    def _plain(cls, detail: ErrorDetails) -> str:
        name = env_name(str(detail["loc"][0]), cls) if detail["loc"] else "settings"
        if detail["type"] == "missing":
            return f"{name} is not set (or {name}_FILE, the path of a file that holds it)"
        return f"{name}: {detail['msg']}"


class FilesNamedByEnvironment(PydanticBaseSettingsSource):
    """`<NAME>_FILE` names a file that holds the value of `<NAME>`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{env_name(field_name, self.settings_cls)}_FILE")
        value = _read(Path(path)) if path else None
        return value, field.validation_alias if isinstance(field.validation_alias, str) else field_name, False

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


def env_name(field_or_alias: str, settings: type[BaseSettings]) -> str:
    """The environment variable of a field."""
    field = settings.model_fields.get(field_or_alias)
    alias = field.validation_alias if field is not None else field_or_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field_or_alias.upper()}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as text ({type(error).__name__})") from error
