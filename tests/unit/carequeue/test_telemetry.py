"""Telemetry: who listens hears, who does not costs nothing, and what listens may break."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from carequeue import InvalidOption, Telemetry
from carequeue.telemetry import NOBODY_LISTENS
from carequeue.testing import make_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def test_telemetry_reaches_only_who_asked_until_they_leave() -> None:
    telemetry = Telemetry()
    seen: list[str] = []
    leave = telemetry.subscribe(lambda event, fields: seen.append(f"{event} {fields['queue']}"), "worker.drained")
    assert telemetry.wanted("worker.drained")
    assert not telemetry.wanted("step")
    telemetry.emit("worker.drained", queue="q")
    telemetry.emit("job.stalled", queue="q", job_id="1")
    leave()
    telemetry.emit("worker.drained", queue="q")
    assert seen == ["worker.drained q"]
    assert not telemetry.wanted("worker.drained")


def test_a_subscriber_that_fails_is_logged_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry()
    seen: list[str] = []

    def broken(event: str, fields: object) -> None:
        raise RuntimeError("metrics are down")

    telemetry.subscribe(broken, "worker.drained")
    telemetry.subscribe(lambda event, _: seen.append(event), "worker.drained")
    with caplog.at_level(logging.ERROR, "carequeue.telemetry"):
        telemetry.emit("worker.drained", queue="q")
    assert seen == ["worker.drained"]
    assert [record.message for record in caplog.records] == ["telemetry.subscriber_failed"]


def test_an_unknown_event_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(KeyError, match=r"job\.done.*job\.completed"):
        Telemetry().subscribe(lambda *_: None, "job.done")


class Notebook:
    """A tracing that notes what it is told."""

    def __init__(self) -> None:
        self.carrier = "{}"
        self.told: list[Any] = []

    def attach(self, telemetry: Telemetry) -> None:
        telemetry.tracing = self  # type: ignore[assignment] - nothing works here

    def adding(self, operation: str, queue: str, names: Sequence[str]) -> Notebook:
        self.told.append((operation, queue, list(names)))
        return self

    def added(self, ids: Sequence[str]) -> None:
        self.told.append(list(ids))

    def ended(self, error: BaseException | None) -> None:
        self.told.append(error)


def test_adding_costs_nothing_while_nobody_listens() -> None:
    telemetry = Telemetry()
    assert telemetry.adding("add", "q", ["paint"]) is NOBODY_LISTENS
    with telemetry.adding("add", "q", ["paint"]) as adding:
        adding.added([make_job("paint")])
    assert adding.carrier == ""


def test_tracing_and_listeners_hear_what_is_added() -> None:
    notebook = Notebook()
    heard: list[Mapping[str, Any]] = []
    telemetry = Telemetry(notebook)
    telemetry.subscribe(lambda _, fields: heard.append(fields), "job.added")
    job = make_job("paint", queue="q")
    with telemetry.adding("add", "q", ["paint"]) as adding:
        assert adding.carrier == "{}"
        adding.added([job])
    assert notebook.told == [("add", "q", ["paint"]), [job.id], None]
    assert heard == [{"queue": "q", "job_id": job.id, "name": "paint"}]


def test_tracing_hears_why_nothing_was_added() -> None:
    notebook, problem = Notebook(), ConnectionError()
    with pytest.raises(ConnectionError), Telemetry(notebook).adding("add", "q", ["paint"]):
        raise problem
    assert notebook.told[1:] == [problem]


def test_a_job_carries_one_trace() -> None:
    with pytest.raises(InvalidOption, match="a tracing already"):
        Telemetry(Notebook(), Notebook())
