"""DECLARE, FETCH, MOVE, CLOSE."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, lookup
from tusk.commands.destination import Discard, ResultColumn
from tusk.commands.portals import Portal, Strategy
from tusk.commands.utility import UtilityContext, describes_rows, utility
from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import analyze
from tusk.sql.nodes import (
    CMD_SELECT,
    CURSOR_OPT_HOLD,
    CURSOR_OPT_NO_SCROLL,
    CURSOR_OPT_SCROLL,
    Query,
    RawStmt,
)
from tusk.sql.plan import plan
from tusk.sql.plan.cursor_rows import add_row_id, locked_row_ids, uses_index_only_scan
from tusk.sql.rewrite import rewrite
from tusk.transaction import xact
from tusk.types.registry import provide, services


@utility("DeclareCursorStmt")
def declare_cursor(statement: Any, context: UtilityContext) -> None:
    """DECLARE name CURSOR FOR query (PerformCursorOpen)."""
    if not statement.portalname:
        raise SqlError(errcode.INVALID_CURSOR_NAME, "invalid cursor name: must not be empty")
    options = statement.options
    if not options & CURSOR_OPT_HOLD:
        xact.require_transaction_block(context.is_top_level, "DECLARE CURSOR")
    planned, row_ids = _plan(statement.query, context, options)
    planned.canSetTag = True
    if not options & (CURSOR_OPT_SCROLL | CURSOR_OPT_NO_SCROLL):
        scrollable = not planned.rowMarks
        options |= CURSOR_OPT_SCROLL if scrollable else CURSOR_OPT_NO_SCROLL
    elif options & CURSOR_OPT_SCROLL and planned.rowMarks:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "DECLARE SCROLL CURSOR ... FOR UPDATE is not supported",
            detail="Scrollable cursors must be READ ONLY.",
        )
    portal = Portal(
        statement.portalname, [planned], context.statement_text(), context.session,
        parameters=context.parameters, cursor_options=options,
    )  # fmt: skip
    portal.row_ids = row_ids
    portal.is_holdable = bool(options & CURSOR_OPT_HOLD)
    context.session.portals.add(portal)
    portal.start()


def _plan(query: Any, context: UtilityContext, options: int) -> tuple[Any, list[tuple[int, int]]]:
    """The plan, and where its rows have the TIDs that WHERE CURRENT OF needs."""
    planned = _plan_once(query, context, options)
    if planned.rowMarks:
        return planned, locked_row_ids(planned)
    if uses_index_only_scan(planned):
        wanted = settings.enable_indexonlyscan
        settings.enable_indexonlyscan = False
        try:
            planned = _plan_once(query, context, options)
        finally:
            settings.enable_indexonlyscan = wanted
    return planned, add_row_id(planned)


def _plan_once(query: Any, context: UtilityContext, options: int) -> Any:
    if not isinstance(query, Query):
        raw = query if isinstance(query, RawStmt) else RawStmt(stmt=query)
        query = analyze(raw, context.query_text, [])
    queries = rewrite(query)
    if len(queries) != 1 or queries[0].commandType != CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "non-SELECT statement in DECLARE CURSOR")
    return plan(queries[0], context.query_text, options, context.parameters)


@provide("cursor_row")
def cursor_row(name: str, relation: int) -> Any:
    """The TID of the relation's row that a cursor stands on, None if that is an outer join's nothing."""
    portal = services.call("session").portals.find(name)
    if portal is None:
        raise SqlError(errcode.UNDEFINED_CURSOR, f'cursor "{name}" does not exist')
    if portal.strategy is not Strategy.ONE_SELECT:
        raise _bad_state(f'cursor "{name}" is not a SELECT query')
    current = portal.current_rows()
    if current is None:
        raise _bad_state(f'cursor "{name}" is held from a previous transaction')
    found = [tid for owner, tid in current if owner == relation]
    table = lookup(RELOID, relation).relname
    is_locking = bool(portal.plans[0].rowMarks)
    if len(found) > 1:
        raise _bad_state(f'cursor "{name}" has multiple FOR UPDATE/SHARE references to table "{table}"')
    if not found and is_locking:
        raise _bad_state(f'cursor "{name}" does not have a FOR UPDATE/SHARE reference to table "{table}"')
    if not found:
        raise _bad_state(f'cursor "{name}" is not a simply updatable scan of table "{table}"')
    if portal.at_start or portal.at_end:
        raise _bad_state(f'cursor "{name}" is not positioned on a row')
    return found[0]


def _bad_state(text: str) -> SqlError:
    return SqlError(errcode.INVALID_CURSOR_STATE, text)


def _cursor(session: Any, name: str) -> Portal:
    portal: Portal = session.portals.get(name)
    return portal


@describes_rows("FetchStmt")
def fetch_columns(statement: Any, session: Any) -> list[ResultColumn] | None:
    """FETCH returns the cursor's rows; MOVE none."""
    if statement.ismove:
        return None
    portal = session.portals.find(statement.portalname)
    return portal.columns() if portal is not None else None


@utility("FetchStmt")
def fetch(statement: Any, context: UtilityContext) -> str:
    """FETCH and MOVE (PerformPortalFetch)."""
    portal = _cursor(context.session, statement.portalname)
    receiver = Discard() if statement.ismove else context.destination
    nrows = portal.fetch(statement.direction, statement.howMany, receiver)
    return f"{'MOVE' if statement.ismove else 'FETCH'} {nrows}"


@utility("ClosePortalStmt")
def close(statement: Any, context: UtilityContext) -> str:
    """CLOSE name, CLOSE ALL."""
    portals = context.session.portals
    if not statement.portalname:
        portals.drop_all()
        return "CLOSE CURSOR ALL"
    _cursor(context.session, statement.portalname)
    portals.drop(statement.portalname)
    return "CLOSE CURSOR"
