"""Utility statements, portals, prepared statements."""

import importlib

from tusk.commands.functions import load_all_functions

# Modules that register statement handlers when they are imported.
_MODULES = (
    "alter_objects", "alter_table", "comments", "copy", "create_table_as", "cursors", "database", "drop", "explain",
    "grants", "indexes", "lock", "notifications", "prepared", "roles", "schemas", "sequence_functions", "sequences",
    "reindex", "setting_checks", "small_utilities", "tables", "transactions", "truncate", "user_types", "vacuum",
    "variables", "views", "cluster",
)  # fmt: skip


def load_all_commands() -> None:
    """Import every module of commands: the postmaster does it once, before the first fork."""
    for name in _MODULES:
        importlib.import_module(f"tusk.commands.{name}")
    load_all_functions()
