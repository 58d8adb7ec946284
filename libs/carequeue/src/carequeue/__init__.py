"""A typed asyncio job queue on Redis or Valkey that speaks BullMQ's wire format."""
