"""Built-in functions that need catalogs, locks, WAL or the state of the server; the rest stands in `types`."""

import importlib

_MODULES = (
    "activity", "advisory_locks", "catalog_state", "memory_state", "object_sizes", "privileges", "server_files",
    "session_objects", "settings_state", "statistics_resets", "statistics_state", "statistics_tables",
    "transaction_state", "visibility", "wal_state",
)  # fmt: skip


def load_all_functions() -> None:
    """Import every module, which registers what it defines."""
    for name in _MODULES:
        importlib.import_module(f"tusk.commands.functions.{name}")
