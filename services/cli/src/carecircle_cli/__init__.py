"""The carecircle command: run, migrate, inspect and repair the system."""
