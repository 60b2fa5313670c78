"""Constraints of domains, tested on values that become of the domain's type (utils/adt/domains.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import TYPEOID, lookup, scan_rows
from tusk.catalog.names import format_type
from tusk.catalog.namespace import get_namespace_name
from tusk.errors import SqlError, errcode
from tusk.sql.execute.constant import evaluate_expression
from tusk.sql.nodes import CoerceToDomainValue, Node, read_node_tree
from tusk.sql.nodes.base import mutate
from tusk.sql.nodes.make import make_const
from tusk.types.registry import provide

# Domain -> (its pg_type row, NOT NULL, [(name, tree)]): right as long as the cache still has that row, which every
# change of a domain's constraints replaces.
_known: dict[int, tuple[Any, bool, list[tuple[str, Any]]]] = {}


def _constraints(domain: int) -> tuple[Any, bool, list[tuple[str, Any]]]:
    row = lookup(TYPEOID, domain)
    found = _known.get(domain)
    if found is not None and found[0] is row:
        return found
    checks = sorted(
        (c for c in scan_rows("pg_constraint", contypid=domain) if c.contype == "c"), key=lambda c: c.conname.encode()
    )
    found = _known[domain] = (row, row.typnotnull, [(c.conname, read_node_tree(c.conbin)) for c in checks])
    return found


@provide("domain_check")
def check_domain(type_oid: int, value: Any) -> None:
    """23502 or 23514 unless the value is one of the domain's; base domains are tested first (domain_check)."""
    row, not_null, checks = _constraints(type_oid)
    base = lookup(TYPEOID, row.typbasetype)
    if base.typtype == "d":
        check_domain(base.oid, value)
    if not_null and value is None:
        raise _error(
            errcode.NOT_NULL_VIOLATION, f"domain {format_type(type_oid)} does not allow null values", row, None
        )
    for name, tree in checks:

        def fill(node: Node) -> Any:
            if isinstance(node, CoerceToDomainValue):
                return make_const(node.typeId, node.typeMod, node.collation, value, value is None)
            return None

        if evaluate_expression(mutate(tree, fill)) is False:
            raise _error(
                errcode.CHECK_VIOLATION,
                f'value for domain {format_type(type_oid)} violates check constraint "{name}"', row, name,
            )


def _error(code: str, message: str, row: Any, constraint: str | None) -> SqlError:
    return SqlError(
        code, message, schema=get_namespace_name(row.typnamespace), datatype=row.typname, constraint=constraint
    )
