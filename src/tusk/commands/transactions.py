"""BEGIN, COMMIT, ROLLBACK, savepoints, and CHECKPOINT."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog.session import session
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.variables import flatten_arguments, setter_context
from tusk.config import Action, Source, set_option
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.nodes import enums
from tusk.transaction import xact
from tusk.wal import checkpoint

_PG_CHECKPOINT = 4544


@utility("TransactionStmt")
def transaction(statement: Any, context: UtilityContext) -> str | None:
    """All transaction control statements; the state machine does the work when the command ends."""
    match statement.kind:
        case enums.TRANS_STMT_BEGIN | enums.TRANS_STMT_START:
            xact.begin_transaction_block()
            rank = setter_context(context.session)
            for item in statement.options:
                set_option(
                    item.defname, flatten_arguments(item.defname, [item.arg]), rank, Source.SESSION, Action.LOCAL
                )
        case enums.TRANS_STMT_COMMIT:
            if not xact.end_transaction_block(statement.chain):
                return "ROLLBACK"
        case enums.TRANS_STMT_ROLLBACK:
            xact.user_abort_transaction_block(statement.chain)
        case enums.TRANS_STMT_SAVEPOINT:
            xact.require_transaction_block(context.is_top_level, "SAVEPOINT")
            xact.define_savepoint(statement.savepoint_name)
        case enums.TRANS_STMT_RELEASE:
            xact.require_transaction_block(context.is_top_level, "RELEASE SAVEPOINT")
            xact.release_savepoint(statement.savepoint_name)
        case enums.TRANS_STMT_ROLLBACK_TO:
            xact.require_transaction_block(context.is_top_level, "ROLLBACK TO SAVEPOINT")
            xact.rollback_to_savepoint(statement.savepoint_name)
        case _:
            raise feature_not_supported("two-phase commit")
    return None


@utility("CheckPointStmt")
def request_checkpoint(_statement: Any, _context: UtilityContext) -> None:
    """CHECKPOINT: an immediate one, waited for."""
    if not acl.has_privs_of_role(session.current_user_id, _PG_CHECKPOINT):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE,
            "permission denied to execute CHECKPOINT command",
            detail='Only roles with privileges of the "pg_checkpoint" role may execute this command.',
        )
    checkpoint.request_checkpoint(
        checkpoint.CHECKPOINT_IMMEDIATE | checkpoint.CHECKPOINT_FORCE | checkpoint.CHECKPOINT_WAIT
    )
