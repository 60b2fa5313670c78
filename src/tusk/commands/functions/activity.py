"""Sessions and processes: pg_stat_activity, pg_locks, signals to backends, the client's address."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.commands.functions.support import (
    PG_SIGNAL_AUTOVACUUM_WORKER,
    PG_SIGNAL_BACKEND,
    denied,
    may_see,
)
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory import _interrupts, _latch, _process, _procsignal, wait_events
from tusk.stats import _activity, session_info, snapshot
from tusk.stats.backend_types import BackendType
from tusk.transaction import _lock, lock_names
from tusk.types.network import parse_inet
from tusk.types.registry import function
from tusk.types.values import Array, Inet

_INT4 = 23
_NO_TLS = (False, None, None, None, None, None, None, False, None, False, False)
_UNSEEN = "<insufficient privilege>"


def _timestamp(value: int) -> int | None:
    return value or None


def _client_address(text: str) -> Inet | None:
    return parse_inet(text.split("%", 1)[0], False) if text else None


def _waiting(entry: Any) -> tuple[str | None, str | None]:
    return wait_events.describe(entry.wait_event_info) if entry.wait_event_info else (None, None)


@function("pg_stat_get_activity", set_returning=True)
def pg_stat_get_activity(pid: int | None) -> Iterator[tuple[Any, ...]]:
    """One row for each process, or for the one with this pid."""
    for entry in snapshot.activities():
        if pid is None or entry.pid == pid:
            yield _activity_row(entry)


def _activity_row(entry: Any) -> tuple[Any, ...]:
    head = (entry.database or None, entry.pid, entry.user or None, entry.application_name)
    ids = (entry.xid or None, entry.xmin or None)
    if not may_see(entry.user):
        return (*head, None, _UNSEEN, *(None,) * 9, *ids, *(None,) * 14)
    wait_type, wait_event = _waiting(entry)
    address: Inet | None = None
    hostname: str | None = None
    port: int | None = None
    if entry.has_client:
        port = entry.client_port
        if entry.client_address:
            address = _client_address(entry.client_address)
            hostname = entry.client_hostname or None
    return (
        *head, _activity.STATE_NAMES.get(entry.state), entry.query, wait_type, wait_event,
        _timestamp(entry.xact_start), _timestamp(entry.activity_start), _timestamp(entry.proc_start),
        _timestamp(entry.state_start), address, hostname, port, *ids, BackendType(entry.backend_type).label, *_NO_TLS,
        entry.leader_pid or None, entry.query_id or None,
    )  # fmt: skip


@function("pg_stat_get_backend_idset", set_returning=True)
def pg_stat_get_backend_idset() -> Iterator[int]:
    """Numbers of the backends, for the functions below."""
    for entry in snapshot.activities():
        yield entry.procno


def _backend_function(name: str, value: Callable[[Any], Any], hidden: Any = None, *, checked: bool = True) -> None:
    """pg_stat_get_backend_<name>(number): one column of a backend."""

    @function(f"pg_stat_get_backend_{name}")
    def read(number: int) -> Any:
        entry = _activity.read_activity(number) if 0 <= number < _process.slot_count() else None
        if entry is None:
            return "<backend information not available>" if name == "activity" else None
        if checked and not may_see(entry.user):
            return hidden
        return value(entry)


_backend_function("pid", lambda e: e.pid, checked=False)
_backend_function("dbid", lambda e: e.database, checked=False)
_backend_function("userid", lambda e: e.user, checked=False)
_backend_function("activity", lambda e: e.query or "<command string not enabled>", _UNSEEN)
_backend_function("wait_event_type", lambda e: _waiting(e)[0], _UNSEEN)
_backend_function("wait_event", lambda e: _waiting(e)[1], _UNSEEN)
_backend_function("activity_start", lambda e: _timestamp(e.activity_start))
_backend_function("xact_start", lambda e: _timestamp(e.xact_start))
_backend_function("start", lambda e: _timestamp(e.proc_start))
_backend_function("client_addr", lambda e: _client_address(e.client_address) if e.has_client else None)
_backend_function("client_port", lambda e: e.client_port if e.has_client else None)


@function("pg_stat_get_backend_subxact")
def pg_stat_get_backend_subxact(number: int) -> Any:
    """(subxact_count, subxact_overflow)."""
    from_slot = _process.slot_info(number)
    found = from_slot is not None and from_slot.get("pid", 0) != 0
    count = from_slot.get("subxid_count") if found and from_slot else None
    overflow = bool(from_slot.get("subxid_overflowed")) if found and from_slot else None
    return (count, overflow)


# Locks


@function("pg_lock_status", set_returning=True)
def pg_lock_status() -> list[tuple[object, ...]]:
    """The rows of pg_locks."""
    return lock_names.pg_lock_rows(_lock.lock_status_data())


@function("pg_blocking_pids")
def pg_blocking_pids(pid: int) -> Array:
    """Who keeps a backend waiting; 0 is a prepared transaction."""
    return Array.of(_INT4, _lock.blocking_pids(pid))


@function("pg_isolation_test_session_is_blocked")
def pg_isolation_test_session_is_blocked(pid: int, interesting: Array) -> bool:
    """Whether one of these sessions blocks that one."""
    return not set(_lock.blocking_pids(pid)).isdisjoint(interesting.elements)


# Signals


@function("pg_backend_pid")
def pg_backend_pid() -> int:
    """This process."""
    return os.getpid()


def _signal_backend(pid: int, signum: int, verb: str) -> bool:
    """Send a backend a signal after the checks of pg_signal_backend; False (with a warning) if it is gone."""
    procno = _process.procno_of_pid(pid)
    entry = _activity.read_activity(procno) if procno >= 0 else None
    if entry is None:
        report(Severity.WARNING, f"PID {pid} is not a PostgreSQL backend process")
        return False
    me = session.current_user_id
    if not entry.user or acl.superuser_arg(entry.user):
        if entry.backend_type == BackendType.AUTOVAC_WORKER:
            if not acl.has_privs_of_role(me, PG_SIGNAL_AUTOVACUUM_WORKER):
                raise denied(
                    f"permission denied to {verb}",
                    f'Only roles with privileges of the "pg_signal_autovacuum_worker" role may {_VERBS[verb]} '
                    "autovacuum workers.",
                )
        elif not acl.superuser():
            raise denied(
                f"permission denied to {verb}",
                f"Only roles with the SUPERUSER attribute may {_VERBS[verb]} of roles with the SUPERUSER attribute.",
            )
    elif not acl.has_privs_of_role(me, entry.user) and not acl.has_privs_of_role(me, PG_SIGNAL_BACKEND):
        raise denied(
            f"permission denied to {verb}",
            "Only roles with privileges of the role whose "
            + ("query is being canceled" if signum == signal.SIGINT else "process is being terminated")
            + f' or with privileges of the "pg_signal_backend" role may {_LAST[verb]}.',
        )
    try:
        os.kill(pid, signum)
    except OSError as error:
        report(Severity.WARNING, f"could not send signal to process {pid}: {error.strerror}")
        return False
    return True


_VERBS = {"cancel query": "cancel queries", "terminate process": "terminate processes"}
_LAST = {"cancel query": "cancel this query", "terminate process": "terminate this process"}


@function("pg_cancel_backend")
def pg_cancel_backend(pid: int) -> bool:
    """Cancel what another session is doing."""
    return _signal_backend(pid, signal.SIGINT, "cancel query")


@function("pg_terminate_backend")
def pg_terminate_backend(pid: int, timeout_ms: int) -> bool:
    """End another session; with a timeout, wait until it is gone."""
    if timeout_ms < 0:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, '"timeout" must not be negative')
    done = _signal_backend(pid, signal.SIGTERM, "terminate process")
    if not done or not timeout_ms:
        return done
    deadline = time.monotonic() + timeout_ms / 1000
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        _sleep(min(0.1, deadline - time.monotonic()), "BackendTermination")
    report(Severity.WARNING, f"backend with PID {pid} did not terminate within {timeout_ms} milliseconds")
    return False


def _sleep(seconds: float, event: str) -> None:
    """Wait on the latch, serving interrupts, until the time is over."""
    end = time.monotonic() + seconds
    while True:
        _interrupts.check()
        left = end - time.monotonic()
        if left <= 0:
            return
        _latch.wait(min(600_000, int(left * 1000) + 1), wait_events.by_name[event])
        _latch.reset()


@function("pg_sleep")
def pg_sleep(seconds: float) -> None:
    """Sleep; cancel ends it."""
    if seconds > 0:
        _sleep(min(seconds, 1e9), "PgSleep")


@function("pg_reload_conf")
def pg_reload_conf() -> bool:
    """Have every process read the configuration files again."""
    try:
        os.kill(_procsignal.postmaster_pid(), signal.SIGHUP)
    except OSError as error:
        report(Severity.WARNING, f"failed to send signal to postmaster: {error.strerror}")
        return False
    return True


@function("pg_rotate_logfile")
def pg_rotate_logfile() -> bool:
    """Have the log collector begin a new file."""
    if not settings.logging_collector:
        report(Severity.WARNING, "rotation not possible because log collection not active")
        return False
    _procsignal.send_postmaster_signal(_procsignal.PM_REASONS.index("rotate logfile"))
    return True


@function("pg_log_backend_memory_contexts")
def pg_log_backend_memory_contexts(pid: int) -> bool:
    """Have a process write its memory contexts to the server log."""
    procno = _process.procno_of_pid(pid)
    if procno < 0:
        report(Severity.WARNING, f"PID {pid} is not a PostgreSQL server process")
        return False
    if not _procsignal.send(pid, _procsignal.LOG_MEMORY_CONTEXT, procno):
        report(Severity.WARNING, f"could not send signal to process {pid}")
        return False
    return True


# The client


def _own_address(host: str) -> Inet | None:
    return None if not host or host == "[local]" or host.startswith("/") else _client_address(host)


@function("inet_client_addr")
def inet_client_addr() -> Inet | None:
    """The address of the client, NULL for a Unix socket."""
    return _own_address(session_info.current.remote_host)


@function("inet_client_port")
def inet_client_port() -> int | None:
    """Its port."""
    return int(session_info.current.remote_port) if inet_client_addr() is not None else None


@function("inet_server_addr")
def inet_server_addr() -> Inet | None:
    """The address the client connected to."""
    return _own_address(session_info.current.local_host) if inet_client_addr() is not None else None


@function("inet_server_port")
def inet_server_port() -> int | None:
    """The server's port, NULL for a Unix socket."""
    return int(settings.port) if inet_client_addr() is not None else None


@function("pg_get_userbyid")
def pg_get_userbyid(role: int) -> str:
    """The name of a role."""
    row = lookup(c.AUTHOID, role)
    return f"unknown (OID={role})" if row is None else str(row.rolname)
