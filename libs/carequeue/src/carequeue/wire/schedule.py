"""Schedulers on the wire: the hash `repeat:<id>`, and the job of each run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from carequeue.cron import Cron
from carequeue.errors import InvalidOption, PayloadError
from carequeue.misfire import RUN_ONCE, CatchUp, Misfire, SkipLate
from carequeue.repeat import Repeat
from carequeue.wire.grouping import wire_priority
from carequeue.wire.json_text import parse, stringify
from carequeue.wire.times import from_ms, span_ms, to_ms

if TYPE_CHECKING:
    from collections.abc import Mapping


MISFIRE: str = "misfire"
"""The job option, of our own, that says what becomes of missed runs."""


RULE_WORDS = ("pattern", "tz", "every", "limit", "startDate", "endDate")
RUN_WORDS = ("jobId", "delay", "timestamp", "repeatJobKey", "prevMillis", "repeat", "tm")
"""Options that a run does not have from its scheduler's template."""


@dataclass(frozen=True, slots=True)
class Template:
    """What every run of a scheduler is made from. `opts` are the options in BullMQ's words, and our `misfire`: other
    clients hand on what they do not know, from run to run.
    """

    name: str
    data: str = "{}"
    opts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trace: str = ""
    """Where it is scheduled: what the run takes along that is made with this, and no later one."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as scripts take it: the job `repeat:<scheduler>:<due>`."""

    due: int
    name: str
    data: str
    opts: str
    timestamp: int
    delay: int
    priority: int = 0
    lifo: bool = False


def run_id(scheduler_id: str, due: int) -> str:
    return f"repeat:{scheduler_id}:{due}"


def encode_scheduler(repeat: Repeat, template: Template, due: int) -> dict[str, str]:
    """The fields of a scheduler's hash; `due` is its next run."""
    fields = {"name": template.name} | {name: str(value) for name, value in _rule(repeat).items()}
    if repeat.interval is not None:
        # where its runs lie within the interval: other clients keep to it after an outage
        fields["offset"] = str(due % span_ms(repeat.interval) if repeat.offset is None else span_ms(repeat.offset))
    else:
        fields["offset"] = "0"
    if template.data != "{}":
        fields["data"] = template.data
    if template.opts:
        fields["opts"] = stringify(dict(template.opts))
    return fields


def decode_repeat(fields: Mapping[str, str], *, custom: bool = False) -> Repeat:
    """The rule in a scheduler's hash; `custom`: the pattern may be something else than cron.

    Raises:
        InvalidOption: another client wrote a pattern or zone that carequeue cannot follow.
    """
    every, pattern = _integer(fields, "every"), fields.get("pattern", "")
    said: dict[str, Any] = {
        "limit": _integer(fields, "limit"),
        "start": _instant(fields, "startDate"),
        "end": _instant(fields, "endDate"),
        "misfire": decode_misfire(decode_template(fields).opts),
    }
    if every is not None:
        return Repeat.every(timedelta(milliseconds=every), **said)
    make = Repeat.by_strategy if custom and not _is_cron(pattern) else Repeat.cron
    return make(pattern, zone=fields.get("tz") or "UTC", **said)


def encode_misfire(misfire: Misfire) -> dict[str, object]:
    """The policy as a job option; nothing for the default, which is BullMQ's."""
    match misfire:
        case SkipLate(after):
            return {MISFIRE: {"skipLate": span_ms(after)}}
        case CatchUp(most):
            return {MISFIRE: {"catchUp": most}}
        case _:
            return {}


def decode_misfire(opts: Mapping[str, Any]) -> Misfire:
    """The policy in the options of a scheduler or a run; what cannot be read counts as unsaid."""
    try:
        match opts.get(MISFIRE):
            case {"skipLate": int() | float() as late}:
                return SkipLate(timedelta(milliseconds=late))
            case {"catchUp": int() | float() as most}:
                return CatchUp(int(most))
            case _:
                return RUN_ONCE
    except (InvalidOption, OverflowError, ValueError):
        return RUN_ONCE


def decode_template(fields: Mapping[str, str]) -> Template:
    try:
        opts = parse(fields.get("opts") or "{}")
    except PayloadError:
        opts = {}
    known = cast("dict[str, Any]", opts) if isinstance(opts, dict) else {}
    return Template(fields.get("name", ""), fields.get("data") or "{}", known)


def recover_scheduler(run: Mapping[str, str]) -> dict[str, str] | None:
    """The hash of the scheduler that made this job, as far as the job knows it; None if it does not."""
    opts = decode_template(run).opts
    rule = opts.get("repeat")
    if not isinstance(rule, dict):
        return None
    said = cast("dict[str, Any]", rule)
    fields = {word: _text(said[word]) for word in RULE_WORDS if said.get(word) is not None}
    if ("pattern" in fields) == ("every" in fields):
        return None
    every = _integer(fields, "every")
    fields |= {"name": run.get("name", ""), "ic": _text(said.get("count") or 1), "offset": "0"}
    if every:
        due = str(opts.get("jobId")).rpartition(":")[2]
        fields["offset"] = str(int(due) % every) if due.isdecimal() else "0"
    template = {word: value for word, value in opts.items() if word not in RUN_WORDS}
    if (data := run.get("data", "{}")) != "{}":
        fields["data"] = data
    if template:
        fields["opts"] = stringify(template)
    return fields


def iterations(fields: Mapping[str, str]) -> int:
    """How many runs a scheduler has made, the one that it waits for included."""
    return _integer(fields, "ic") or 1


def same_rule(repeat: Repeat, fields: Mapping[str, str]) -> bool:
    """Whether a scheduler with this hash runs at the times of `repeat` already."""
    rule = _rule(repeat)
    offset = rule.pop("offset", None)
    return rule == _rule(decode_repeat(fields, custom=True)) and offset in (None, _integer(fields, "offset"))


def make_run(scheduler_id: str, repeat: Repeat, template: Template, *, due: int, now: int, count: int) -> RunRecord:
    """The run due at `due`, the `count`-th of its scheduler."""
    delay = max(0, due - now)
    opts = dict(template.opts)
    if count > 1:
        opts.setdefault("attempts", 0)  # other clients say it from the second run on
    opts |= {"jobId": run_id(scheduler_id, due), "delay": delay, "timestamp": now, "repeatJobKey": scheduler_id}
    if template.trace and opts.get("omc") is not True:
        opts.setdefault("tm", template.trace)
    if repeat.pattern is not None:
        opts["prevMillis"] = due
    opts["repeat"] = _rule(repeat) | {"count": count}
    return RunRecord(
        due=due,
        name=template.name,
        data=template.data,
        opts=stringify(opts),
        timestamp=now,
        delay=delay,
        priority=wire_priority(opts),
        lifo=opts.get("lifo") is True,
    )


def _rule(repeat: Repeat) -> dict[str, object]:
    """The rule in BullMQ's words; what is unsaid is left out."""
    rule: dict[str, object] = {}
    if repeat.pattern is not None:
        rule["pattern"] = repeat.pattern
        rule["tz"] = repeat.zone
    if repeat.interval is not None:
        rule["every"] = span_ms(repeat.interval)
    if repeat.offset is not None:
        rule["offset"] = span_ms(repeat.offset)
    if repeat.limit is not None:
        rule["limit"] = repeat.limit
    if repeat.start is not None:
        rule["startDate"] = to_ms(repeat.start)
    if repeat.end is not None:
        rule["endDate"] = to_ms(repeat.end)
    return rule


def _text(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else str(value)


def _is_cron(pattern: str) -> bool:
    try:
        Cron.parse(pattern)
    except InvalidOption:
        return False
    return True


def _integer(fields: Mapping[str, str], name: str) -> int | None:
    text = fields.get(name)
    return int(float(text)) if text else None


def _instant(fields: Mapping[str, str], name: str) -> Any:
    milliseconds = _integer(fields, name)
    return None if milliseconds is None else from_ms(milliseconds)
