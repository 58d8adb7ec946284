"""What `carecircle up` runs beside the engines: every process with its command line, environment and readiness."""

from __future__ import annotations

import http.client
import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from carecircle_cli.engines import Program
from carecircle_cli.engines.process import listens
from carecircle_cli.up import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from carecircle_cli.up.data_dir import DataDir

HOST = "127.0.0.1"
# What people type gets a number worth remembering; 0 is any free port.
PORTS: Mapping[str, int] = {
    "api": 8000, "inbox": 8025, "push": 8026, "smtp": 0, "postgres": 0, "redis": 0, "dispatcher": 0, "email": 0,
    "push_worker": 0,
}  # fmt: skip
DRAIN_SECONDS = 210
"""Longer than a worker's own deadline for what it is sending (`Budgets.stop_grace`)."""
READY_SECONDS = 60
SENDER = "CareCircle <reminders@carecircle.example>"
VAPID_SUBJECT = "mailto:operator@carecircle.example"


@dataclass(frozen=True, slots=True)
class Site:
    """Where everything of this run is."""

    database_url: str
    redis_url: str
    ports: Mapping[str, int]
    data: DataDir
    real_smtp: bool = False

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.ports['api']}"

    @property
    def inbox_url(self) -> str | None:
        return None if self.real_smtp else f"http://{HOST}:{self.ports['inbox']}"

    @property
    def push_url(self) -> str:
        return f"http://{HOST}:{self.ports['push']}"

    def environment(self) -> dict[str, str]:
        """What every process of this site reads, beside the rest of our own environment."""
        ours = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "CARECIRCLE_SECRET_KEY_FILE": str(self.data.secret_key()),
            "CARECIRCLE_VAPID_PRIVATE_KEY_FILE": str(self.data.vapid_key()),
            "CARECIRCLE_VAPID_SUBJECT": os.environ.get("CARECIRCLE_VAPID_SUBJECT", VAPID_SUBJECT),
            "CARECIRCLE_PUSH_ALLOWED_ORIGINS": self.push_url,
            "CARECIRCLE_PUBLIC_URL": os.environ.get("CARECIRCLE_PUBLIC_URL", self.api_url),
            "CARECIRCLE_API_HOST": HOST,
            "CARECIRCLE_API_PORT": str(self.ports["api"]),
            "CARECIRCLE_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        return ours | ({} if self.real_smtp else self._sink_smtp())

    def inherited(self) -> dict[str, str]:
        """Our own environment, without an operator's mail server (and its password) unless it is to be used."""
        return {
            name: value
            for name, value in os.environ.items()
            if self.real_smtp or not name.startswith("CARECIRCLE_SMTP_")
        }

    def _sink_smtp(self) -> dict[str, str]:
        return {
            "CARECIRCLE_SMTP_HOST": HOST,
            "CARECIRCLE_SMTP_PORT": str(self.ports["smtp"]),
            "CARECIRCLE_SMTP_SECURITY": "none",
            "CARECIRCLE_SMTP_SENDER": SENDER,
        }


def migration(site: Site) -> Program:
    return _python(site, "migrate", "carecircle_cli", "migrate", ready=lambda _: True)


def sinks(site: Site) -> list[Program]:
    """The servers that play the outside world."""
    push = _python(
        site, "push_sink", "carecircle_push.testing", "--host", HOST, "--port", str(site.ports["push"]),
        ready=_answers(site.ports["push"], "/"), grace=5,
    )  # fmt: skip
    mail = _python(
        site, "mail_sink", "carecircle_email.testing", "--host", HOST, "--smtp-port", str(site.ports["smtp"]),
        "--http-port", str(site.ports["inbox"]), "--file", str(site.data.mail),
        ready=_answers(site.ports["inbox"], "/"), grace=5,
    )  # fmt: skip
    return [push] if site.real_smtp else [mail, push]


def services(site: Site) -> list[list[Program]]:
    """In the order in which they feed each other: stopped from the end, nobody is given work that nobody takes."""
    return [
        [_service(site, "email", "carecircle_email"), _service(site, "push_worker", "carecircle_push")],
        [_service(site, "dispatcher", "carecircle_dispatcher")],
        [_service(site, "api", "carecircle_api")],
    ]


def _service(site: Site, name: str, module: str) -> Program:
    ready = _answers(site.ports[name], "/readyz")
    return replace(_python(site, name, module, ready=ready, grace=DRAIN_SECONDS), shown=logs.shown)


def _python(
    site: Site, name: str, module: str, *arguments: str, ready: Callable[[int], bool], grace: float = 10
) -> Program:
    environment = site.inherited() | site.environment()
    if name != "api":
        environment["CARECIRCLE_HEALTH_PORT"] = str(site.ports.get(name, 0))
    return Program(
        name=name,
        command=(sys.executable, "-m", module, *arguments),
        log=_log(site, name),
        ready=ready,
        environment=environment,
        grace=grace,
        ready_within=READY_SECONDS,
    )


def _log(site: Site, name: str) -> Path:
    return site.data.log(name)


def _answers(port: int, path: str) -> Callable[[int], bool]:
    """A readiness: this process answers this path with 200. Not another one, which took the port a moment earlier."""

    def ready(pid: int) -> bool:
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK and listens(pid, port)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready
