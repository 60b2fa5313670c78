"""Transactions as the command loop and commands see them: the brackets around commands, blocks, rules, callbacks.

The state machine is in `_xact` (C, for the hot path); this module gives it PostgreSQL's names.

    xact.start_transaction_command()
    try:
        ...
    except BaseException:
        xact.abort_current_transaction()
        raise
    xact.commit_transaction_command()

Callbacks at commit may name containers: the function is called only if one of them has something in it.
"""

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any

from tusk.transaction import _lock, _snapshot, _xact
from tusk.transaction._xact import abort_current as abort_current_transaction
from tusk.transaction._xact import (
    abort_out_of_any_transaction,
    add_flags,
    begin_internal_subtransaction,
    begin_transaction_block,
    define_savepoint,
    end_transaction_block,
    flags,
    force_synchronous_commit,
    is_in_transaction_block,
    is_read_only,
    isolation_level,
    needs_immediate_commit,
    new_savepoint_level,
    prepare_transaction_block,
    prevent_command_during_recovery,
    prevent_command_if_read_only,
    prevent_in_transaction_block,
    release_current_subtransaction,
    release_savepoint,
    require_transaction_block,
    rollback_and_release_current_subtransaction,
    rollback_to_savepoint,
    set_statement_start_timestamp,
    statement_start_timestamp,
    transaction_start_timestamp,
    user_abort_transaction_block,
    warn_no_transaction_block,
)
from tusk.transaction._xact import begin_implicit_transaction_block as begin_implicit_block
from tusk.transaction._xact import commit_command as commit_transaction_command
from tusk.transaction._xact import current_command_id as get_current_command_id
from tusk.transaction._xact import current_sub_transaction_id as current_subtransaction_id
from tusk.transaction._xact import current_sub_transaction_id as get_current_sub_transaction_id
from tusk.transaction._xact import current_transaction_id as get_current_transaction_id
from tusk.transaction._xact import current_transaction_id_if_any as get_current_transaction_id_if_any
from tusk.transaction._xact import end_implicit_transaction_block as end_implicit_block
from tusk.transaction._xact import in_aborted_block as is_aborted_block
from tusk.transaction._xact import in_block as is_transaction_block
from tusk.transaction._xact import in_sub_transaction as is_sub_transaction
from tusk.transaction._xact import in_transaction as is_transaction_state
from tusk.transaction._xact import in_transaction_or_block as is_transaction_or_block
from tusk.transaction._xact import increment_command_counter as command_counter_increment
from tusk.transaction._xact import nest_level as get_current_transaction_nest_level
from tusk.transaction._xact import start_command as start_transaction_command
from tusk.transaction._xact import status_code as block_status
from tusk.transaction._xact import top_full_id as get_top_full_transaction_id
from tusk.transaction._xact import top_full_id_if_any as get_top_full_transaction_id_if_any
from tusk.transaction._xact import top_transaction_id as get_top_transaction_id

__all__ = [
    "abort_current_transaction",
    "abort_out_of_any_transaction",
    "add_flags",
    "analysis_snapshot",
    "begin_implicit_block",
    "begin_internal_subtransaction",
    "begin_transaction_block",
    "block_status",
    "command_counter_increment",
    "commit_transaction_command",
    "current_subtransaction_id",
    "define_savepoint",
    "end_implicit_block",
    "end_transaction_block",
    "flags",
    "force_synchronous_commit",
    "get_current_command_id",
    "get_current_sub_transaction_id",
    "get_current_transaction_id",
    "get_current_transaction_id_if_any",
    "get_current_transaction_nest_level",
    "get_top_full_transaction_id",
    "get_top_full_transaction_id_if_any",
    "get_top_transaction_id",
    "is_aborted_block",
    "is_in_transaction_block",
    "is_read_only",
    "is_sub_transaction",
    "is_transaction_block",
    "is_transaction_or_block",
    "is_transaction_state",
    "isolation_level",
    "needs_immediate_commit",
    "new_savepoint_level",
    "on_abort",
    "on_cleanup",
    "on_commit",
    "on_post_abort",
    "on_post_commit",
    "on_pre_commit",
    "on_start",
    "on_subabort",
    "on_subcommit",
    "prepare_transaction_block",
    "prevent_command_during_recovery",
    "prevent_command_if_read_only",
    "prevent_in_transaction_block",
    "release_current_subtransaction",
    "release_savepoint",
    "require_transaction_block",
    "rollback_and_release_current_subtransaction",
    "rollback_to_savepoint",
    "set_statement_start_timestamp",
    "shutdown_backend",
    "start_transaction_command",
    "statement_start_timestamp",
    "subtransaction",
    "transaction_start_timestamp",
    "user_abort_transaction_block",
    "warn_no_transaction_block",
]

# Events of _xact.pxd (XactEvent, SubXactEvent).
_START, _PRE_COMMIT, _COMMIT, _POST_COMMIT, _PRE_ABORT, _POST_ABORT, _CLEANUP = 0, 2, 4, 5, 6, 8, 9
_SUB_COMMIT, _SUB_PRE_ABORT = 2, 3
_NEEDS_SNAPSHOT = frozenset(
    ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ReturnStmt", "PLAssignStmt",
     "DeclareCursorStmt", "ExplainStmt", "CreateTableAsStmt", "CallStmt"]
)  # fmt: skip


def on_start(function: Callable[[], Any]) -> None:
    """Call ``function`` when a transaction has begun."""
    _xact.on_transaction(_START, function)


def on_pre_commit(function: Callable[[], Any], *containers: Sized) -> None:
    """Call ``function`` before a commit: it may run SQL, and its error aborts the transaction."""
    _xact.on_transaction(_PRE_COMMIT, function, *containers)


def on_commit(function: Callable[[], Any], *containers: Sized) -> None:
    """Call ``function`` once the commit is durable and visible, locks still held; it must not fail."""
    _xact.on_transaction(_COMMIT, function, *containers)


def on_post_commit(function: Callable[[], Any], *containers: Sized) -> None:
    """Call ``function`` after a commit has released its locks; it must not fail."""
    _xact.on_transaction(_POST_COMMIT, function, *containers)


def on_abort(function: Callable[[], Any]) -> None:
    """Call ``function`` at the beginning of an abort, before anything is released; it must not fail."""
    _xact.on_transaction(_PRE_ABORT, function)


def on_post_abort(function: Callable[[], Any]) -> None:
    """Call ``function`` after an abort has released its locks; it must not fail."""
    _xact.on_transaction(_POST_ABORT, function)


def on_cleanup(function: Callable[[], Any]) -> None:
    """Call ``function`` when an aborted transaction is forgotten: at once, or at the ROLLBACK of its block."""
    _xact.on_transaction(_CLEANUP, function)


def on_subcommit(function: Callable[[int, int], Any]) -> None:
    """Call ``function(subtransaction id, parent's id)`` when a subtransaction commits."""
    _xact.on_subtransaction(_SUB_COMMIT, function)


def on_subabort(function: Callable[[int, int], Any]) -> None:
    """Call ``function(subtransaction id, parent's id)`` when a subtransaction aborts."""
    _xact.on_subtransaction(_SUB_PRE_ABORT, function)


def shutdown_backend() -> None:
    """The session ends, outside any transaction: give back its session locks."""
    _lock.error_cleanup()
    _lock.release_all(1, True)
    _lock.release_all(2, True)


@contextmanager
def analysis_snapshot(raw: Any) -> Iterator[None]:
    """An active snapshot while a statement (RawStmt or its node) is analysed and planned, if its kind needs one."""
    if type(getattr(raw, "stmt", raw)).__name__ not in _NEEDS_SNAPSHOT or _snapshot.is_active_set():
        yield
        return
    _snapshot.push_active(_snapshot.transaction_snapshot())
    try:
        yield
    except BaseException:
        # The abort that follows clears the stack; popping here could meet a stack that it has cleared already.
        raise
    else:
        _snapshot.pop_active()


@contextmanager
def subtransaction(name: str | None = None) -> Iterator[None]:
    """Run a block in a subtransaction of the server's own: committed at its end, undone by an exception."""
    begin_internal_subtransaction(name)
    try:
        yield
    except BaseException:
        rollback_and_release_current_subtransaction()
        raise
    release_current_subtransaction()
