"""The steps of `carecircle up`: engines, migrations, services, demo, table, and then watching until told to stop."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.markup import escape

from carecircle_cli.engines import EmbeddedPostgres, EmbeddedValkey, EngineError, is_free
from carecircle_cli.errors import CommandFailed
from carecircle_cli.up import demo, given, plan
from carecircle_cli.up.data_dir import DataDir, Running
from carecircle_cli.up.session import until_told
from carecircle_cli.up.supervisor import Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from carecircle_cli.demo.circle import Circle
    from carecircle_cli.engines import Program
    from carecircle_cli.up.report import TerminalReport

DATABASE = "carecircle"


@dataclass(frozen=True, slots=True)
class UpOptions:
    data_dir: Path
    port: int | None = None
    real_smtp: bool = False
    mail_to: str | None = None
    demo: bool = True


async def up(options: UpOptions, report: TerminalReport) -> bool:
    """Run the system until a signal comes; whether it then stopped in order.

    Raises:
        CommandFailed: it cannot run like this.
        EngineError: a part of it did not come up.
    """
    _check(options)
    data = DataDir(options.data_dir)
    with data.lock():
        if options.real_smtp:
            demo.check_real_mail(data)
        return await until_told(
            supervisor := Supervisor(report), _bring_up(options, data, supervisor, report), report.stopping
        )


async def _bring_up(options: UpOptions, data: DataDir, supervisor: Supervisor, report: TerminalReport) -> None:
    report.say(f"[bold]CareCircle Reminders[/] [dim]· data and logs in {escape(str(data.path))} · Ctrl-C stops it[/]")
    ports = data.ports(plan.PORTS, {} if options.port is None else {"api": options.port})
    with report.step("starting PostgreSQL and Redis"):
        site = await _start_engines(options, data, ports, supervisor)
    with report.step("bringing the tables up to date"):
        await _migrate_beside_sinks(site, supervisor)
    with report.step("starting the services"):
        await supervisor.start(*plan.services(site))
    data.announce(Running(os.getpid(), site.api_url, site.environment()))
    circle = await _demo_circle(options, site, report)
    demo.show_table(site, circle, report)
    report.say(f"  Up in {report.seconds:.1f} s. Ctrl-C stops everything; the data stays.")
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.watch())
        if circle is not None:
            group.create_task(demo.tell_arrivals(site, circle, report))


async def _migrate_beside_sinks(site: plan.Site, supervisor: Supervisor) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.run(plan.migration(site)))
            group.create_task(supervisor.start(plan.sinks(site)))
    except* EngineError as errors:
        raise errors.exceptions[0] from None


async def _demo_circle(options: UpOptions, site: plan.Site, report: TerminalReport) -> Circle | None:
    if not options.demo:
        return None
    with report.step("making the demo circle"):
        try:
            return await demo.seed_demo(site, options.mail_to)
        except CommandFailed as error:
            report.problem(f"no demo circle: {error}")  # everything else works
            return None


async def _start_engines(options: UpOptions, data: DataDir, ports: dict[str, int], supervisor: Supervisor) -> plan.Site:
    """Start those whose address is not given, and check those whose is."""
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    postgres = EmbeddedPostgres(data.postgres, ports["postgres"], log=data.log("postgres"))
    valkey = EmbeddedValkey(data.redis, ports["redis"], log=data.log("redis"))
    stages: list[list[Program]] = []
    if not database_url:
        stages.append([await asyncio.to_thread(postgres.prepare)])
    if not redis_url:
        stages.append([await asyncio.to_thread(valkey.prepare)])
    await supervisor.start(*stages)
    if database_url:
        database_url = await given.usable_postgres(database_url)
    else:
        await asyncio.to_thread(postgres.create_database, DATABASE)
        database_url = postgres.url(DATABASE)
    if redis_url:
        await given.usable_redis(redis_url)
    return plan.Site(database_url, redis_url or valkey.url(), ports, data, options.real_smtp)


def _check(options: UpOptions) -> None:
    """What can be told before anything is started."""
    if options.port is not None and not is_free(options.port):
        raise CommandFailed(f"port {options.port} is taken; give another --port, or none to have one chosen")
    if options.real_smtp and not os.environ.get("CARECIRCLE_SMTP_HOST"):
        raise CommandFailed(
            "--real-smtp needs your mail server in the environment: CARECIRCLE_SMTP_HOST, CARECIRCLE_SMTP_SENDER, and "
            "as it wants them CARECIRCLE_SMTP_PORT, _SECURITY (starttls, tls or none), _USERNAME and _PASSWORD_FILE"
        )
    if options.real_smtp and options.demo and not options.mail_to:
        raise CommandFailed(
            "with --real-smtp the demo circle's reminders would go to made-up people: "
            "say with --mail-to who gets them, or leave the demo out with --no-demo"
        )
