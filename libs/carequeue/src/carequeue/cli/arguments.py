"""The command line: which commands there are and what each takes."""

from __future__ import annotations

import argparse
import json
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from carequeue.cli import bench, change, doctor, look
from carequeue.cli.counts import counts
from carequeue.cli.jobs import jobs
from carequeue.cli.where import HELP, where
from carequeue.job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESSES = ("CAREQUEUE_URL", "REDIS_URL")
LOCAL = "redis://localhost:6379"
UNITS: dict[str, float] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
MOST_PRIORITIES = 1000
OFTEN = timedelta(milliseconds=100)
SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")

STATES = [state.value for state in JobState]

ABOUT = """Look at queues of carequeue and BullMQ, and put right what went wrong.

The server is --url, or $CAREQUEUE_URL, or $REDIS_URL, or redis://localhost:6379. URLs of Sentinel and Cluster are
known: redis+sentinel://…, redis+cluster://…. What jobs carry is shown only with --data: it may be confidential."""

PLACE = re.compile(r"\$|\d{1,19}(?:-\d{1,19})?")
PASSWORD = re.compile(r"//[^/@\s]*@")

Commands = Any  # argparse does not export the class of its subparsers


class _Parser(argparse.ArgumentParser):
    """One that does not repeat a password when it repeats what it was given."""

    def error(self, message: str) -> NoReturn:
        super().error(PASSWORD.sub("//***@", message))


def parser() -> argparse.ArgumentParser:
    root = _Parser(prog="carequeue", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _looking(commands)
    _changing(commands)
    _serving(commands)
    return root


def _looking(commands: Commands) -> None:
    _command(commands, "queues", look.queues, "the queues of the server", queue=False)
    _counting(commands)
    _listing(commands)
    job = _command(commands, "job", look.job, "all that is known of one job")
    job.add_argument("id")
    _data(job)
    flow = _command(commands, "flow", look.flow, "a job and the children that it waits for, as a tree")
    flow.add_argument("id")
    flow.add_argument("--depth", type=_number, default=10, help="how many levels; 10")
    events = _command(commands, "events", look.events, "what happens, as it happens, until Ctrl-C")
    events.add_argument(
        "--since", type=_place, default="$", metavar="ID", help="'0': from the oldest that is kept; after an event's id"
    )
    events.add_argument("--name", action="append", help="only events of this name; repeat it for several")
    _data(events)
    errors = _command(commands, "errors", look.errors, "failed jobs by what they failed of")
    errors.add_argument("--limit", type=_number, default=20, help="at most so many groups; 20")
    _command(commands, "workers", look.workers, "the workers that are connected, in whatever language")
    _command(commands, "schedulers", look.schedulers, "what repeats, and when it runs next")
    _command(commands, "groups", look.groups, "the groups with jobs")
    _command(commands, "letters", look.letters, "the dead letters that nobody has dealt with")
    metrics = _command(commands, "metrics", look.metrics, "how many jobs ended in each minute")
    metrics.add_argument("--minutes", type=_number, default=10, help="the newest so many; 10")
    metrics.add_argument("--prometheus", action="store_true", help="the text that Prometheus scrapes")


def _counting(commands: Commands) -> None:
    counting = _command(
        commands, "counts", counts, "how many jobs are in each state, and the queue's limits", queue=False
    )
    counting.add_argument("queues", nargs="+", metavar="queue", help="its name; of several a table")
    counting.add_argument(
        "--priorities", type=_priorities, default=[], metavar="LIST", help="and how many of each: 1,2,5-9; 0 has none"
    )
    counting.add_argument(
        "--watch", type=_every, nargs="?", const=timedelta(seconds=2), metavar="TIME",
        help="again and again, every 2s or as said, until Ctrl-C",
    )  # fmt: skip


def _listing(commands: Commands) -> None:
    listed = _command(commands, "jobs", jobs, "the jobs of a state, or of several")
    listed.add_argument("--state", action="append", choices=STATES, help="repeat it for several; all but completed")
    listed.add_argument("--name", help="only jobs with this name")
    listed.add_argument("--where", action="append", type=where, default=[], metavar="TEST", help=HELP)
    listed.add_argument("--limit", type=_number, default=50, help="at most so many; 50")
    listed.add_argument("--after", metavar="PLACE", help="go on where the list before ended, as it said")
    _data(listed)


def _changing(commands: Commands) -> None:
    add = _command(commands, "add", change.add, "add a job")
    add.add_argument("name")
    add.add_argument("--data", type=_json, default=None, metavar="JSON")
    add.add_argument("--id", dest="job_id")
    add.add_argument("--delay", type=_span, metavar="TIME", help="90s, 5m, 2h, 1d")
    add.add_argument("--priority", type=int)
    add.add_argument("--attempts", type=int)
    retry = _command(commands, "retry", change.retry, "run failed jobs again: some, those of an error, or all")
    _some_or_all(retry, "every failed job")
    retry.add_argument("--error", metavar="FINGERPRINT", help="those that `errors` shows under this fingerprint")
    retry.add_argument("--completed", action="store_true", help="completed jobs instead of failed ones, with --all")
    retry.add_argument(
        "--reset-attempts", action="store_true", help="with all their attempts once more; not with --all"
    )
    promote = _command(commands, "promote", change.promote, "let delayed jobs run at once")
    _some_or_all(promote, "every delayed job")
    remove = _command(commands, "remove", change.remove, "remove jobs, with their children")
    remove.add_argument("ids", nargs="*", metavar="ID")
    remove.add_argument("--error", metavar="FINGERPRINT", help="failed jobs that `errors` shows under this fingerprint")
    _yes(remove)
    clean = _command(commands, "clean", change.clean, "remove old jobs of a state")
    clean.add_argument("--state", choices=STATES, default=JobState.COMPLETED.value, help="completed")
    clean.add_argument("--older-than", type=_span, required=True, metavar="TIME", help="90s, 5m, 2h, 1d; 0 for all")
    clean.add_argument("--limit", type=_number, default=0, help="at most so many; all")
    _yes(clean)
    _command(commands, "pause", change.pause, "let no worker take a job")
    _command(commands, "resume", change.resume, "let workers take jobs again")
    drain = _command(commands, "drain", change.drain, "remove every job that waits")
    drain.add_argument("--delayed", action="store_true", help="the delayed ones too")
    _yes(drain)
    obliterate = _command(commands, "obliterate", change.obliterate, "delete a paused queue with all its jobs")
    obliterate.add_argument("--force", action="store_true", help="active jobs too")
    _yes(obliterate)
    orphans = _command(
        commands, "remove-orphans", change.remove_orphans, "remove jobs that are in no state, which old BullMQs left"
    )
    orphans.add_argument("--limit", type=_number, help="at most so many; all")
    _yes(orphans)
    unschedule = _command(commands, "unschedule", change.unschedule, "remove a scheduler and the run it waits for")
    unschedule.add_argument("id")
    replay = _command(commands, "replay", change.replay, "put the jobs of dead letters back to their queues")
    _some_or_all(replay, "the job of every letter")


def _serving(commands: Commands) -> None:
    examine = _command(commands, "doctor", doctor.doctor, "is this server fit, and this queue well?", queue=False)
    examine.add_argument("queue", nargs="?", help="without it only the server is looked at")
    measure = _command(commands, "bench", bench.bench, "how fast this server and this machine are", queue=False)
    measure.add_argument("--jobs", type=_number, default=5000, help="how many; 5000")


def _command(
    commands: Commands, name: str, run: Callable[..., Any], about: str, *, queue: bool = True
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=about, description=f"{name}: {about}.")
    made.set_defaults(command=run)
    if queue:
        made.add_argument("queue", help="its name")
    made.add_argument("--url", default=_address(), help="the server's")
    made.add_argument("--prefix", default="bull", help="of the keys; bull")
    made.add_argument("--json", action="store_true", help="a JSON object a line")
    return made


def _address() -> str:
    return next((value for name in ADDRESSES if (value := os.environ.get(name))), LOCAL)


def _data(made: argparse.ArgumentParser) -> None:
    made.add_argument("--data", action="store_true", help="show what jobs carry and return as well")


def _yes(made: argparse.ArgumentParser) -> None:
    made.add_argument("--yes", action="store_true", help="do not ask")


def _some_or_all(made: argparse.ArgumentParser, every: str) -> None:
    made.add_argument("ids", nargs="*", metavar="ID")
    made.add_argument("--all", action="store_true", help=every)
    made.add_argument("--limit", type=_number, help="of all, at most so many, those that come first")
    _yes(made)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, got {text!r}")
    return int(text)


def _span(text: str) -> timedelta:
    found = SPAN.fullmatch(text)
    if found is None or (found[2] is None and float(found[1])):
        raise argparse.ArgumentTypeError(f"a time is a number and ms, s, m, h or d, like 90s or 1d, got {text!r}")
    try:
        return timedelta(seconds=float(found[1]) * UNITS[found[2] or "s"])
    except OverflowError as error:
        raise argparse.ArgumentTypeError(f"longer than any queue lasts: {text!r}") from error


def _place(text: str) -> str:
    if not PLACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"an event's id, like 1767254400000-0, or 0, got {text!r}")
    return text


def _every(text: str) -> timedelta:
    span = _span(text)
    if span < OFTEN:
        raise argparse.ArgumentTypeError(f"not more often than every 100ms, got {text!r}")
    return span


def _priorities(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise argparse.ArgumentTypeError(f"priorities are written like 1,2,5-9, got {text!r}")
        these = range(int(first), int(last if dash else first) + 1)
        if not these or len(found) + len(these) > MOST_PRIORITIES:
            raise argparse.ArgumentTypeError(f"between 1 and {MOST_PRIORITIES} priorities, got {text!r}")
        found += these
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
