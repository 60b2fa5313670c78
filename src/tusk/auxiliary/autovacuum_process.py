"""The life of an autovacuum process: a backend without a client.

It has a slot of the autovacuum kind, is in the process array, runs transactions and sees the catalogs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from tusk.auxiliary.common import SIGNALS
from tusk.catalog import _runtime
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.config import Context, Source, set_option
from tusk.errors import Fatal, errcode
from tusk.memory import _interrupts, _lwlock, _process, _procsignal, _wait
from tusk.stats import _activity, _pending
from tusk.stats.backend_types import BackendType
from tusk.storage import _buffer, _sync
from tusk.transaction import _procarray, _state, xact
from tusk.wal import _xlogctl

_AUTOVACUUM_SLOT = 1                # PROC_KIND_AUTOVACUUM
_DATABASE_RELATION = 1262
_ROW_EXCLUSIVE = 3
_BOOTSTRAP_ROLE = 10
# What a user's defaults must not do to maintenance (AutoVacLauncherMain, AutoVacWorkerMain).
_FORCED_SETTINGS = {
    "search_path": "", "zero_damaged_pages": "off", "statement_timeout": "0", "transaction_timeout": "0",
    "lock_timeout": "0", "idle_in_transaction_session_timeout": "0", "default_transaction_isolation": "read committed",
    "stats_fetch_consistency": "none",
}  # fmt: skip


def begin(backend_type: BackendType, actions: dict[signal.Signals, str], serve: Callable[[], None]) -> None:
    """Take a slot, the signal handlers and shared catalogs. Signals arrive blocked and are let through."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM):
        if number in actions:
            _interrupts.install_signal(number, actions[number])
        else:
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _interrupts.install_signal(signal.SIGHUP, "reload")
    _interrupts.install_signal(signal.SIGUSR1, "procsignal")
    _interrupts.install_signal(signal.SIGQUIT, "exit", 2)
    _process.init_process(_AUTOVACUUM_SLOT, int(backend_type))
    _procsignal.init_proc_signal()
    _procarray.add_my_process()
    _activity.begin_status(int(backend_type), None, -1, False)
    _xlogctl.configure(under_postmaster=True)
    _sync.init_sync(True)
    _interrupts.set_interrupt_handler(serve)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for name, value in _FORCED_SETTINGS.items():
        set_option(name, value, Context.SUSET, Source.OVERRIDE)
    session.authenticated_user_id = _BOOTSTRAP_ROLE
    session.set_session_user(_BOOTSTRAP_ROLE, True)
    _runtime.attach_process()
    _runtime.start_catalog_access()


def open_database(oid: int) -> str:
    """Enter a database, in a transaction of its own; its name. FATAL 3D000 if it is gone."""
    xact.start_transaction_command()
    _runtime.lock_shared_object(_DATABASE_RELATION, oid, 0, _ROW_EXCLUSIVE)
    row = lookup(c.DATABASEOID, oid)
    if row is None:
        raise Fatal(errcode.UNDEFINED_DATABASE, f"database {oid} does not exist")
    _process.set_my_identity(oid, 0)
    _state.set_my_database(oid, row.dattablespace)
    session.database_id = oid
    session.database_tablespace = row.dattablespace
    _runtime.open_database(oid, row.dattablespace)
    _runtime.set_database_collation()
    set_option("server_encoding", "UTF8", Context.INTERNAL, Source.OVERRIDE)
    set_option("client_encoding", "UTF8", Context.INTERNAL, Source.DYNAMIC_DEFAULT)
    _activity.set_identity(oid, 0)
    xact.commit_transaction_command()
    return str(row.datname)


def clean_up_after_error() -> None:
    """Let go of what an error left behind."""
    _interrupts.reset_holdoff()
    _lwlock.release_all()
    _wait.clear_wait()
    xact.abort_out_of_any_transaction()
    _buffer.release_pins()


def end() -> None:
    """Leave shared memory."""
    _interrupts.set_interrupt_handler(None)
    _interrupts.reset_holdoff()
    _lwlock.release_all()
    xact.abort_out_of_any_transaction()
    xact.shutdown_backend()
    _pending.flush(True)
    _runtime.detach_process()
    _procarray.remove_my_process()
    _activity.end_status()
    _procsignal.exit_proc_signal()
    _process.release_process()
