"""Utility statements, portals, prepared statements."""

import importlib

# Modules that register statement handlers when they are imported.
_MODULES = ("cursors", "database", "prepared", "transactions", "variables")


def load_all_commands() -> None:
    """Import every module of commands: the postmaster does it once, before the first fork."""
    for name in _MODULES:
        importlib.import_module(f"tusk.commands.{name}")
