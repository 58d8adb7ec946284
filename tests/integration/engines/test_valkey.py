"""The embedded Valkey: it keeps its data, never evicts, and a server that is too old is refused with words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from carecircle_cli.engines import EmbeddedValkey, EngineError, EngineNotFound, free_port
from carecircle_cli.engines import valkey as module
from carecircle_cli.engines.process import listens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey")
    yield server
    server.stop()


@pytest.fixture
def client(server: EmbeddedValkey) -> Iterator[Redis]:
    with Redis.from_url(server.url(), decode_responses=True) as client:
        yield client


def test_data_survives_a_stop_and_a_crash(server: EmbeddedValkey, client: Redis) -> None:
    server.start()
    client.set("before", "the stop")
    server.stop()
    server.start()
    client.set("then", "the crash")
    client.execute_command("WAITAOF", 1, 0, 5000)
    server.process.kill()
    server.start()
    assert client.mget("before", "then") == ["the stop", "the crash"]


def test_it_holds_a_queue_safely(server: EmbeddedValkey, client: Redis) -> None:
    server.start()
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.info("persistence")["aof_enabled"] == 1
    assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_port_that_somebody_else_holds_is_said(server: EmbeddedValkey, tmp_path: Path) -> None:
    server.start()
    second = EmbeddedValkey(tmp_path / "second", server.port)
    with pytest.raises(EngineError, match="Address already in use"):
        second.start()


def test_who_listens_on_a_port_can_be_told(server: EmbeddedValkey) -> None:
    server.start()
    assert server.process.pid is not None
    assert listens(server.process.pid, server.port)
    assert not listens(os.getpid(), server.port)
    assert not listens(server.process.pid, free_port())


def test_a_redis_that_is_too_old_is_refused_with_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _server_on_path(monkeypatch, tmp_path, "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    with pytest.raises(EngineNotFound, match=r"redis-server is 6\.0\.16, and 6\.2 is the oldest that works"):
        module.find_server()


def test_the_machines_own_is_used_where_the_wheel_has_no_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = _server_on_path(monkeypatch, tmp_path, "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0")
    assert module.find_server() == program


def test_a_machine_without_redis_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EngineNotFound, match="REDIS_URL"):
        module.find_server()


def _server_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str) -> Path:
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(folder))
    return program
