"""The state of one query level under analysis, and errors that know their place in the query text."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from tusk.errors import SqlError
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import Alias


class ExprKind(IntEnum):
    """Where an expression stands: decides what may occur in it (ParseExprKind)."""

    NONE = 0
    OTHER = 1
    JOIN_ON = 2
    JOIN_USING = 3
    FROM_SUBSELECT = 4
    FROM_FUNCTION = 5
    WHERE = 6
    HAVING = 7
    FILTER = 8
    WINDOW_PARTITION = 9
    WINDOW_ORDER = 10
    WINDOW_FRAME_RANGE = 11
    WINDOW_FRAME_ROWS = 12
    WINDOW_FRAME_GROUPS = 13
    SELECT_TARGET = 14
    INSERT_TARGET = 15
    UPDATE_SOURCE = 16
    UPDATE_TARGET = 17
    MERGE_WHEN = 18
    GROUP_BY = 19
    ORDER_BY = 20
    DISTINCT_ON = 21
    LIMIT = 22
    OFFSET = 23
    RETURNING = 24
    MERGE_RETURNING = 25
    VALUES = 26
    VALUES_SINGLE = 27
    CHECK_CONSTRAINT = 28
    DOMAIN_CHECK = 29
    COLUMN_DEFAULT = 30
    FUNCTION_DEFAULT = 31
    INDEX_EXPRESSION = 32
    INDEX_PREDICATE = 33
    STATS_EXPRESSION = 34
    ALTER_COL_TRANSFORM = 35
    EXECUTE_PARAMETER = 36
    TRIGGER_WHEN = 37
    POLICY = 38
    PARTITION_BOUND = 39
    PARTITION_EXPRESSION = 40
    CALL_ARGUMENT = 41
    COPY_WHERE = 42
    GENERATED_COLUMN = 43
    CYCLE_MARK = 44


_KIND_NAMES = {
    ExprKind.NONE: "invalid expression context",
    ExprKind.OTHER: "extension expression",
    ExprKind.JOIN_ON: "JOIN/ON",
    ExprKind.JOIN_USING: "JOIN/USING",
    ExprKind.FROM_SUBSELECT: "sub-SELECT in FROM",
    ExprKind.FROM_FUNCTION: "function in FROM",
    ExprKind.WHERE: "WHERE",
    ExprKind.HAVING: "HAVING",
    ExprKind.FILTER: "FILTER",
    ExprKind.WINDOW_PARTITION: "window PARTITION BY",
    ExprKind.WINDOW_ORDER: "window ORDER BY",
    ExprKind.WINDOW_FRAME_RANGE: "window RANGE",
    ExprKind.WINDOW_FRAME_ROWS: "window ROWS",
    ExprKind.WINDOW_FRAME_GROUPS: "window GROUPS",
    ExprKind.SELECT_TARGET: "SELECT",
    ExprKind.INSERT_TARGET: "INSERT",
    ExprKind.UPDATE_SOURCE: "UPDATE",
    ExprKind.UPDATE_TARGET: "UPDATE",
    ExprKind.MERGE_WHEN: "MERGE WHEN",
    ExprKind.GROUP_BY: "GROUP BY",
    ExprKind.ORDER_BY: "ORDER BY",
    ExprKind.DISTINCT_ON: "DISTINCT ON",
    ExprKind.LIMIT: "LIMIT",
    ExprKind.OFFSET: "OFFSET",
    ExprKind.RETURNING: "RETURNING",
    ExprKind.MERGE_RETURNING: "RETURNING",
    ExprKind.VALUES: "VALUES",
    ExprKind.VALUES_SINGLE: "VALUES",
    ExprKind.CHECK_CONSTRAINT: "CHECK",
    ExprKind.DOMAIN_CHECK: "CHECK",
    ExprKind.COLUMN_DEFAULT: "DEFAULT",
    ExprKind.FUNCTION_DEFAULT: "DEFAULT",
    ExprKind.INDEX_EXPRESSION: "index expression",
    ExprKind.INDEX_PREDICATE: "index predicate",
    ExprKind.STATS_EXPRESSION: "statistics expression",
    ExprKind.ALTER_COL_TRANSFORM: "USING",
    ExprKind.EXECUTE_PARAMETER: "EXECUTE",
    ExprKind.TRIGGER_WHEN: "WHEN",
    ExprKind.POLICY: "POLICY",
    ExprKind.PARTITION_BOUND: "partition bound",
    ExprKind.PARTITION_EXPRESSION: "PARTITION BY",
    ExprKind.CALL_ARGUMENT: "CALL",
    ExprKind.COPY_WHERE: "WHERE",
    ExprKind.GENERATED_COLUMN: "GENERATED AS",
    ExprKind.CYCLE_MARK: "CYCLE",
}


def kind_name(kind: ExprKind) -> str:
    """The clause as messages call it (ParseExprKindName)."""
    return _KIND_NAMES[kind]


class NSColumn:
    """How a column of a namespace item is referenced (ParseNamespaceColumn); varno 0 is a dropped column."""

    __slots__ = (
        "dontexpand",
        "varattno",
        "varattnosyn",
        "varcollid",
        "varno",
        "varnosyn",
        "varreturningtype",
        "vartype",
        "vartypmod",
    )

    def __init__(
        self,
        varno: int = 0,
        varattno: int = 0,
        vartype: int = 0,
        vartypmod: int = -1,
        varcollid: int = 0,
        varnosyn: int = 0,
        varattnosyn: int = 0,
        dontexpand: bool = False,
        varreturningtype: int = enums.VAR_RETURNING_DEFAULT,
    ) -> None:
        self.varno = varno
        self.varattno = varattno
        self.vartype = vartype
        self.vartypmod = vartypmod
        self.varcollid = varcollid
        self.varnosyn = varnosyn
        self.varattnosyn = varattnosyn
        self.dontexpand = dontexpand
        self.varreturningtype = varreturningtype

    def copy(self) -> NSColumn:
        """A private copy."""
        return NSColumn(
            self.varno,
            self.varattno,
            self.vartype,
            self.vartypmod,
            self.varcollid,
            self.varnosyn,
            self.varattnosyn,
            self.dontexpand,
            self.varreturningtype,
        )


class NSItem:
    """A range table entry as names see it (ParseNamespaceItem)."""

    __slots__ = (
        "cols_visible",
        "columns",
        "lateral_ok",
        "lateral_only",
        "names",
        "perminfo",
        "rel_visible",
        "returning_type",
        "rte",
        "rtindex",
    )

    def __init__(
        self,
        names: Alias,
        rte: Any,
        rtindex: int,
        columns: list[NSColumn],
        perminfo: Any = None,
    ) -> None:
        self.names = names
        self.rte = rte
        self.rtindex = rtindex
        self.perminfo = perminfo
        self.columns = columns
        self.rel_visible = True
        self.cols_visible = True
        self.lateral_only = False
        self.lateral_ok = True
        self.returning_type: int = enums.VAR_RETURNING_DEFAULT


class ParseState:
    """Everything known while one query level is analysed (ParseState)."""

    __slots__ = (
        "coerce_param_hook",
        "ctenamespace",
        "expr_kind",
        "future_ctes",
        "grouping_nsitem",
        "has_aggs",
        "has_modifying_cte",
        "has_sublinks",
        "has_target_srfs",
        "has_windowfuncs",
        "is_insert",
        "joinexprs",
        "joinlist",
        "last_srf",
        "lateral_active",
        "locked_from_parent",
        "locking_clause",
        "multiassign_exprs",
        "namespace",
        "next_resno",
        "nullingrels",
        "paramref_hook",
        "parent",
        "parent_cte",
        "post_columnref_hook",
        "pre_columnref_hook",
        "resolve_unknowns",
        "rtable",
        "rteperminfos",
        "sublink_queries",
        "target_nsitem",
        "target_relation",
        "text",
        "windowdefs",
    )

    def __init__(self, parent: ParseState | None = None, text: str | None = None) -> None:
        self.parent = parent
        self.text: str | None = text if parent is None or text is not None else parent.text
        self.rtable: list[Any] = []
        self.rteperminfos: list[Any] = []
        self.joinexprs: list[Any] = []
        self.nullingrels: list[frozenset[int]] = []
        self.joinlist: list[Any] = []
        self.namespace: list[NSItem] = []
        self.lateral_active = False
        self.ctenamespace: list[Any] = []
        self.future_ctes: list[Any] = []
        self.parent_cte: Any = None
        self.target_relation: Any = None
        self.target_nsitem: NSItem | None = None
        self.grouping_nsitem: NSItem | None = None
        self.is_insert = False
        self.windowdefs: list[Any] = []
        self.expr_kind = ExprKind.NONE
        self.next_resno = 1
        self.multiassign_exprs: list[Any] = []
        self.locking_clause: list[Any] = []
        self.locked_from_parent = False
        self.resolve_unknowns = True
        self.has_aggs = self.has_windowfuncs = self.has_target_srfs = False
        self.has_sublinks = self.has_modifying_cte = False
        self.last_srf: Any = None
        # Raw SubLinks (by id) and the queries they became, from which their output columns get names.
        self.sublink_queries: dict[int, Any] = {} if parent is None else parent.sublink_queries
        self.pre_columnref_hook: Callable[[ParseState, Any], Any] | None = parent.pre_columnref_hook if parent else None
        self.post_columnref_hook: Callable[[ParseState, Any, Any], Any] | None = (
            parent.post_columnref_hook if parent else None
        )
        self.paramref_hook: Callable[[ParseState, Any], Any] | None = parent.paramref_hook if parent else None
        self.coerce_param_hook: Callable[[ParseState, Any, int, int, int], Any] | None = (
            parent.coerce_param_hook if parent else None
        )

    def position(self, location: int) -> int:
        """The character position, from 1, of a byte location; 0 when unknown (parser_errposition)."""
        if location is None or location < 0 or self.text is None:
            return 0
        if self.text.isascii():
            return location + 1
        return len(self.text.encode("utf-8", "surrogateescape")[:location].decode("utf-8", "replace")) + 1

    def error(
        self,
        sqlstate: str,
        message: str,
        location: int = -1,
        detail: str | None = None,
        hint: str | None = None,
    ) -> SqlError:
        """An error at a place of the query."""
        return SqlError(sqlstate, message, detail=detail, hint=hint, position=self.position(location))


def error_at(
    pstate: ParseState | None,
    sqlstate: str,
    message: str,
    location: int = -1,
    detail: str | None = None,
    hint: str | None = None,
) -> SqlError:
    """As `ParseState.error`, for code that may run without a query."""
    if pstate is None:
        return SqlError(sqlstate, message, detail=detail, hint=hint)
    return pstate.error(sqlstate, message, location, detail, hint)


class position_of_errors:
    """Context manager: errors from below that have no position get this one (setup_parser_errposition_callback)."""

    __slots__ = ("location", "pstate")

    def __init__(self, pstate: ParseState | None, location: int) -> None:
        self.pstate = pstate
        self.location = location

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, SqlError) and not error.position and self.pstate is not None:
            error.position = self.pstate.position(self.location)
