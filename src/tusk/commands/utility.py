"""Utility statements: one registry from statement class to the function that carries it out.

A module under `commands` registers with ``@utility("CreateStmt")``; a statement class nobody registered raises
feature_not_supported under its command tag, so that nothing is ever parsed and ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tusk.commands.completion import command_tag
from tusk.commands.destination import DestReceiver, ResultColumn
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.nodes import Node
from tusk.transaction import xact


@dataclass(slots=True)
class UtilityContext:
    """What a utility command gets besides its statement.

    ``is_top_level`` is false inside functions and multi-statement strings; ``session`` is the backend's session (its
    prepared statements, portals and COPY channel).
    """

    query_text: str
    destination: DestReceiver
    session: Any
    parameters: Any = None
    is_top_level: bool = True
    statement_location: int = 0
    statement_length: int = 0

    def statement_text(self) -> str:
        """The text of this statement alone."""
        data = self.query_text.encode("utf-8", "surrogateescape")
        end = self.statement_location + self.statement_length if self.statement_length else len(data)
        return data[self.statement_location : end].decode("utf-8", "surrogateescape").strip()


Handler = Callable[[Any, UtilityContext], str | None]
_handlers: dict[str, Handler] = {}
_describers: dict[str, Callable[[Any, Any], list[ResultColumn] | None]] = {}
# Statements a read-only transaction may run (ClassifyUtilityCommandAsReadOnly).
_READ_ONLY = frozenset(
    {
        "TransactionStmt", "VariableSetStmt", "VariableShowStmt", "ExplainStmt", "PrepareStmt", "ExecuteStmt",
        "DeallocateStmt", "DeclareCursorStmt", "FetchStmt", "ClosePortalStmt", "ConstraintsSetStmt", "DiscardStmt",
        "CheckPointStmt", "LoadStmt", "LockStmt", "CopyStmt", "AlterSystemStmt", "CallStmt", "DoStmt", "ListenStmt",
        "UnlistenStmt", "NotifyStmt", "ClusterStmt", "ReindexStmt", "VacuumStmt",
    }
)  # fmt: skip
# Statements that must run even in an aborted transaction block.
_TRANSACTION_EXITS = frozenset({"COMMIT", "ROLLBACK", "PREPARE TRANSACTION"})


def utility(name: str) -> Callable[[Handler], Handler]:
    """Register the function for a statement class. It returns the completion tag, or None for the plain tag."""

    def register(handler: Handler) -> Handler:
        _handlers[name] = handler
        return handler

    return register


def describes_rows(name: str) -> Callable[[Callable[[Any, Any], list[ResultColumn] | None]], Any]:
    """Register ``(statement, session) -> columns`` for a statement class that returns rows."""

    def register(describer: Callable[[Any, Any], list[ResultColumn] | None]) -> Any:
        _describers[name] = describer
        return describer

    return register


def result_columns(statement: Node, session: Any) -> list[ResultColumn] | None:
    """The columns a utility statement returns, None if it returns no rows (UtilityTupleDescriptor)."""
    describer = _describers.get(type(statement).__name__)
    return describer(statement, session) if describer is not None else None


def is_transaction_exit(statement: Node) -> bool:
    """Whether the statement may run in an aborted transaction block (IsTransactionExitStmt)."""
    if type(statement).__name__ != "TransactionStmt":
        return False
    return command_tag(statement) in _TRANSACTION_EXITS


def needs_snapshot(statement: Node) -> bool:
    """Whether a utility statement needs a snapshot pushed before it runs (PlannedStmtRequiresSnapshot)."""
    return type(statement).__name__ not in (
        "TransactionStmt", "LockStmt", "VariableSetStmt", "VariableShowStmt", "ConstraintsSetStmt", "FetchStmt",
        "ListenStmt", "NotifyStmt", "UnlistenStmt", "CheckPointStmt",
    )  # fmt: skip


def process_utility(statement: Node, context: UtilityContext) -> str:
    """Carry out a utility statement; returns its completion tag (ProcessUtility)."""
    name = type(statement).__name__
    tag = command_tag(statement)
    if name not in _READ_ONLY:
        prevent_if_read_only(tag)
    handler = _handlers.get(name)
    if handler is None:
        raise feature_not_supported(tag if tag != "???" else name)
    return handler(statement, context) or tag


def prevent_if_read_only(tag: str) -> None:
    """25006 for a command that writes, in a read-only transaction (PreventCommandIfReadOnly)."""
    if xact.is_read_only():
        raise SqlError(errcode.READ_ONLY_SQL_TRANSACTION, f"cannot execute {tag} in a read-only transaction")
