"""The demo circle's own rules; that it works is seen in test_up.py."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carecircle_cli.demo.circle import LEAD, seed, soon
from carecircle_cli.demo.state import OWNER, DemoState
from carecircle_cli.engines import free_port
from carecircle_cli.errors import CommandFailed
from carecircle_cli.up.data_dir import DataDir
from carecircle_cli.up.demo import check_real_mail

if TYPE_CHECKING:
    from pathlib import Path


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware by hypothesis
def test_the_next_dose_is_a_full_minute_soon_but_not_too_soon(now: datetime) -> None:
    at = soon(now)
    assert (at.second, at.microsecond) == (0, 0)
    assert LEAD < at - now <= LEAD + timedelta(minutes=1)


def test_the_login_stays_the_same_from_run_to_run_and_is_nobody_elses_business(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    first = DemoState.load_or_make(path)
    assert DemoState.load_or_make(path) == first
    assert first.owner == OWNER
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_owner_is_another_circle(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    made_up = DemoState.load_or_make(path)
    real = DemoState.load_or_make(path, owner="me@home.example")
    assert (made_up.made_up, real.made_up) == (True, False)
    assert real.password != made_up.password
    assert DemoState.load_or_make(path) == real


def test_made_up_people_get_no_real_mail(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    check_real_mail(data)
    DemoState.load_or_make(data.demo)
    with pytest.raises(CommandFailed, match="made-up people, who would get real mail"):
        check_real_mail(data)


async def test_an_api_that_is_not_there_is_said(tmp_path: Path) -> None:
    state = DemoState.load_or_make(tmp_path / "demo.json")
    with pytest.raises(CommandFailed, match="does not answer"):
        await seed(f"http://127.0.0.1:{free_port()}", state, datetime.now(UTC))
