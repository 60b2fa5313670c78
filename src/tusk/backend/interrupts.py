"""What a backend does when it is interrupted: cancel, terminate, time out, reload (ProcessInterrupts).

C handlers set flags and the latch (`tusk.memory._interrupts`); `serve` runs at the points where the process checks for
them. Timers share one SIGALRM: each has a deadline, the earliest is armed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from tusk.catalog import acl
from tusk.catalog.session import session
from tusk.commands import notifications
from tusk.config import settings
from tusk.config.files import load_config_files
from tusk.config.parameters import SUPERUSER_ONLY
from tusk.errors import Fatal, Severity, SqlError, errcode, report
from tusk.memory import _context, _interrupts, _procsignal
from tusk.transaction import xact

_READ_ALL_SETTINGS = 3374       # pg_read_all_settings

# As plain numbers: members of an enumeration cost a look-up each, and this is done for each connection.
_SIGINT, _SIGTERM, _SIGHUP = int(signal.SIGINT), int(signal.SIGTERM), int(signal.SIGHUP)
_SIGUSR1, _SIGUSR2, _SIGALRM = int(signal.SIGUSR1), int(signal.SIGUSR2), int(signal.SIGALRM)

reading_command = False
is_authenticating = True
# What a session does about notifications that come while it is idle.
on_notify_interrupt: Callable[[], None] | None = None


class Timer(Enum):
    """The timeouts of a session, in the order in which they are looked at."""

    TRANSACTION = "transaction"
    LOCK = "lock"
    STATEMENT = "statement"
    IDLE_IN_TRANSACTION = "idle in transaction"
    IDLE_SESSION = "idle session"


deadlines: dict[Timer, float] = {}
fired: set[Timer] = set()
_armed_for = 0.0


def install() -> None:
    """Take the signals of a regular backend and the interrupt handler."""
    _interrupts.install_signal(_SIGINT, "cancel")
    _interrupts.install_signal(_SIGTERM, "die")
    _interrupts.install_signal(_SIGHUP, "reload")
    _interrupts.install_signal(_SIGUSR1, "procsignal")
    _interrupts.install_signal(_SIGALRM, "timeout")
    _interrupts.ignore_signal(_SIGUSR2)
    _interrupts.set_interrupt_handler(serve)


def serve() -> None:
    """Serve everything pending; raises SqlError 57014 and the like, or Fatal 57P01."""
    if _interrupts.take("ProcDie"):
        _interrupts.take("QueryCancel")
        raise Fatal(errcode.ADMIN_SHUTDOWN, "terminating connection due to administrator command")
    if _interrupts.take("ClientConnectionLost"):
        raise Fatal(errcode.CONNECTION_FAILURE, "connection to client lost")
    if _interrupts.take("Timeout"):
        _timers_fired()
    if _interrupts.take("QueryCancel"):
        _cancel()
    if reading_command and Timer.IDLE_IN_TRANSACTION in fired:
        fired.discard(Timer.IDLE_IN_TRANSACTION)
        raise Fatal(
            errcode.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            "terminating connection due to idle-in-transaction timeout",
        )
    if reading_command and Timer.IDLE_SESSION in fired:
        fired.discard(Timer.IDLE_SESSION)
        raise Fatal(errcode.IDLE_SESSION_TIMEOUT, "terminating connection due to idle-session timeout")
    if Timer.TRANSACTION in fired:
        fired.discard(Timer.TRANSACTION)
        if xact.is_transaction_or_block():
            raise Fatal(errcode.TRANSACTION_TIMEOUT, "terminating connection due to transaction timeout")
    if _interrupts.take("ProcSignal"):
        _procsignal.process_proc_signals()
        if reading_command and notifications.is_pending and on_notify_interrupt is not None:
            on_notify_interrupt()
    if reading_command and _interrupts.take("ConfigReload"):
        reload_configuration()
    elif _interrupts.peek("ConfigReload"):
        # Settings change between commands only: look again when idle.
        return


def _cancel() -> None:
    """A cancel flag: a request of the user, or a timer that stands for one. Ignored when nothing runs."""
    lock, statement = Timer.LOCK in fired, Timer.STATEMENT in fired
    fired.discard(Timer.LOCK)
    fired.discard(Timer.STATEMENT)
    if is_authenticating:
        raise Fatal(errcode.QUERY_CANCELED, "canceling authentication due to timeout")
    if lock:
        raise SqlError(errcode.LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")
    if statement:
        raise SqlError(errcode.QUERY_CANCELED, "canceling statement due to statement timeout")
    if not reading_command:
        raise SqlError(errcode.QUERY_CANCELED, "canceling statement due to user request")


def reload_configuration() -> None:
    """Read the files again: SIGHUP."""
    load_config_files(Path(str(settings.data_directory)), Path(str(settings.config_file)), is_reload=True)


def serve_config_reload_if_idle() -> None:
    """Before waiting for a command: a reload that came while a command ran."""
    if _interrupts.take("ConfigReload"):
        reload_configuration()


# Timers


def _arm() -> None:
    global _armed_for
    earliest = min(deadlines.values(), default=0.0)
    if earliest == _armed_for:
        return
    _armed_for = earliest
    signal.setitimer(signal.ITIMER_REAL, max(earliest - time.monotonic(), 0.000001) if earliest else 0)


def enable_timer(timer: Timer, milliseconds: int) -> None:
    """Fire after so long; 0 disables."""
    if milliseconds > 0:
        deadlines[timer] = time.monotonic() + milliseconds / 1000
        _arm()
    else:
        disable_timer(timer)


def disable_timer(timer: Timer) -> None:
    """Forget a timer, and that it fired."""
    fired.discard(timer)
    if deadlines.pop(timer, None) is not None:
        _arm()


def _timers_fired() -> None:
    global _armed_for
    now = time.monotonic()
    _armed_for = 0.0
    for timer, deadline in list(deadlines.items()):
        if deadline <= now:
            del deadlines[timer]
            fired.add(timer)
            if timer in (Timer.STATEMENT, Timer.LOCK):
                _interrupts.set_flag("QueryCancel")
    _arm()


def enable_statement_timeout() -> None:
    """At the start of a command; a running timer stays (several messages of one command share it)."""
    timeout = settings.statement_timeout
    if timeout <= 0:
        if deadlines:
            disable_timer(Timer.STATEMENT)
    elif Timer.STATEMENT not in deadlines:
        enable_timer(Timer.STATEMENT, timeout)
    if settings.transaction_timeout and Timer.TRANSACTION not in deadlines:
        enable_timer(Timer.TRANSACTION, settings.transaction_timeout)


def disable_statement_timeout() -> None:
    """At the end of a command."""
    if deadlines or fired:
        disable_timer(Timer.STATEMENT)
        if not xact.is_transaction_block():
            disable_timer(Timer.TRANSACTION)


def enter_idle(status: str) -> None:
    """Before ReadyForQuery: the idle timeouts begin, and what could not be served in a command is."""
    if status == "I":
        if settings.idle_session_timeout:
            enable_timer(Timer.IDLE_SESSION, settings.idle_session_timeout)
    elif settings.idle_in_transaction_session_timeout:
        enable_timer(Timer.IDLE_IN_TRANSACTION, settings.idle_in_transaction_session_timeout)
    if _interrupts.peek("ConfigReload"):
        serve_config_reload_if_idle()


def leave_idle() -> None:
    """A command has come."""
    if deadlines or fired:
        disable_timer(Timer.IDLE_SESSION)
        disable_timer(Timer.IDLE_IN_TRANSACTION)


# Process signals


@_procsignal.on_proc_signal(_procsignal.LOG_MEMORY_CONTEXT)
def _log_memory_contexts() -> None:
    """pg_log_backend_memory_contexts() was called on this process."""
    for line in _context.log_lines():
        report(Severity.LOG_SERVER_ONLY, line)


# What commands ask about the user


def current_user_is_superuser() -> bool:
    """Whether the current user is a superuser."""
    return acl.superuser()




def may_read_setting(name: str) -> bool:
    """Whether the current user may see the value of a setting (ConfigOptionIsVisible)."""
    return name not in SUPERUSER_ONLY or acl.has_privs_of_role(session.current_user_id, _READ_ALL_SETTINGS)
