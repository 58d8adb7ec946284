"""A report and its pages: the flow that the tests of flows add, and how its pages are worked off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carequeue import FlowNode, Worker
from carequeue.testing import drain

if TYPE_CHECKING:
    from carequeue import Job, OnFailure, Queue


def report(queue: Queue, pages: Queue, *modes: OnFailure | None, **options: Any) -> FlowNode:
    """A report of as many pages as there are modes, with what the failure of each means."""
    children = [
        FlowNode("page", {"number": number}, queue=pages.name, on_failure=mode, job_id=f"page-{number}")
        for number, mode in enumerate(modes, 1)
    ]
    return FlowNode("report", queue=queue.name, job_id="report", children=children, **options)


async def write(pages: Queue, redis_url: str, *blank: int, **options: Any) -> None:
    """Work off the pages; those named fail."""

    def page(job: Job[Any]) -> str:
        if job.data["number"] in blank:
            raise ValueError(f"page {job.data['number']} is blank")
        return f"text {job.data['number']}"

    await drain(Worker(pages.name, redis_url, page, **options))
