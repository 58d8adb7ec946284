"""BullMQ's wire format as pure functions: key names, job hashes, JSON text, codes. Milliseconds live here only."""
