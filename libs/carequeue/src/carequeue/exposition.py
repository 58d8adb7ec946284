"""A queue in Prometheus's text format, with BullMQ's names: `Queue.export_prometheus_metrics`. It needs no library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from carequeue.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
OWN_LABELS = frozenset({"queue", "state"})
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

JOB_COUNT = "bullmq_job_count"
COMPLETED = "bullmq_job_completed_total"
FAILED = "bullmq_job_failed_total"
HELP = {
    JOB_COUNT: "Number of jobs in the queue by state",
    COMPLETED: "Total number of completed jobs",
    FAILED: "Total number of failed jobs",
}


def checked(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels that go on every line.

    Raises:
        InvalidOption: Prometheus does not take one, or it is one of our own.
    """
    for name in labels:
        if not LABEL.fullmatch(name):
            raise InvalidOption(f"a label's name is letters, digits and '_', and starts with no '__', got {name!r}")
        if name in OWN_LABELS:
            raise InvalidOption(f"the label {name!r} is there already; give yours another name")
    return {name: str(value) for name, value in labels.items()}


def text(queue: str, labels: Mapping[str, str], counts: Mapping[str, int], completed: int, failed: int) -> str:
    lines = [*_head(JOB_COUNT, "gauge")]
    for state, count in counts.items():
        lines.append(f"{JOB_COUNT}{_written({'queue': queue, 'state': state, **labels})} {count}")
    for name, total in ((COMPLETED, completed), (FAILED, failed)):
        lines += [*_head(name, "counter"), f"{name}{_written({'queue': queue, **labels})} {total}"]
    return "\n".join(lines) + "\n"


def _head(name: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"


def _written(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{value.translate(ESCAPES)}"' for name, value in labels.items())
    return f"{{{', '.join(pairs)}}}"
