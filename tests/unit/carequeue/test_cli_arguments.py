"""What is asked of the operator's tool: tests of jobs, lists of numbers, and the commands that its page shows."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from carequeue.cli.arguments import parser
from carequeue.cli.where import where
from carequeue.wire.codec import Codec

PAGE = Path(__file__).parents[3] / "libs/carequeue/docs/cli.md"

CODEC: Codec[object] = Codec("reminders")
JOB = CODEC.job(
    "17",
    {
        "name": "mail",
        "data": '{"patient": {"id": 7, "code": "7"}, "urgent": true, "doses": [1.5, null], "text": "é"}',
        "opts": "{}",
        "failedReason": "the mail server said 550: no such box",
        "pb": "host-1",
    },
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("data.patient.id=7", True),
        ("data.patient.id=7.0", True),
        ("data.patient.id=8", False),
        ("data.patient.id!=8", True),
        ("data.patient.code=7", True),
        ('data.patient.code="7"', True),
        ("data.patient.id=true", False),
        ("data.urgent=true", True),
        ("data.urgent=1", False),
        ("data.doses.0=1.5", True),
        ("data.doses.1=null", True),
        ("data.doses.2=null", False),
        ("data.nothing=null", False),
        ("data.nothing!=1", True),
        ("data.patient.id.deeper=7", False),
        ('data.patient={"code": "7", "id": 7}', True),
        ("data.text=é", True),
        ("data~é", True),
        ("data~urgent", True),
        ("reason~550", True),
        ("reason~551", False),
        ("worker=host-1", True),
        ("group=", False),
        ("group~x", False),
        ("id=17", True),
        ("result=null", True),
    ],
)
def test_a_job_is_meant_or_not(text: str, *, holds: bool) -> None:
    assert where(text)(JOB) is holds


def test_what_cannot_be_read_is_not_meant() -> None:
    broken = CODEC.job("1", {"name": "mail", "data": "{", "opts": "{}"})
    assert not where("data.to=7")(broken)
    assert where("data.to!=7")(broken)


@pytest.mark.parametrize("text", ["", "data", "=7", "nonsense=7", "reason.deeper=7"])
def test_what_is_no_test_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        where(text)


def test_priorities_are_single_or_from_to() -> None:
    assert parser().parse_args(["counts", "q", "--priorities", "0,3,5-7"]).priorities == [0, 3, 5, 6, 7]


@pytest.mark.parametrize("text", ["", "high", "3-", "-3", "7-5", "1-99999999999"])
def test_other_priorities_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["counts", "q", f"--priorities={text}"])
    assert ended.value.code == 2
    assert "priorities" in capsys.readouterr().err


def test_a_password_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["counts", "q", "--uri", "redis://me:hush@localhost"])
    err = capsys.readouterr().err
    assert "hush" not in err
    assert "localhost" in err


def test_every_command_on_the_page_can_be_asked() -> None:
    lines = re.findall(r"^carequeue (.*?)(?:  .*)?$", PAGE.read_text("utf-8"), re.MULTILINE)
    asked = [parser().parse_args(shlex.split(line)) for line in lines]
    assert len(asked) > 20


def test_the_page_shows_every_command() -> None:
    shown = set(re.findall(r"carequeue ([\w-]+)", PAGE.read_text("utf-8")))
    help_text = parser().format_help()
    commands = re.findall(r"^    ([\w-]+)  ", help_text, re.MULTILINE)
    assert len(commands) > 20
    assert [command for command in commands if command not in shown and command != "resume"] == []
