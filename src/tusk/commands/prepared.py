"""Prepared statements of a session: PREPARE, EXECUTE, DEALLOCATE, and those of the extended protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tusk.catalog.names import format_type
from tusk.commands.destination import ResultColumn
from tusk.commands.portals import Portal
from tusk.commands.utility import UtilityContext, describes_rows, utility
from tusk.errors import SqlError, errcode
from tusk.sql import execute
from tusk.sql.analyze.coerce import coerce_to_target_type
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.typenames import type_name_oid
from tusk.sql.nodes import RawStmt, enums
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.plancache import PlanSource
from tusk.transaction import xact


@dataclass(slots=True)
class PreparedStatement:
    """One named statement: a row of pg_prepared_statements."""

    name: str
    source: PlanSource
    from_sql: bool
    prepare_time: int


class PreparedStatements:
    """All prepared statements by name; the unnamed one is kept apart."""

    def __init__(self) -> None:
        self.by_name: dict[str, PreparedStatement] = {}

    def __iter__(self) -> Iterator[PreparedStatement]:
        return iter(list(self.by_name.values()))

    def get(self, name: str) -> PreparedStatement:
        """26000 if there is none of that name."""
        found = self.by_name.get(name)
        if found is None:
            raise SqlError(
                errcode.INVALID_SQL_STATEMENT_NAME, f'prepared statement "{name}" does not exist'
            )
        return found

    def find(self, name: str) -> PreparedStatement | None:
        """The statement of that name, or None."""
        return self.by_name.get(name)

    def add(self, statement: PreparedStatement) -> None:
        """42P05 if the name is taken."""
        if statement.name in self.by_name:
            raise SqlError(
                errcode.DUPLICATE_PSTATEMENT, f'prepared statement "{statement.name}" already exists'
            )
        self.by_name[statement.name] = statement

    def drop(self, name: str) -> None:
        """Forget a statement if it is there."""
        self.by_name.pop(name, None)

    def drop_all(self) -> None:
        """DEALLOCATE ALL."""
        self.by_name.clear()


@utility("PrepareStmt")
def prepare(statement: Any, context: UtilityContext) -> str:
    """PREPARE name (types) AS query."""
    if not statement.name:
        raise SqlError(errcode.INVALID_PSTATEMENT_DEFINITION, "invalid statement name: must not be empty")
    raw = RawStmt(
        stmt=statement.query, stmt_location=context.statement_location, stmt_len=context.statement_length
    )
    pstate = ParseState(text=context.query_text)
    types = [type_name_oid(pstate, name) for name in statement.argtypes]
    source = PlanSource(raw, context.query_text, types, fixed_parameters=False)
    source.analyze()
    context.session.prepared.add(
        PreparedStatement(statement.name, source, True, xact.statement_start_timestamp())
    )
    return "PREPARE"


def _execution_portal(statement: Any, session: Any, query_text: str) -> Portal:
    """The portal that an EXECUTE runs: its arguments evaluated and coerced to the parameters' types."""
    prepared = session.prepared.get(statement.name)
    source = prepared.source
    source.analyze()
    wanted = source.param_types
    if len(statement.params) != len(wanted):
        raise SqlError(
            errcode.SYNTAX_ERROR,
            f'wrong number of parameters for prepared statement "{statement.name}"',
            detail=f"Expected {len(wanted)} parameters but got {len(statement.params)}.",
        )
    parameters = None
    if wanted:
        values = [
            _argument(argument, type_oid, index + 1, query_text)
            for index, (argument, type_oid) in enumerate(zip(statement.params, wanted, strict=True))
        ]
        parameters = [execute.evaluate_expression(value) for value in values]
    plans = session.plan_source(source, parameters)
    portal = Portal(session.portals.unique_name(), plans, source.text, session, parameters=parameters, source=source)
    portal.visible = False
    return portal


def _argument(argument: Any, type_oid: int, number: int, text: str) -> Any:
    """An argument of EXECUTE, analysed and coerced to the parameter's type. 42804."""
    pstate = ParseState(text=text)
    expr = transform_expr(pstate, argument, ExprKind.EXECUTE_PARAMETER)
    given = expr_type(expr)
    coerced = coerce_to_target_type(
        pstate, expr, given, type_oid, -1, enums.COERCION_ASSIGNMENT, enums.COERCE_IMPLICIT_CAST, -1
    )
    if coerced is None:
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f"parameter ${number} of type {format_type(given)} cannot be coerced to the expected type "
            f"{format_type(type_oid)}",
            hint="You will need to rewrite or cast the expression.",
        )
    assign_expr_collations(pstate, coerced)
    return coerced


@describes_rows("ExecuteStmt")
def execute_columns(statement: Any, session: Any) -> list[ResultColumn] | None:
    """EXECUTE returns what its statement returns."""
    source = session.prepared.get(statement.name).source
    plans = session.plan_source(source)
    if not plans:
        return None
    described = Portal("", plans, source.text, session)
    return described.columns()


@utility("ExecuteStmt")
def execute_prepared(statement: Any, context: UtilityContext) -> str:
    """EXECUTE name (arguments)."""
    portal = _execution_portal(statement, context.session, context.query_text)
    context.session.portals.add(portal)
    try:
        return portal.run(0, context.destination, is_top_level=False) or ""
    finally:
        context.session.portals.drop(portal.name)


@utility("DeallocateStmt")
def deallocate(statement: Any, context: UtilityContext) -> str:
    """DEALLOCATE name, DEALLOCATE ALL."""
    prepared = context.session.prepared
    if not statement.name:
        prepared.drop_all()
        return "DEALLOCATE ALL"
    prepared.get(statement.name)
    prepared.drop(statement.name)
    return "DEALLOCATE"
