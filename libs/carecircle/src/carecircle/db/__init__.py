"""Tables and queries, one aggregate a file. Nothing here commits: `session.transaction()` does."""
