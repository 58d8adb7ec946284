"""A running system a module, in the loop of the module: starting it takes seconds, and a dose waits for its minute."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest_asyncio
from tests.conftest import TEMPLATE, database_url, statement
from tests.e2e.system import System

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    name = f"e2e_{secrets.token_hex(6)}"
    statement(postgres_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    async with System(tmp_path_factory.mktemp("system"), database_url(postgres_url, name)) as system:
        yield system
    statement(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
