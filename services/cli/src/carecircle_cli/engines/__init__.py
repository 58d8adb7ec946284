"""The real servers that `carecircle up` and the tests run as child processes: PostgreSQL and Valkey or Redis."""

from carecircle_cli.engines.postgres import EmbeddedPostgres
from carecircle_cli.engines.process import EngineError, EngineNotFound, ServerProcess, free_port, free_ports, is_free
from carecircle_cli.engines.program import Program
from carecircle_cli.engines.valkey import EmbeddedValkey

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "EngineError",
    "EngineNotFound",
    "Program",
    "ServerProcess",
    "free_port",
    "free_ports",
    "is_free",
]
