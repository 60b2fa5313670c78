"""pg_cursors and pg_prepared_statements: what the session keeps by name.

The session provides itself as the service "session" when it begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tusk.sql.nodes import enums
from tusk.types.registry import function, services
from tusk.types.values import Array

_REGTYPE = 2206


@function("pg_cursor", set_returning=True)
def pg_cursor() -> Iterator[tuple[Any, ...]]:
    """The open cursors, those of the extended protocol too."""
    for portal in services.call("session").portals:
        if portal.visible:
            options = portal.cursor_options
            yield (
                portal.name, portal.text, portal.is_holdable, bool(options & enums.CURSOR_OPT_BINARY),
                bool(options & enums.CURSOR_OPT_SCROLL), portal.creation_time,
            )  # fmt: skip


@function("pg_prepared_statement", set_returning=True)
def pg_prepared_statement() -> Iterator[tuple[Any, ...]]:
    """The prepared statements, those of the protocol too."""
    for statement in services.call("session").prepared:
        source = statement.source
        columns = source.result_columns()
        yield (
            statement.name, source.text, statement.prepare_time, Array.of(_REGTYPE, source.param_types),
            None if columns is None else Array.of(_REGTYPE, [column.type_oid for column in columns]),
            statement.from_sql, source.generic_plans, source.custom_plans,
        )  # fmt: skip
