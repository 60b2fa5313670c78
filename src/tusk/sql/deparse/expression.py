"""Single expressions, as stored with tables, indexes, constraints and functions."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, lookup
from tusk.sql.deparse.namespaces import Namespace, relation_namespace
from tusk.sql.deparse.writer import Deparser
from tusk.sql.nodes.nodetext import read_node_tree


def namespaces_for(relid: int) -> list[Namespace]:
    """The namespaces of expressions over one relation; none for relation 0."""
    if not relid:
        return []
    return [relation_namespace(lookup(RELOID, relid).relname, relid)]


def deparse_expression(
    expr: Any, namespaces: list[Namespace], *, prefix: bool = False, show_implicit: bool = False, flags: int = 0
) -> str:
    """An expression as SQL text (deparse_expression_pretty)."""
    d = Deparser(namespaces, flags, var_prefix=prefix)
    d.expression(expr, show_implicit)
    return d.text


def stored_expression(text: str, relid: int, flags: int = 0) -> str:
    """The SQL of a stored node tree whose variables are columns of a relation."""
    return deparse_expression(read_node_tree(text), namespaces_for(relid), flags=flags)
