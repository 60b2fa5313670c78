"""The command loop of a backend: simple and extended protocol (tcop/postgres.c).

One session serves one client until it leaves. Errors end the current command, never the loop; FATAL ends the process.
"""

from __future__ import annotations

import traceback
from typing import Any

from tusk.backend import client_text, interrupts, protocol, statement_log
from tusk.backend._fast_path import FastPath
from tusk.backend.connection import ClientConnection, ConnectionLost
from tusk.backend.copy_channel import CopyIn, CopyOut
from tusk.backend.extended import ExtendedProtocol
from tusk.backend.statement_cache import StatementCache
from tusk.backend.wire_destination import WireDestination
from tusk.commands import notifications, utility
from tusk.commands.completion import command_tag
from tusk.commands.portal_manager import PortalManager
from tusk.commands.portals import Portal
from tusk.commands.prepared import PreparedStatements
from tusk.config import settings, show
from tusk.config.registry import take_changed_reported
from tusk.errors import Fatal, Message, Severity, SqlError, as_panic, errcode
from tusk.memory import _interrupts, _lwlock
from tusk.memory._context import well_known_context
from tusk.memory._critical import critical_count
from tusk.sql.nodes import CMD_UTILITY, PlannedStmt, RawStmt
from tusk.sql.plancache import PlanSource
from tusk.stats import _activity, serverlog, session_info, title
from tusk.transaction import xact
from tusk.types.registry import services

_IDLE_STATES = {
    "I": ("idle", _activity.STATE_IDLE),
    "T": ("idle in transaction", _activity.STATE_IDLEINTRANSACTION),
    "E": ("idle in transaction (aborted)", _activity.STATE_IDLEINTRANSACTION_ABORTED),
}


class Session:
    """One client's session."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.portals = PortalManager()
        self.prepared = PreparedStatements()
        self.extended = ExtendedProtocol(self)
        self.statements = StatementCache()
        self.ignore_till_sync = False
        self.doing_extended = False
        self.command_started = False
        services.provide("session", lambda: self)
        interrupts.on_notify_interrupt = self._notify_while_idle
        self.fast = FastPath(self)
        self.is_ready = False           # the fast path has sent ReadyForQuery

    # The loop

    def run(self) -> None:
        """Serve the client until it says goodbye. Raises ConnectionLost where it just vanishes, Fatal to end."""
        send_ready = True
        while True:
            if send_ready and not self.ignore_till_sync:
                self._ready()
                send_ready = False
            kind, body = self._read_command()
            if kind == ord("X"):
                return
            try:
                send_ready = self._dispatch(kind, body)
            except SqlError as error:
                self._recover(error)
                if self.connection.is_out_of_sync:
                    raise Fatal(
                        errcode.PROTOCOL_VIOLATION,
                        "terminating connection because protocol synchronization was lost",
                    ) from error
                send_ready = not self.ignore_till_sync
            except RecursionError:
                self._recover(
                    SqlError(
                        errcode.STATEMENT_TOO_COMPLEX,
                        "stack depth limit exceeded",
                        hint="Increase the configuration parameter \"max_stack_depth\" (currently "
                        f'{settings.max_stack_depth}kB), after ensuring the platform\'s stack depth limit is adequate.',
                    )
                )
                send_ready = not self.ignore_till_sync
            except MemoryError:
                self._recover(SqlError(errcode.OUT_OF_MEMORY, "out of memory"))
                send_ready = not self.ignore_till_sync
            except ConnectionLost:
                raise
            except Exception as error:
                # A mistake of ours. Outside a critical section nothing shared is half-changed: the command fails,
                # the traceback goes to the log, the session lives.
                traceback.print_exc()
                self._recover(SqlError(errcode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"))
                send_ready = not self.ignore_till_sync

    def _ready(self) -> None:
        status = xact.block_status()
        text, state = _IDLE_STATES[status]
        interrupts.enter_idle(status)
        title.set_title(text)
        _activity.report_activity(state, None)
        self.announce()
        self.connection.send(protocol.ready_for_query(status.encode()))
        self.connection.flush()

    def announce(self) -> None:
        """What a client is told before ReadyForQuery: notifications and changed settings."""
        if notifications.is_pending:
            notifications.deliver(self._send_notification)
        session_info.current.query = ""
        self.report_changed_settings()

    def _send_notification(self, pid: int, channel: bytes, payload: bytes) -> None:
        convert = client_text.to_client_bytes
        self.connection.send(protocol.notification(pid, convert(channel), convert(payload)))

    def _notify_while_idle(self) -> None:
        """A notification came while the session waits for a command."""
        try:
            delivered = notifications.deliver(self._send_notification)
        except SqlError as error:
            self._recover(error)
            delivered = True
        if delivered:
            self.connection.flush()

    def _read_command(self) -> tuple[int, bytes]:
        interrupts.reading_command = True
        try:
            if not self.connection.has_input():
                self.connection.flush()
            kind, body = self.connection.read_message()
        finally:
            interrupts.reading_command = False
        interrupts.leave_idle()
        return kind, body

    def _dispatch(self, kind: int, body: bytes) -> bool:
        """Carry out one message; returns whether ReadyForQuery is due."""
        if self.ignore_till_sync and kind != ord("S"):
            return False
        match kind:
            case 81:    # Q
                if self.fast.query(body):
                    return False
                self.doing_extended = False
                self.is_ready = False
                self._simple_query(_query_text(body), body)
                return not self.is_ready
            case 80 | 66 | 69 | 68 | 67 | 72:   # P B E D C H
                if kind == 66 and self.fast.bind(body):
                    return False
                self.doing_extended = True
                self.extended.handle(kind, body)
                return False
            case 83:    # S
                self.doing_extended = False
                self.ignore_till_sync = False
                if body:
                    protocol.MessageReader(body).end()
                self.finish_command()
                return True
            case 70:    # F
                raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "fastpath function calls are not supported yet")
            case 99 | 100 | 102:    # c d f: left over from a COPY that failed
                return False
        raise Fatal(errcode.PROTOCOL_VIOLATION, f"invalid frontend message type {kind}")

    def _recover(self, error: SqlError) -> None:
        """After an error: tell, abort, be ready for the next message."""
        if critical_count():
            raise as_panic(error) from error
        _interrupts.reset_holdoff()
        interrupts.disable_statement_timeout()
        serverlog.log_error(error)
        self.connection.send(protocol.error_response(error))
        _lwlock.release_all()
        self.command_started = False
        xact.abort_current_transaction()
        self.extended.forget_unnamed_after_error()
        if self.doing_extended:
            self.ignore_till_sync = True
        well_known_context("MessageContext").reset()
        session_info.current.query = ""

    # Transactions around commands

    def start_command(self) -> None:
        """Make sure a transaction is open for the command (start_xact_command)."""
        if not self.command_started:
            xact.start_transaction_command()
            self.command_started = True
            if statement_log.state.samples_transactions:
                statement_log.begin_command()
        interrupts.enable_statement_timeout()

    def finish_command(self) -> None:
        """End the command: commit where no block is open (finish_xact_command)."""
        interrupts.disable_statement_timeout()
        if self.command_started:
            self.command_started = False
            xact.commit_transaction_command()

    def check_not_aborted(self, statement: Any) -> None:
        """25P02 for anything but a way out in a failed transaction block."""
        if xact.is_aborted_block() and not utility.is_transaction_exit(statement):
            raise SqlError(
                errcode.IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            )

    # Simple protocol

    def _simple_query(self, text: str, body: bytes) -> None:
        """Execute a query string: all its statements, one transaction unless they say otherwise."""
        self.begin_activity(text)
        self.start_command()
        self.extended.forget_unnamed()
        if not xact.is_aborted_block() and self._cached_query(text, body):
            return
        statements = self.statements.parse(text)
        logging = statement_log.state
        was_logged = logging.level > 0 and statement_log.log_query(text, statements, self.prepared)
        implicit_block = len(statements) > 1
        for index, raw in enumerate(statements):
            is_last = index + 1 == len(statements)
            self._simple_statement(raw, text, implicit_block=implicit_block, is_last=is_last)
        self.finish_command()
        if not statements:
            self.connection.send(protocol.EMPTY_QUERY)
        if logging.times:
            statement_log.log_query_time(text, statements, self.prepared, was_logged)

    def _cached_query(self, text: str, body: bytes) -> bool:
        """Run a query through the plan of its like; False where it is not that simple."""
        found = self.statements.lookup(text)
        if found is None:
            return False
        source, values = found
        logging = statement_log.state
        was_logged = logging.level > 0 and statement_log.log_query(text, [source.raw], self.prepared)
        if self.fast.simple(body, source):
            self.is_ready = True
            return True
        plans = self.plan_source(source)
        tag = command_tag(source.raw)
        title.set_title(tag)
        session_info.current.command_tag = tag
        _interrupts.check()
        portal = Portal("", plans, text, self, parameters=values, source=source)
        portal.visible = False
        self.portals.add(portal)
        destination = WireDestination(self.connection, [], with_description=True, cache=portal.described)
        done = portal.run(0, destination)
        self.portals.drop("")
        self.finish_command()
        self.connection.send(protocol.command_complete(done or tag))
        if logging.times:
            statement_log.log_query_time(text, [source.raw], self.prepared, was_logged)
        return True

    def _simple_statement(self, raw: RawStmt, text: str, *, implicit_block: bool, is_last: bool) -> None:
        tag = command_tag(raw)
        title.set_title(tag)
        session_info.current.command_tag = tag
        self.check_not_aborted(raw.stmt)
        self.start_command()
        if implicit_block:
            xact.begin_implicit_block()
        _interrupts.check()
        source = PlanSource(raw, text, [], fixed_parameters=True)
        plans = self.plan_source(source)
        portal = Portal("", plans, text, self, source=source)
        portal.visible = False
        self.portals.add(portal)
        destination = WireDestination(self.connection, [], with_description=True)
        done = portal.run(0, destination, is_top_level=not implicit_block)
        self.portals.drop("")
        if is_last:
            if implicit_block:
                xact.end_implicit_block()
            self.finish_command()
        elif type(raw.stmt).__name__ == "TransactionStmt":
            self.finish_command()
        else:
            xact.command_counter_increment()
        self.connection.send(protocol.command_complete(done or tag))

    def plan_source(self, source: PlanSource, parameters: Any = None) -> list[PlannedStmt]:
        """The plans of a statement: its generic plan if that is still good, else analysed under a snapshot and planned.
        Utility statements are wrapped."""
        ready = source.ready_plans()
        if ready is not None:
            return ready
        with xact.analysis_snapshot(source.raw):
            queries = source.analyze()
            if source.is_utility:
                return [wrap_utility(queries[0], source)]
            return source.plans(parameters)

    # Reporting

    def begin_activity(self, text: str) -> None:
        """What pg_stat_activity and the log say is running."""
        session_info.current.query = text
        _activity.report_activity(_activity.STATE_RUNNING, text.encode("utf-8", "surrogateescape"))
        xact.set_statement_start_timestamp()

    def report_changed_settings(self) -> None:
        """ParameterStatus for reported settings that changed."""
        for name in take_changed_reported():
            self.connection.send(protocol.parameter_status(name, show(name)))

    def send_notice(self, message: Message) -> None:
        """A message below ERROR: to the client if ``client_min_messages`` lets it through."""
        if message.severity == Severity.INFO or _client_wants(message.severity):
            self.connection.send(protocol.notice_response(message))

    # What commands ask of a session

    def is_superuser(self) -> bool:
        """Whether the current user is a superuser."""
        return interrupts.current_user_is_superuser()

    def may_read_setting(self, name: str) -> bool:
        """Whether the current user may see a setting's value."""
        return interrupts.may_read_setting(name)

    def copy_in(self, is_binary: bool, ncolumns: int) -> CopyIn:
        """Enter copy-in mode: the client sends."""
        return CopyIn(self.connection, is_binary, ncolumns)

    def copy_out(self, is_binary: bool, ncolumns: int) -> CopyOut:
        """Enter copy-out mode: the client receives."""
        return CopyOut(self.connection, is_binary, ncolumns)


_CLIENT_LEVELS = {
    "debug5": Severity.DEBUG5, "debug4": Severity.DEBUG4, "debug3": Severity.DEBUG3, "debug2": Severity.DEBUG2,
    "debug1": Severity.DEBUG1, "log": Severity.LOG, "notice": Severity.NOTICE, "warning": Severity.WARNING,
    "error": Severity.ERROR,
}  # fmt: skip


def _client_wants(severity: Severity) -> bool:
    if severity == Severity.LOG_SERVER_ONLY:
        return False
    return severity >= _CLIENT_LEVELS[settings.client_min_messages]


def _query_text(body: bytes) -> str:
    reader = protocol.MessageReader(body)
    data = reader.cstring()
    reader.end()
    return client_text.to_text(data)


def wrap_utility(query: Any, source: PlanSource) -> PlannedStmt:
    """A utility statement in the clothes of a plan, as portals want it."""
    raw = source.raw
    return PlannedStmt(
        commandType=CMD_UTILITY,
        canSetTag=True,
        utilityStmt=query.utilityStmt,
        stmt_location=raw.stmt_location if raw else 0,
        stmt_len=raw.stmt_len if raw else 0,
    )
