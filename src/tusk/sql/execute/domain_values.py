"""The service "domain_check": constraints of domains for input functions, whose values belong to no expression."""

from __future__ import annotations

from typing import Any

from tusk.sql.execute.constant import evaluate_expression
from tusk.sql.execute.domains import constraints_of, domain_error
from tusk.sql.nodes.base import mutate
from tusk.sql.nodes.make import make_const
from tusk.sql.nodes.primitives import CoerceToDomainValue
from tusk.types.registry import services


def check_value(type_oid: int, value: Any) -> None:
    """Raise 23502 or 23514 unless a value may be in the domain."""
    constraints = constraints_of(type_oid)
    if value is None and constraints.not_null:
        raise domain_error(type_oid, None)
    for name, tree in constraints.checks:

        def put(node: Any) -> Any:
            if isinstance(node, CoerceToDomainValue):
                return make_const(node.typeId, node.typeMod, node.collation, value, value is None)
            return None

        if evaluate_expression(mutate(tree, put)) is False:
            raise domain_error(type_oid, name)


services.provide("domain_check", check_value)
