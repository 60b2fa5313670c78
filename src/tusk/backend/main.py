"""The life of a backend: from the accepted socket to the last byte (tcop/backend_startup.h, BackendMain).

Runs in a process forked for one connection, also for one that is only told why it is refused.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import platform
import re
import secrets
import signal
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from tusk.backend import (
    _demand,
    authentication,
    connection_log,
    hba_functions,  # noqa: F401  registers functions
    interrupts,
    protocol,
    quit_handler,
    warm,
)
from tusk.backend.connection import AuthenticationTimeout, ClientConnection, ConnectionLost
from tusk.backend.database import leave as leave_database
from tusk.backend.database import open_session_database, preload_catalogs, role_lookup
from tusk.backend.hba import HbaLine, IdentLine
from tusk.backend.session import Session
from tusk.backend.startup_packet import BadStartup, CancelRequest, StartupPacket, read_startup_packet
from tusk.catalog.session import session as identity
from tusk.commands import load_all_commands, notifications
from tusk.config import Context, Source, set_option, settings, show
from tusk.config.parameters import REPORTED
from tusk.config.registry import take_changed_reported
from tusk.errors import Fatal, Message, Panic, Severity, SqlError, errcode, report, set_report_sink
from tusk.memory import _interrupts, _process, _procsignal
from tusk.sql.parse import parse
from tusk.stats import _activity, _pending, serverlog, session_info, title
from tusk.stats.backend_types import BackendType
from tusk.storage import _sync
from tusk.transaction import _procarray, xact

VERSION = "18.4"
# Settings of a startup packet that no plan depends on.
_PLAIN_SETTINGS = {"application_name", "client_encoding"}
# Before there is a session. A reload waits until there is: it does not end the process.
_EARLY_SIGNALS = (
    (int(signal.SIGTERM), "exit", 1), (int(signal.SIGQUIT), "exit", 2), (int(signal.SIGHUP), "reload", 0),
)  # fmt: skip
_NOT_FOR_SERVERS = re.compile(r"(\.coverage|bench|bench_\w+|__main__)$")


def version_string() -> str:
    """What version() and the first line of the log say."""
    machine = platform.machine()
    bits = struct.calcsize("P") * 8
    return (
        f"PostgreSQL {VERSION} (Tusk) on {machine}-pc-linux-gnu, compiled by Cython and "
        f"CPython {platform.python_version()}, {bits}-bit"
    )


def preload() -> None:
    """Postmaster, before the first fork: bring in what every backend will need."""
    load_all_commands()
    for package in ("tusk.types", "tusk.sql.execute", "tusk.sql.analyze", "tusk.catalog", "tusk.backend"):
        _import_all(package)
    preload_catalogs()
    parse("SELECT 1")       # loads the parser's library
    # A backend makes few cycles; what it inherits is frozen, and a full collection would touch (and so copy) pages.
    gc.set_threshold(20000, 50, 100)


def _import_all(package: str) -> None:
    """Import every module of a package: what is imported after the fork is imported once for each client."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if not module.ispkg and not _NOT_FOR_SERVERS.search(module.name):
            importlib.import_module(module.name)


def last_activity(pid: int) -> str:
    """The last query of a process that died, for the log; '' if it had none."""
    for activity in _activity.activities():
        if activity.pid == pid:
            return activity.query
    return ""


def run(
    client: socket.socket,
    address: Any,
    refusal: Fatal | None,
    rules: Sequence[HbaLine],
    mappings: Sequence[IdentLine],
    accepted_at: float,
) -> None:
    """Serve one accepted connection until it ends. Raises Fatal (already told to the client) for exit status 1."""
    for number, action, exit_code in _EARLY_SIGNALS:
        _interrupts.install_signal(number, action, exit_code)
    _interrupts.unblock_signals()
    connection = ClientConnection(client)
    host, port = ("", "") if connection.is_unix else (address[0], str(address[1]))
    info = session_info.current
    info.has_client = True
    info.remote_host, info.remote_port = connection_log.host_name_of(host) or "[local]", port
    info.local_host = "[local]" if connection.is_unix else client.getsockname()[0]
    timings = {"accepted": accepted_at, "forked": time.time()}
    try:
        connection_log.log_received(info.remote_host, port)
        _serve(connection, host, port, refusal, rules, mappings, timings)
    except (BadStartup, ConnectionLost) as lost:
        _pending.note_session_end(_pending.ENDED_ABANDONED)
        if isinstance(lost, ConnectionLost) and info.user:
            report(Severity.LOG, str(lost), sqlstate=errcode.CONNECTION_FAILURE)
    except AuthenticationTimeout:
        if info.user:
            report(Severity.LOG, "canceling authentication due to timeout")
        raise SystemExit(1) from None
    except SqlError as error:
        # Before the command loop there is no lesser way to fail than to end.
        _say_and_exit(connection, _as_fatal(error))
    except (Fatal, Panic) as error:
        killed = error.sqlstate == errcode.ADMIN_SHUTDOWN
        _pending.note_session_end(_pending.ENDED_KILLED if killed else _pending.ENDED_FATAL)
        _say_and_exit(connection, error)
    finally:
        _release(connection)
        connection_log.log_disconnection(timings)


def _as_fatal(error: SqlError) -> Fatal:
    return Fatal(error.sqlstate, error.message, detail=error.detail, hint=error.hint, detail_log=error.detail_log)


def _say_and_exit(connection: ClientConnection, error: Fatal | Panic) -> None:
    serverlog.log_error(error)
    connection.send(protocol.error_response(error))
    connection.flush_if_possible()
    if isinstance(error, Panic):
        os.abort()
    raise SystemExit(1)


def _serve(
    connection: ClientConnection,
    host: str,
    port: str,
    refusal: Fatal | None,
    rules: Sequence[HbaLine],
    mappings: Sequence[IdentLine],
    timings: dict[str, float],
) -> None:
    connection.deadline = time.monotonic() + settings.authentication_timeout
    packet = read_startup_packet(connection)
    if isinstance(packet, CancelRequest):
        _cancel(packet)
        return
    _show_title(packet, host, port)
    if refusal is not None:
        raise refusal
    if packet.replication:
        raise Fatal(errcode.FEATURE_NOT_SUPPORTED, "replication connections are not supported yet")
    cancel_key = _join_server(packet, connection, host, port)
    interrupts.install()
    quit_handler.install(connection.fileno)
    connection.deadline = time.monotonic() + settings.authentication_timeout
    title.set_title("authentication")
    xact.start_transaction_command()
    timings["authenticating"] = time.time()
    rule, identified = authentication.authenticate(
        connection,
        user=packet.user,
        database=packet.database,
        client_address=host or None,
        is_physical_replication=False,
        rules=rules,
        mappings=mappings,
        roles=role_lookup(),
    )
    if connection_log.logs("authentication"):
        authentication.log_connection_authenticated(rule, identified, packet.user)
    timings["authenticated"] = time.time()
    connection_log.log_authorized(packet.user, packet.database, packet.settings.get("application_name", ""))
    connection.deadline = None
    title.set_title("startup")
    connection.send(protocol.authentication(protocol.AUTH_OK))
    has_stored_settings = open_session_database(packet.user, packet.database)
    interrupts.is_authenticating = False
    _activity.set_identity(identity.database_id, identity.authenticated_user_id)
    _apply_startup_settings(packet)
    xact.commit_transaction_command()
    _pending.begin_session()
    session = Session(connection)
    if not has_stored_settings and not packet.options and packet.settings.keys() <= _PLAIN_SETTINGS:
        _inherit_statements(session)
    _attach_session(session)
    take_changed_reported()
    for reported in sorted(REPORTED):
        connection.send(protocol.parameter_status(reported, show(reported)))
    connection.send(protocol.backend_key_data(os.getpid(), cancel_key))
    title.set_title("idle")
    connection_log.log_setup(timings)
    session.run()


def _inherit_statements(session: Session) -> None:
    """A session with the server's own settings may use the template's plans, and be an example for its next ones."""
    database, role = identity.database_id, identity.session_user_id
    _demand.note_session(database, role)
    if warm.state.database == database and warm.state.role == role:
        session.statements.inherit(warm.state.statements, warm.state.names_as_of)
    else:
        session.statements.inherit({}, 0)


def _cancel(request: CancelRequest) -> None:
    if not _procsignal.send_cancel_request(request.pid, request.key):
        known = _process.procno_of_pid(request.pid) >= 0
        text = (
            f"wrong key in cancel request for process {request.pid}"
            if known
            else f"PID {request.pid} in cancel request did not match any process"
        )
        report(Severity.LOG, text)


def _show_title(packet: StartupPacket, host: str, port: str) -> None:
    info = session_info.current
    info.user, info.database, info.backend_type = packet.user, packet.database, BackendType.BACKEND
    where = f"{host}({port})" if host else "[local]"
    title.init_title(f"{packet.user} {packet.database} {where}", "initializing")


def _join_server(packet: StartupPacket, connection: ClientConnection, host: str, port: str) -> bytes:
    """Take a process slot and become visible; returns the cancel key."""
    _process.init_process(0, BackendType.BACKEND)
    cancel_key = secrets.token_bytes(32 if packet.protocol_version >= 0x00030002 else 4)
    _procsignal.init_proc_signal(cancel_key)
    _procarray.add_my_process()
    _sync.init_sync(True)
    _activity.begin_status(BackendType.BACKEND, host or None, int(port) if port else -1, True)
    if settings.log_hostname and session_info.current.remote_host not in (host, "[local]"):
        _activity.set_client_hostname(session_info.current.remote_host)
    return cancel_key


def _apply_startup_settings(packet: StartupPacket) -> None:
    """Settings of the startup packet: first its command-line options, then the named ones."""
    rank = Context.SU_BACKEND if interrupts.current_user_is_superuser() else Context.BACKEND
    for name, value in [*_options(packet.options), *packet.settings.items()]:
        set_option(name, value, rank, Source.CLIENT)
    set_option(
        "is_superuser",
        "on" if interrupts.current_user_is_superuser() else "off",
        Context.INTERNAL,
        Source.DYNAMIC_DEFAULT,
    )
    set_option("session_authorization", packet.user, Context.INTERNAL, Source.OVERRIDE)


def _options(text: str) -> list[tuple[str, str]]:
    """``-c name=value`` and ``--name=value`` pairs of the ``options`` string; a backslash protects a blank."""
    words, word, i = [], "", 0
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text):
            word += text[i + 1]
            i += 2
            continue
        if text[i].isspace():
            if word:
                words.append(word)
            word = ""
        else:
            word += text[i]
        i += 1
    if word:
        words.append(word)
    pairs: list[tuple[str, str]] = []
    it = iter(words)
    for word in it:
        item, switch = word, "-c "
        if item == "-c":
            item = next(it, "")
        elif item.startswith(("-c", "--")):
            item, switch = item[2:], "--" if item.startswith("--") else switch
        else:
            raise Fatal(
                errcode.SYNTAX_ERROR, f"invalid command-line argument for server process: {item}"
            )
        name, separator, value = item.partition("=")
        if not separator:
            raise Fatal(errcode.SYNTAX_ERROR, f"{switch}{item} requires a value")
        pairs.append((name.replace("-", "_"), value))
    return pairs


def _attach_session(session: Session) -> None:
    """From now on, messages also go to this client, and transaction ends are its portals' business."""

    def sink(message: Message) -> None:
        serverlog.log_message(message)
        session.send_notice(message)

    set_report_sink(sink)
    xact.on_pre_commit(session.portals.before_commit, session.portals.by_name)
    xact.on_abort(session.portals.at_abort)
    xact.on_subcommit(session.portals.at_subcommit)
    xact.on_subabort(session.portals.at_subabort)


def _release(connection: ClientConnection) -> None:
    """Leave shared memory as if never been there: abort, then give back the slot."""
    set_report_sink(serverlog.log_message)
    if _process.my_proc_number() >= 0:
        _interrupts.set_interrupt_handler(None)
        xact.abort_out_of_any_transaction()
        notifications.leave()
        xact.shutdown_backend()
        leave_database()
        _activity.end_status()
        _procsignal.exit_proc_signal()
        _process.release_process()
    connection.close()
