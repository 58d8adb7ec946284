"""Every check there is: the engines, the clocks, and what each installed service package brings along."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, cast
from zoneinfo import TZPATH, ZoneInfo

from carecircle.channels import GROUP
from carecircle.runtime.findings import Finding
from carecircle.runtime.settings import Settings, SettingsError
from carecircle_cli.doctor.postgres import check_postgres
from carecircle_cli.doctor.redis import check_redis

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Check = Callable[[], Awaitable[list[Finding]]]

SERVICES = ("carecircle_api", "carecircle_dispatcher")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati")


async def examine() -> list[Finding]:
    """All findings, in the order of the checks. One that breaks is a finding as well."""
    done = await asyncio.gather(_engines(), time_zones(), *(check() for check in service_checks()))
    return [finding for findings in done for finding in findings]


def service_checks() -> list[Check]:
    """The `doctor` modules of the services and channels that are installed (see `carecircle.runtime.findings`)."""
    channels = sorted(point.value.partition(".")[0] for point in entry_points(group=GROUP))
    names = [f"{package}.doctor" for package in (*SERVICES, *channels)]
    return [cast("Check", importlib.import_module(name).check) for name in names if importlib.util.find_spec(name)]


async def time_zones() -> list[Finding]:
    """Whether the time zone database is there, and which."""
    try:
        for name in ZONES:
            ZoneInfo(name)
        packaged = version("tzdata")
    except (KeyError, PackageNotFoundError) as error:
        return [Finding.fail("Time zones", "database", f"{error} is missing", "install the package `tzdata`")]
    return [
        Finding.ok("Time zones", "database", f"tzdata {packaged}; the system's own is looked at first: {TZPATH[0]}")
    ]


async def _engines() -> list[Finding]:
    try:
        settings = Settings.load()
    except SettingsError as error:
        return [
            Finding.fail("Settings", "complete", str(error), "set it, or run this beside a running `carecircle up`")
        ]
    postgres, redis = await asyncio.gather(
        check_postgres(settings.database_url.get_secret_value()), check_redis(settings.redis_url.get_secret_value())
    )
    return [*postgres, *redis]
