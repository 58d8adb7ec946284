"""What must hold for the compose file, the image and the observability files; no Docker is needed to tell."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from carecircle.runtime.budgets import Budgets
from carecircle.runtime.metrics import Metrics
from carecircle.runtime.settings import Settings
from carecircle_api.observe import HttpMetrics
from carecircle_api.settings import ApiSettings
from carecircle_email.settings import EmailSettings
from carecircle_push.settings import PushSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("migrate", "api", "dispatcher", "email_worker", "push_worker", "mail_sink", "cli")
ONE_SHOT = frozenset({"migrate", "cli"})
RUNNING = sorted(SERVICES.keys() - ONE_SHOT)
EVERY = pytest.mark.parametrize("name", sorted(SERVICES))


def test_it_runs_the_commands_of_carecircle_up() -> None:
    assert {name: " ".join(SERVICES[name]["command"]) for name in OURS[:5]} == {
        "migrate": "carecircle migrate",
        "api": "python -m carecircle_api",
        "dispatcher": "python -m carecircle_dispatcher",
        "email_worker": "python -m carecircle_email",
        "push_worker": "python -m carecircle_push",
    }


@EVERY
def test_every_container_is_hardened(name: str) -> None:
    service = SERVICES[name]
    uid, _, gid = service["user"].partition(":")
    assert uid.isdigit()
    assert int(uid) > 0
    assert gid.isdigit()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])  # noqa: S108 - the container's own
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["cpus"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert not service.get("privileged")
    assert "cap_add" not in service


@EVERY
def test_every_image_has_a_version(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+", tag)


def test_the_image_is_built_once() -> None:
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["migrate"]
    assert len({SERVICES[name]["image"] for name in OURS}) == 1


@EVERY
def test_ports_are_published_on_the_loopback_and_never_those_of_the_engines(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    if name not in {"api", "mail_sink", "prometheus", "grafana"}:
        assert ports == []


@EVERY
def test_no_secret_is_a_variable(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    suspicious = re.compile(r"PASSWORD|SECRET|_KEY|DATABASE_URL|REDIS_URL")
    assert all(key.endswith("_FILE") for key in environment if suspicious.search(key))
    assert all(value.startswith("/run/secrets/") for key, value in environment.items() if key.endswith("_FILE"))
    mounted = {f"/run/secrets/{secret}" for secret in SERVICES[name].get("secrets", [])}
    assert {value for key, value in environment.items() if key.endswith("_FILE")} <= mounted


def test_engines_can_be_reached_from_inside_only() -> None:
    assert COMPOSE["networks"]["back"]["internal"] is True
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["back"]


def test_only_those_who_talk_to_providers_may_go_out() -> None:
    assert {name for name in OURS if "egress" in SERVICES[name]["networks"]} == {
        "email_worker", "push_worker", "mail_sink", "cli",
    }  # fmt: skip


def test_services_start_after_the_migration_and_their_engines() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"
    for name in ("api", "dispatcher", "email_worker", "push_worker"):
        assert SERVICES[name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_healthy"},
        }


@pytest.mark.parametrize("name", RUNNING)
def test_every_running_container_has_a_healthcheck_and_is_restarted(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_a_stopping_container_has_longer_than_its_process_needs() -> None:
    drain = Budgets(lease=timedelta(seconds=45)).stop_grace.total_seconds()
    for name in ("dispatcher", "email_worker", "push_worker"):
        assert _seconds(SERVICES[name]["stop_grace_period"]) > drain
    assert _seconds(SERVICES["api"]["stop_grace_period"]) > ApiSettings.model_fields["shutdown_seconds"].default


def test_every_setting_is_one_that_some_service_reads() -> None:
    known = {
        f"CARECIRCLE_{name.upper()}"
        for settings in (Settings, ApiSettings, EmailSettings, PushSettings)
        for name in settings.model_fields
    }
    for name in OURS:
        given = {key.removesuffix("_FILE") for key in SERVICES[name].get("environment", {}) if "CARECIRCLE" in key}
        assert given <= known | {key.removesuffix("_FILE") for key in known}


def test_every_setting_without_a_default_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    for name in re.findall(r"\$\{(\w+):\?", text):
        assert re.search(rf"^{name}=", example, re.MULTILINE), name


def test_redis_keeps_what_queues_need() -> None:
    lines = (ROOT / "infra" / "redis.conf").read_text().splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes"} <= set(lines)


def test_secret_files_are_made_once_and_lie_in_a_closed_folder(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = [str(ROOT / "infra" / "make-secrets.sh"), str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert made.keys() == COMPOSE["secrets"].keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    subprocess.run(command, check=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    password = made["postgres_password"].decode()
    assert made["database_url"].decode() == f"postgresql+psycopg://carecircle:{password}@postgres:5432/carecircle"


def test_compose_itself_understands_the_file() -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("no docker compose on this machine")
    command = ["docker", "compose", "--env-file", ".env.example", "--profile", "*", "config", "--quiet"]
    subprocess.run(command, check=True, cwd=ROOT, env={"PATH": os.environ["PATH"]})


def test_alerts_and_dashboards_ask_for_numbers_that_there_are() -> None:
    there = exported(Metrics().registry) | exported(HttpMetrics().registry)
    rules = yaml.safe_load((ROOT / "infra" / "alerts" / "reminders.yml").read_text())
    dashboard = json.loads((ROOT / "infra" / "grafana" / "dashboards" / "carecircle.json").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    questions = [rule["expr"] for rule in alerts]
    questions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for question in questions for name in re.findall(r"\b(?:reminder|carecircle)_\w+", question)}
    assert asked <= there
    assert len(alerts) == len({rule["alert"] for rule in alerts})
    assert all({"summary", "action"} <= rule["annotations"].keys() for rule in alerts)


def test_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine")
    subprocess.run([promtool, "test", "rules", str(ROOT / "infra/alerts/tests/reminders.yml")], check=True)


def test_prometheus_looks_at_every_service() -> None:
    config = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())
    assert {job["job_name"] for job in config["scrape_configs"]} == set(OURS) - {"mail_sink"} - ONE_SHOT


def exported(registry: CollectorRegistry) -> set[str]:
    """Every name that can stand in a question."""
    return set(_names(registry))


def _names(registry: CollectorRegistry) -> Iterable[str]:
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        yield from (f"{family.name}{suffix}" for suffix in suffixes)


def _seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])
