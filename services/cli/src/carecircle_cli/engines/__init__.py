"""The real servers that `carecircle up` and the tests run as child processes: PostgreSQL and Valkey or Redis."""

from carecircle_cli.engines.postgres import EmbeddedPostgres
from carecircle_cli.engines.process import EngineError, EngineNotFound, free_port
from carecircle_cli.engines.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "EngineError", "EngineNotFound", "free_port"]
