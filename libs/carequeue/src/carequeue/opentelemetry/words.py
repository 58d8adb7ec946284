"""The names under which spans and meters say things: OpenTelemetry's for messaging, BullMQ's, and a few of our own."""

from __future__ import annotations

SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
MESSAGE_COUNT = "messaging.batch.message_count"
CLIENT_ID = "messaging.client.id"
ERROR_TYPE = "error.type"

# What bullmq-otel says, so that its dashboards find ours
QUEUE_NAME = "bullmq.queue.name"
QUEUE_OPERATION = "bullmq.queue.operation"
JOB_ID = "bullmq.job.id"
JOB_NAME = "bullmq.job.name"
JOB_STATE = "bullmq.job.state"
BULK_COUNT = "bullmq.job.bulk.count"
BULK_NAMES = "bullmq.job.bulk.names"
FLOW_NAME = "bullmq.flow.name"
SCHEDULER_ID = "bullmq.job.scheduler.id"
ATTEMPTS_MADE = "bullmq.job.attempts.made"
PROCESSED = "bullmq.job.processed.timestamp"
FINISHED = "bullmq.job.attempt_finished_timestamp"
FAILED_REASON = "bullmq.job.failed.reason"
WORKER_ID = "bullmq.worker.id"
WORKER_NAME = "bullmq.worker.name"
QUEUE_STATE = "bullmq.queue.jobs.state"

STALLED_COUNT = "carequeue.job.stalled_count"
RETRY_DELAY = "carequeue.job.retry_delay"

BULLMQS_OPERATIONS = {
    "add": "add",
    "add_bulk": "addBulk",
    "add_flow": "addFlow",
    "add_flows": "addBulkFlows",
    "schedule": "add",
}
"""Our operations in BullMQ's words."""
