"""LISTEN, UNLISTEN and NOTIFY: what a transaction asked for, done at its commit; delivery between transactions.

The shared queue is `transaction._notify`. LISTEN and NOTIFY take effect at commit only, and are undone with their
subtransaction. The session calls `deliver` when it is idle; `is_pending` says that there may be something to deliver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tusk.catalog.session import session
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import SqlError, errcode
from tusk.memory import _procsignal
from tusk.stats import title
from tusk.transaction import _lock, _notify, xact

_NAME_SIZE = 64
_PAYLOAD_SIZE = 8000
_DATABASE_RELATION = 1262
_ACCESS_EXCLUSIVE = 8
_LISTEN, _UNLISTEN, _UNLISTEN_ALL = "listen", "unlisten", "unlisten all"

# Something may wait in the queue: set by a signal, or by this session's own commit.
is_pending = False

_channels: dict[bytes, None] = {}


@dataclass(slots=True)
class _Requests:
    """What one (sub)transaction asked for. Of equal notifications the first one counts."""

    actions: list[tuple[str, bytes]] = field(default_factory=list)
    notifications: dict[tuple[bytes, bytes], None] = field(default_factory=dict)


_requests: dict[int, _Requests] = {}        # by subtransaction id, outermost first
_has_callbacks = False


def _current() -> _Requests:
    """The requests of the running subtransaction."""
    global _has_callbacks
    if not _has_callbacks:
        # Only sessions that use notifications pay for them at each commit.
        _has_callbacks = True
        xact.on_pre_commit(_before_commit)
        xact.on_post_commit(_after_commit)
        xact.on_abort(_at_abort)
        xact.on_subcommit(_at_subcommit)
        xact.on_subabort(_at_subabort)
    return _requests.setdefault(xact.get_current_sub_transaction_id(), _Requests())


# Commands


@utility("ListenStmt")
def listen(statement: Any, _context: UtilityContext) -> None:
    """LISTEN."""
    xact.prevent_command_during_recovery("LISTEN")
    _current().actions.append((_LISTEN, _encode(statement.conditionname)))


@utility("UnlistenStmt")
def unlisten(statement: Any, _context: UtilityContext) -> None:
    """UNLISTEN of a channel or of all."""
    xact.prevent_command_during_recovery("UNLISTEN")
    if statement.conditionname:
        if _channels or _requests:
            _current().actions.append((_UNLISTEN, _encode(statement.conditionname)))
    else:
        unlisten_all()


def unlisten_all() -> None:
    """UNLISTEN *, also a part of DISCARD ALL."""
    if _channels or _requests:
        _current().actions.append((_UNLISTEN_ALL, b""))


@utility("NotifyStmt")
def notify_statement(statement: Any, _context: UtilityContext) -> None:
    """NOTIFY."""
    xact.prevent_command_during_recovery("NOTIFY")
    notify(statement.conditionname, statement.payload or "")


def notify(channel: str, payload: str) -> None:
    """Ask for a notification at commit (Async_Notify). 22023 for names and payloads out of bounds."""
    name, data = _encode(channel), _encode(payload)
    if not name:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "channel name cannot be empty")
    if len(name) >= _NAME_SIZE:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "channel name too long")
    if len(data) >= _PAYLOAD_SIZE:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "payload string too long")
    _current().notifications.setdefault((name, data))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def channels() -> list[str]:
    """The channels this session listens on."""
    return [_decode(name) for name in _channels]


# The ends of transactions


def _before_commit() -> None:
    """Write the notifications, and begin to listen; an error here still aborts the transaction (PreCommit_Notify)."""
    if not _requests:
        return
    for requests in _requests.values():
        if any(kind == _LISTEN for kind, _ in requests.actions):
            _notify.listen(session.database_id)
    notifications = [pair for requests in _requests.values() for pair in requests.notifications]
    if notifications:
        xact.get_current_transaction_id()
        # Entries must stand in the queue in the order of the commits, so one transaction at a time has this lock.
        _lock.lock_object(0, _DATABASE_RELATION, 0, 0, _ACCESS_EXCLUSIVE)
        _notify.append(session.database_id, notifications)


def _after_commit() -> None:
    """Carry out LISTEN and UNLISTEN, and wake who listens (AtCommit_Notify)."""
    global is_pending
    if not _requests:
        return
    notified = False
    for requests in _requests.values():
        for kind, channel in requests.actions:
            match kind:
                case "listen":
                    _channels[channel] = None
                case "unlisten":
                    _channels.pop(channel, None)
                case _:
                    _channels.clear()
        notified = notified or bool(requests.notifications)
    _requests.clear()
    if not _channels:
        _notify.unlisten()
    if (notified and _notify.wake_listeners(session.database_id)) or _notify.needs_catching_up():
        is_pending = True


def _at_abort() -> None:
    if _requests:
        _requests.clear()
        if not _channels:
            _notify.unlisten()


def _at_subcommit(subtransaction: int, parent: int) -> None:
    requests = _requests.pop(subtransaction, None)
    if requests is not None:
        into = _requests.setdefault(parent, _Requests())
        into.actions += requests.actions
        into.notifications |= requests.notifications


def _at_subabort(subtransaction: int, _parent: int) -> None:
    _requests.pop(subtransaction, None)


def leave() -> None:
    """The session ends."""
    _channels.clear()
    _notify.unlisten()


# Delivery


@_procsignal.on_proc_signal(_procsignal.NOTIFY_INTERRUPT)
def _woken() -> None:
    global is_pending
    is_pending = True


def deliver(send: Callable[[int, bytes, bytes], None]) -> bool:
    """Outside of transactions: pass every new notification of a channel of ours to ``send(pid, channel, payload)``.

    Returns whether it looked; inside a transaction it does not, and the notifications stay pending.
    """
    global is_pending
    if xact.is_transaction_or_block():
        return False
    is_pending = False
    if not _channels:
        return False
    title.set_title("notify interrupt")
    xact.start_transaction_command()
    for pid, channel, payload in _notify.read_new(session.database_id):
        if channel in _channels:
            send(pid, channel, payload)
    xact.commit_transaction_command()
    title.set_title("idle")
    return True
