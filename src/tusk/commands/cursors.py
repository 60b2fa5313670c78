"""DECLARE, FETCH, MOVE, CLOSE."""

from __future__ import annotations

from typing import Any

from tusk.commands.destination import Discard, ResultColumn
from tusk.commands.portals import Portal
from tusk.commands.utility import UtilityContext, describes_rows, utility
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
from tusk.sql.rewrite import rewrite
from tusk.transaction import xact


@utility("DeclareCursorStmt")
def declare_cursor(statement: Any, context: UtilityContext) -> None:
    """DECLARE name CURSOR FOR query (PerformCursorOpen)."""
    if not statement.portalname:
        raise SqlError(errcode.INVALID_CURSOR_NAME, "invalid cursor name: must not be empty")
    options = statement.options
    if not options & CURSOR_OPT_HOLD:
        xact.require_transaction_block(context.is_top_level, "DECLARE CURSOR")
    query = statement.query
    if not isinstance(query, Query):
        raw = query if isinstance(query, RawStmt) else RawStmt(stmt=query)
        query = analyze(raw, context.query_text, [])
    queries = rewrite(query)
    if len(queries) != 1 or queries[0].commandType != CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "non-SELECT statement in DECLARE CURSOR")
    planned = plan(queries[0], context.query_text, options, context.parameters)
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
    portal.is_holdable = bool(options & CURSOR_OPT_HOLD)
    context.session.portals.add(portal)
    portal.start()


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
