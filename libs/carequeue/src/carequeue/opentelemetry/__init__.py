"""OpenTelemetry for carequeue: traces that follow jobs through Python and Node, and meters. The extra `opentelemetry`.

telemetry = Telemetry(OpenTelemetry())
Queue("reminders", url, telemetry=telemetry)
Worker("reminders", url, handler, telemetry=telemetry)
"""

try:
    import opentelemetry.trace as _needed
except ImportError as _error:
    raise ImportError("carequeue.opentelemetry needs the extra: pip install 'carequeue[opentelemetry]'") from _error

from carequeue.opentelemetry.carrier import continued
from carequeue.opentelemetry.instrumentation import OpenTelemetry

del _needed

__all__ = ["OpenTelemetry", "continued"]
