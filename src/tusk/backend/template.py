"""The session template: a process that holds warm caches and forks the backends, for the postmaster and ahead of time.

It has no client and, between its turns of preparing, no process slot and no lock. What most sessions need (descriptors
and rows of the catalogs, plans of statements that come in every session) it looks up once, for the database and role
that connect most; a fork inherits it together with the place in the invalidation queue up to which it is right.

A fork of it is a spare backend: it waits for one accepted socket, which the postmaster puts into a queue that all
spares read, serves that client and ends. A closed queue ends the idle spares.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from tusk.backend import _demand, warm
from tusk.backend import main as backend_main
from tusk.backend._fast_path import prepare_source
from tusk.backend.database import DATABASE_RELATION, role_settings
from tusk.backend.hba import HbaLine, IdentLine
from tusk.backend.statement_cache import StatementCache
from tusk.catalog import _runtime, _sinval, acl, namespace
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.config import settings
from tusk.errors import Fatal, SqlError
from tusk.memory import _fork, _hugepages, _interrupts, _process, _procsignal
from tusk.sql import plancache
from tusk.stats import serverlog, session_info, title
from tusk.stats.backend_types import BackendType
from tusk.storage import _sync
from tusk.transaction import _procarray, xact

_SIGTERM = int(signal.SIGTERM)
_SLOT_KIND = 1              # an autovacuum slot: not one of max_connections
_ROW_EXCLUSIVE = 3
_PACK_INTERVAL_S = 1.0      # the memory that forks share is put in order at most so often
_REST = 20                  # preparing may take one part in so many of the time
HANDOVER = struct.Struct("d")
FORK, READY = b"F", b"R"


def main(
    channel: socket.socket, queue: socket.socket, rules: Sequence[HbaLine], mappings: Sequence[IdentLine]
) -> None:
    """Serve the postmaster's requests on ``channel`` until it closes. Returns in forked backends too, at their end."""
    for number in (signal.SIGINT, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE):
        _interrupts.ignore_signal(number)
    _interrupts.install_signal(signal.SIGTERM, "exit", 0)
    _interrupts.install_signal(signal.SIGQUIT, "exit", 2)
    _interrupts.install_signal(signal.SIGHUP, "reload")
    _interrupts.install_signal(signal.SIGUSR1, "procsignal")
    _interrupts.unblock_signals()
    _interrupts.set_interrupt_handler(_serve_interrupts)
    if _forks_for_postmaster(channel):
        channel.close()
        _spare(queue, rules, mappings)


def _forks_for_postmaster(channel: socket.socket) -> bool:
    """Fork whenever asked, till the postmaster hangs up; True in each fork."""
    template = _Template()
    template.prepare_if_due()
    with suppress(BrokenPipeError, ConnectionResetError):
        channel.send(READY)
        pending = False
        while True:
            match template.fork(channel.fileno(), pending):
                case _fork.FORKED:
                    return True
                case _fork.CLOSED:
                    return False
            template.prepare_if_due()
            pending = True
    return False


def _serve_interrupts() -> None:
    if _interrupts.take("ProcSignal"):
        _procsignal.process_proc_signals()


class _Template:
    """What has been prepared, and when to do it again."""

    def __init__(self) -> None:
        self._version = -1
        self._next_time = 0.0
        self._packed_at = 0.0
        self._has_catalogs = False

    def fork(self, channel: int, pending: bool) -> int:
        """Fork on requests until there is something to prepare."""
        position = warm.state.position if warm.state.database else -1
        return _fork.fork_on_requests(
            channel, pending, _demand.version_address(), self._version & 0xFFFFFFFF, _sinval.end_address(), position,
            self._next_time,
        )  # fmt: skip

    def prepare_if_due(self) -> None:
        """Read the invalidation queue, and prepare what sessions have come to ask for."""
        state = warm.state
        version = _demand.version()
        now = time.monotonic()
        due = version != self._version and now >= self._next_time
        if not due and not (state.database and _sinval.is_behind(state.position)):
            return
        try:
            self._attached(version if due else -1)
        except (SqlError, Fatal) as error:
            # Sessions start cold, which is slower and as right.
            serverlog.log_error(error)
            warm.state.forget()
        if due:
            self._next_time = time.monotonic() + _REST * (time.monotonic() - now)
            self._version = version

    def _attached(self, version: int) -> None:
        """Take a process slot, read the queue, prepare (version >= 0), give the slot back."""
        state = warm.state
        _process.init_process(_SLOT_KIND, BackendType.SESSION_TEMPLATE)
        _procsignal.init_proc_signal(b"")
        _procarray.add_my_process()
        _sync.init_sync(True)
        _runtime.attach_process(resume_at=state.position if self._has_catalogs else -1)
        try:
            if version >= 0:
                xact.start_transaction_command()
                self._prepare(*_demand.leader())
                xact.commit_transaction_command()
        finally:
            xact.abort_out_of_any_transaction()
            xact.shutdown_backend()
            state.position = _runtime.detach_process()
            _procarray.remove_my_process()
            _procsignal.exit_proc_signal()
            _process.release_process()
        if version >= 0 or time.monotonic() > self._packed_at + _PACK_INTERVAL_S:
            gc.collect()
            gc.freeze()
            self._packed_at = time.monotonic()
            if settings.huge_pages != "off":
                _hugepages.collapse_heap()
        if state.position < 0:
            raise SqlError("XX000", "invalidation messages were lost")

    def _prepare(self, database: int, role: int) -> None:
        state = warm.state
        if not self._has_catalogs:
            _runtime.start_catalog_access()
            self._has_catalogs = True
        if not database:
            return
        _runtime.lock_shared_object(DATABASE_RELATION, database, 0, _ROW_EXCLUSIVE)
        row, user = lookup(c.DATABASEOID, database), lookup(c.AUTHOID, role)
        if row is None or user is None:
            state.forget()
            return
        if state.database != database or state.role != role:
            state.forget()
            _runtime.open_database(database, row.dattablespace)
            _runtime.set_database_collation()
        session.authenticated_user_id = role
        session.set_session_user(role, bool(user.rolsuper))
        state.database, state.database_name, state.role = database, row.datname, role
        lookup(c.DATABASEOID, database)
        lookup(c.AUTHOID, role)
        lookup(c.AUTHNAME, user.rolname)
        acl.object_aclcheck(DATABASE_RELATION, database, role, acl.ACL_CONNECT)
        acl.superuser()
        role_settings(database, role)
        namespace.active_search_path()
        self._prepare_statements(database, role)

    @staticmethod
    def _prepare_statements(database: int, role: int) -> None:
        state = warm.state
        if state.names_as_of != plancache.names_changed_at():
            state.statements.clear()
        state.names_as_of = plancache.names_changed_at()
        for key in _demand.hot_statements(database, role):
            source = state.statements.get(key)
            if source is not None and not source.is_stale():
                continue
            source = state.statements[key] = StatementCache.make(*key)
            if source is not None:
                with xact.analysis_snapshot(source.raw):
                    source.plans()
                prepare_source(source)


def _spare(queue: socket.socket, rules: Sequence[HbaLine], mappings: Sequence[IdentLine]) -> None:
    """A fork of the template: wait for a client, and serve it."""
    os.setsid()
    _fork.die_with_parent()
    _interrupts.install_signal(_SIGTERM, "exit", 1)
    _interrupts.set_interrupt_handler(None)
    title.init_title("spare backend")
    got = _fork.receive_fd(queue.fileno())
    queue.close()
    if got is None:
        return
    data, descriptor = got
    (accepted_at,) = HANDOVER.unpack(data)
    client = socket.socket(fileno=descriptor)
    address = None if client.family == socket.AF_UNIX else client.getpeername()
    # What it is, it becomes with the first message.
    session_info.begin(session_info.SessionInfo())
    backend_main.run(client, address, None, rules, mappings, accepted_at)
