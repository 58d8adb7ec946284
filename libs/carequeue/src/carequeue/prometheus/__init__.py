"""Prometheus for carequeue, by its client library: what workers do and how many jobs are where. Extra `prometheus`.

    prometheus = PrometheusTelemetry()
    telemetry = Telemetry(prometheus)
    Worker("reminders", url, handler, telemetry=telemetry)
    start_http_server(9000)  # prometheus_client's

`Queue.export_prometheus_metrics` writes what is in a queue as text without any library.
"""

try:
    import prometheus_client as _needed
except ImportError as _error:
    raise ImportError("carequeue.prometheus needs the extra: pip install 'carequeue[prometheus]'") from _error

from carequeue.prometheus.listener import PrometheusTelemetry

del _needed

__all__ = ["PrometheusTelemetry"]
