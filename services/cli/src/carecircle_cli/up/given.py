"""Engines whose address the person gave: looked at before anything leans on them, and refused with words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carecircle.runtime.findings import Level
from carecircle_cli.doctor.postgres import check_postgres, sqlalchemy_url
from carecircle_cli.doctor.redis import check_redis
from carecircle_cli.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from carecircle.runtime.findings import Finding


async def usable_postgres(url: str) -> str:
    """The address, in the form that the services want.

    Raises:
        CommandFailed: it cannot be used; says why and what to do.
    """
    _refuse("DATABASE_URL", (finding for finding in await check_postgres(url) if finding.check != "migrations"))
    return sqlalchemy_url(url)


async def usable_redis(url: str) -> str:
    """The address. Raises as `usable_postgres`."""
    _refuse("REDIS_URL", await check_redis(url))
    return url


def _refuse(name: str, findings: Iterable[Finding]) -> None:
    problems = [finding for finding in findings if finding.level is Level.FAIL]
    if problems:
        lines = "\n".join(f"  {problem.check}: {problem.detail} ({problem.remedy})" for problem in problems)
        raise CommandFailed(f"the server that {name} names cannot be used:\n{lines}")
