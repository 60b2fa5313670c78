"""Constraints of domains, checked where an expression makes a value of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.inval import on_syscache_change
from tusk.catalog.names import format_type
from tusk.catalog.namespace import get_namespace_name
from tusk.errors import SqlError, errcode
from tusk.sql.execute import support
from tusk.sql.nodes.nodefuncs import contains_volatile
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.types._kernel_datum import type_of

_REMEMBERED = 1000


class DomainConstraints(NamedTuple):
    """What values of a domain must satisfy, those of its base domains included, theirs first."""

    not_null: bool
    checks: tuple[tuple[str, Any], ...]  # (name, tree)
    base_type: int
    immutable: bool


_known: dict[int, DomainConstraints] = {}


def _forget(_message: object) -> None:
    _known.clear()


on_syscache_change(c.TYPEOID, _forget)
on_syscache_change(c.CONSTROID, _forget)


def constraints_of(type_oid: int) -> DomainConstraints:
    """The constraints of a domain."""
    found = _known.get(type_oid)
    if found is None:
        found = _known[type_oid] = _load(type_oid)
    return found


def _load(type_oid: int) -> DomainConstraints:
    not_null = False
    levels: list[list[tuple[str, Any]]] = []
    oid = type_oid
    row = lookup(c.TYPEOID, oid)
    while row is not None and row.typtype == "d":
        not_null |= row.typnotnull
        # typnotnull says it already; constraints are checked in the order of their names.
        checks = [one for one in scan_rows("pg_constraint", contypid=oid) if one.contype == "c" and one.conbin]
        checks = sorted(checks, key=lambda one: one.conname)
        levels.append([(one.conname, read_node_tree(one.conbin)) for one in checks])
        oid = row.typbasetype
        row = lookup(c.TYPEOID, oid)
    flat = tuple(check for level in reversed(levels) for check in level)
    return DomainConstraints(not_null, flat, oid, not any(contains_volatile(tree, "i") for _, tree in flat))


def domain_error(type_oid: int, constraint: str | None) -> SqlError:
    """23502 without a constraint, 23514 with one."""
    name = format_type(type_oid)
    row = lookup(c.TYPEOID, type_oid)
    schema = get_namespace_name(row.typnamespace)
    if constraint is None:
        return SqlError(
            errcode.NOT_NULL_VIOLATION, f"domain {name} does not allow null values", schema=schema,
            datatype=row.typname,
        )  # fmt: skip
    return SqlError(
        errcode.CHECK_VIOLATION, f'value for domain {name} violates check constraint "{constraint}"', schema=schema,
        datatype=row.typname, constraint=constraint,
    )  # fmt: skip


def has_none(type_oid: int) -> bool:
    """Whether a domain of a new cluster has no constraints; others may get some while a plan is kept."""
    if type_oid >= 16384:
        return False
    found = constraints_of(type_oid)
    return not found.not_null and not found.checks


def compiled_check(compiler: Any, type_oid: int) -> Callable[[Any], None]:
    """A function that raises 23502 or 23514 unless a value may be in the domain, for one expression."""
    state: dict[str, Any] = {"constraints": None}
    passed: set[Any] = set()

    def prepare(constraints: DomainConstraints) -> None:
        slot = support.ValueSource(type_of(constraints.base_type))
        compiler.domain_stack.append(slot.placeholder)
        state["checks"] = [(name, compiler.compile(tree)) for name, tree in constraints.checks]
        compiler.domain_stack.pop()
        state["slot"], state["constraints"] = slot, constraints
        passed.clear()

    def check(value: Any) -> None:
        constraints = constraints_of(type_oid)
        if constraints is not state["constraints"]:
            prepare(constraints)
        if value is None and constraints.not_null:
            raise domain_error(type_oid, None)
        remembers = constraints.immutable and isinstance(value, (str, int))
        if remembers and value in passed:
            return
        for name, expr in state["checks"]:
            if state["slot"].one(expr, compiler.state.context, value) is False:
                raise domain_error(type_oid, name)
        if remembers and len(passed) < _REMEMBERED:
            passed.add(value)

    prepare(constraints_of(type_oid))
    return check
