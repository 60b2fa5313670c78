"""A data directory opened for reading only, without a server: catalogs, commit log and relations, and no way to write.

The process stays in the state of recovery: nothing that it does may write WAL, prune a page or remember a hint bit,
and a storage layer that refuses to write stands in front of the files. Processes that want to look at a database are
forked from one that called `open_cluster`, as a process can open one database.
"""

from __future__ import annotations

import os
from pathlib import Path

from tusk.access import registry
from tusk.catalog import _runtime
from tusk.commands import load_all_commands
from tusk.config import Context, Source, set_option, settings
from tusk.config.files import load_config_files
from tusk.errors import Fatal, errcode
from tusk.memory import _process, _segment
from tusk.storage import _faults
from tusk.transaction import _procarray, _state, _varsup, recovery, xact
from tusk.wal import _control, _xlog, hooks
from tusk.wal.controlfile import ControlFile, DBState, read_control_file

# Settings of the cluster's own files that would only make the check larger.
_OWN_SETTINGS = {
    "shared_buffers": "16MB",
    "wal_buffers": "64kB",
    "max_connections": "4",
    "superuser_reserved_connections": "0",
    "reserved_connections": "0",
    "max_wal_senders": "0",
    "max_worker_processes": "0",
    "autovacuum_worker_slots": "1",
    # Hint bits are then never written in recovery, checksums or not.
    "wal_log_hints": "on",
    "transaction_buffers": "16",
    "subtransaction_buffers": "16",
    "commit_timestamp_buffers": "16",
    "log_min_messages": "warning",
}


def read_state(directory: Path) -> ControlFile:
    """The control file of a cluster that may be checked. FATAL 55000 unless it was shut down cleanly."""
    control = read_control_file(directory)
    if control.state not in (DBState.SHUTDOWNED, DBState.SHUTDOWNED_IN_RECOVERY):
        raise Fatal(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "cluster must be shut down")
    return control


def open_cluster(directory: Path) -> ControlFile:
    """Make this process one that can read the cluster's catalogs; it moves into the directory."""
    control = read_state(directory)
    assert registry and recovery
    os.chdir(directory)
    for name, value in _OWN_SETTINGS.items():
        set_option(name, value, Context.POSTMASTER, Source.OVERRIDE)
    load_config_files(Path("."), Path("postgresql.conf"), is_reload=False)
    load_all_commands()
    _control.load()
    _segment.create_segment(settings)
    _xlog.set_system_identifier(control.system_identifier)
    _process.forget_process_after_fork()
    checkpoint = control.checkpoint_copy
    hooks.restore_transam_values(hooks.transam_values_of(checkpoint))
    _enter()
    hooks.run("startup.relation_map")
    hooks.run("startup.before_redo")
    hooks.run("startup.after_redo", checkpoint.oldest_active_xid or checkpoint.next_xid & 0xFFFFFFFF)
    _faults.refuse_writes()
    _runtime.attach_process()
    _runtime.start_catalog_access()
    return control


def _enter() -> None:
    _process.init_process(0, 0)
    _procarray.add_my_process()


def open_database(oid: int, tablespace: int) -> None:
    """Make a database this process's own; in a transaction."""
    _process.set_my_identity(oid, 10)
    _state.set_my_database(oid, tablespace)
    _runtime.open_database(oid, tablespace)
    _runtime.set_database_collation()


def id_limits(control: ControlFile) -> dict[str, int]:
    """The ranges that ids on pages must lie in."""
    checkpoint = control.checkpoint_copy
    return {
        "next_xid": _varsup.next_full_transaction_id(),
        "oldest_xid": checkpoint.oldest_xid,
        "next_multi": checkpoint.next_multi,
        "oldest_multi": checkpoint.oldest_multi,
    }


__all__ = ["id_limits", "open_cluster", "open_database", "read_state", "xact"]
