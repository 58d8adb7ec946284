"""OpenTelemetry's real SDK with exporters in memory, for tests of what carequeue tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from carequeue import Telemetry
from carequeue.opentelemetry import OpenTelemetry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler


class Observed:
    """A `Telemetry` with OpenTelemetry, and what came of it."""

    def __init__(self, sampler: Sampler | None = None, **options: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.part = OpenTelemetry(tracer_provider=self.tracer_provider, meter_provider=self.meter_provider, **options)
        self.telemetry = Telemetry(self.part)

    @property
    def tracer(self) -> Any:
        return self.tracer_provider.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The ended spans, those that began first first."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def points(self, metric: str) -> list[tuple[dict[str, Any], Any]]:
        """The attributes and the value (of a histogram: count) of each series of a metric."""
        data = self._reader.get_metrics_data()
        found: list[tuple[dict[str, Any], Any]] = []
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for one in scope.metrics:
                    if one.name == metric:
                        for point in one.data.data_points:
                            value = getattr(point, "value", None)
                            found.append((dict(point.attributes or {}), point.count if value is None else value))  # type: ignore[union-attr]
        return found


def carrier_of(span: ReadableSpan) -> str:
    """What a job carries that belongs to this span."""
    context = span.get_span_context()
    assert context is not None
    return f'{{"traceparent":"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"}}'


def place_of(span: Any) -> tuple[int, int]:
    """Trace and span of a span, or of a span's context: a context that was carried is equal to no other."""
    found = span.get_span_context() if hasattr(span, "get_span_context") else span
    return found.trace_id, found.span_id


def children_of(observed: Observed, span: ReadableSpan) -> list[ReadableSpan]:
    return [each for each in observed.spans if each.parent and place_of(each.parent) == place_of(span)]


def events_of(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]
