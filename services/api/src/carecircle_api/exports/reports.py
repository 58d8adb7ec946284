"""Reports are drawn in a process of their own: it costs a second of a core, and others want to be served meanwhile."""

from __future__ import annotations

import anyio
from anyio import CapacityLimiter, to_process
from starlette.exceptions import HTTPException

from carecircle.domain.report import Report
from carecircle_api.exports.report_pdf import Paper, render

LONGEST_SECONDS = 30
"""Waiting for others included. After that the process is ended."""


class Printer:
    """One report at a time."""

    def __init__(self, seconds: float = LONGEST_SECONDS) -> None:
        self._seconds = seconds
        self._limiter: CapacityLimiter | None = None

    async def printed(self, report: Report, paper: Paper) -> bytes:
        """The report as PDF.

        Raises:
            HTTPException: 503, it was not ready in time.
        """
        if self._limiter is None:  # belongs to the loop that is running
            self._limiter = CapacityLimiter(1)
        try:
            with anyio.fail_after(self._seconds):
                return await to_process.run_sync(render, report, paper, cancellable=True, limiter=self._limiter)
        except (TimeoutError, anyio.BrokenWorkerProcess) as error:
            detail = "The report was not ready in time; ask again in a moment, or for a shorter period."
            raise HTTPException(503, detail, headers={"Retry-After": "10"}) from error
