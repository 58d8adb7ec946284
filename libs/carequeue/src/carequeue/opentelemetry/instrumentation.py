"""OpenTelemetry: the part of a `Telemetry` that writes spans and meters."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from opentelemetry import metrics, trace

from carequeue.errors import InvalidOption
from carequeue.labels import MOST_NAMES, JobNames
from carequeue.opentelemetry.meters import Meters
from carequeue.opentelemetry.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from carequeue.telemetry import Telemetry

SCOPE = "carequeue"


class OpenTelemetry:
    """Spans and meters of queues, flow producers and workers: `Telemetry(OpenTelemetry())`.

    Providers are the global ones unless given; the propagator is the global one. An attempt's span is a `child` of the
    span that added the job, as bullmq-otel makes it, or has a trace of its own and is `linked` to that: better for jobs
    that run long after. Errors are told by their class; `error_texts` writes their messages and tracebacks too, which
    may hold private things. Meters keep the first `max_job_names` names of jobs apart.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        traces: bool = True,
        metrics: bool = True,
        attempts: Literal["child", "linked"] = "child",
        error_texts: bool = False,
        max_job_names: int = MOST_NAMES,
    ) -> None:
        if attempts not in ("child", "linked"):
            raise InvalidOption(f"attempts are 'child' or 'linked', got {attempts!r}")
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._traces = traces
        self._metrics = metrics
        self._linked: bool = attempts == "linked"
        self._error_texts = error_texts
        self._names = JobNames(max_job_names)

    def attach(self, telemetry: Telemetry) -> None:
        """Listen; `Telemetry` calls it.

        Raises:
            InvalidOption: this telemetry has a tracing already.
        """
        if self._traces:
            tracer = trace.get_tracer(SCOPE, version("carequeue"), self._tracer_provider)
            spans = Spans(tracer, linked=self._linked, error_texts=self._error_texts)
            telemetry.tracing = spans
            telemetry.subscribe(spans.stalled, "job.stalled")
        if self._metrics:
            meter = metrics.get_meter(SCOPE, version("carequeue"), self._meter_provider)
            Meters(meter, self._names).listen(telemetry)
