"""Settings: from the environment or from files, and every mistake at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr  # noqa: TC002 - read at run time by pydantic

from carecircle.runtime.redis_url import with_timeouts
from carecircle.runtime.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


class KeySettings(Settings):
    some_key: SecretStr


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("CARECIRCLE_", "DATABASE_URL", "REDIS_URL")):
            monkeypatch.delenv(name)


def test_every_mistake_is_said_at_once_without_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARECIRCLE_LEASE_SECONDS", "canary")
    monkeypatch.setenv("CARECIRCLE_LOG_LEVEL", "LOUD")

    with pytest.raises(SettingsError) as raised:
        KeySettings.load()

    lines = str(raised.value).splitlines()
    assert [line.split(" ")[0].rstrip(":") for line in lines] == [
        "CARECIRCLE_LEASE_SECONDS",
        "CARECIRCLE_LOG_LEVEL",
        "CARECIRCLE_SOME_KEY",
        "DATABASE_URL",
    ]
    assert "canary" not in str(raised.value)
    assert "CARECIRCLE_SOME_KEY_FILE" in lines[2]


def test_a_file_can_hold_any_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    (tmp_path / "key").write_text("secret\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("CARECIRCLE_SOME_KEY_FILE", str(tmp_path / "key"))

    settings = KeySettings.load()

    assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"
    assert settings.some_key.get_secret_value() == "secret"
    assert "secret" not in repr(settings)


def test_the_variable_wins_over_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("from a file")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("DATABASE_URL", "from the environment")

    assert Settings.load().database_url.get_secret_value() == "from the environment"


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "nothing"))

    with pytest.raises(SettingsError, match="nothing: cannot be read"):
        Settings.load()


def test_a_queue_prefix_that_would_break_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARECIRCLE_QUEUE_PREFIX", "a:b")

    with pytest.raises(SettingsError, match="CARECIRCLE_QUEUE_PREFIX"):
        Settings.load(database_url="postgresql://h/d")


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("redis://:secret@h/1", "bull"),
        ("rediss://h?ssl_ca_certs=/ca.pem", "bull"),
        ("unix:///run/redis.sock", "bull"),
        ("redis+sentinel://u:secret@one,two:26380/main", "bull"),
        ("redis+cluster://one,two", "{bull}"),
    ],
)
def test_redis_may_be_anything_that_the_queues_know(url: str, prefix: str) -> None:
    settings = Settings.load(database_url="postgresql://h/d", redis_url=url, queue_prefix=prefix)
    assert settings.redis_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "prefix", "told"),
    [
        ("http://u:secret@h", "bull", "REDIS_URL: Value error, not the URL of a Redis: it begins with one of redis://"),
        ("redis+sentinel://u:secret@h", "bull", "REDIS_URL: Value error, not the URL of a Redis: behind the sentinels"),
        ("redis+cluster://u:secret@h", "bull", "CARECIRCLE_QUEUE_PREFIX: Value error, in a Redis Cluster .*'{bull}'"),
        ("redis://h", "{bull", "CARECIRCLE_QUEUE_PREFIX: String should match"),
    ],
)
def test_a_redis_that_cannot_be_is_said_without_its_password(url: str, prefix: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as raised:
        Settings.load(database_url="postgresql://h/d", redis_url=url, queue_prefix=prefix)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("redis://h", "redis://h?socket_timeout=2&socket_connect_timeout=2"),
        ("redis://h?db=1", "redis://h?db=1&socket_timeout=2&socket_connect_timeout=2"),
        ("unix:///run/r.sock?socket_timeout=9", "unix:///run/r.sock?socket_timeout=9&socket_connect_timeout=2"),
        (
            "redis+sentinel://a,b/main?socket_timeout=1&socket_connect_timeout=1",
            "redis+sentinel://a,b/main?socket_timeout=1&socket_connect_timeout=1",
        ),
    ],
)
def test_redis_is_given_up_after_two_seconds_unless_its_address_says_otherwise(given: str, used: str) -> None:
    assert with_timeouts(given) == used
