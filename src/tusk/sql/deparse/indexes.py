"""Definitions of indexes, partition keys and statistics objects."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import (
    AMOID,
    ATTNUM,
    INDEXRELID,
    PARTRELID,
    RELOID,
    STATEXTOID,
    TABLESPACEOID,
    lookup,
)
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.expression import deparse_expression, namespaces_for, stored_expression
from tusk.sql.deparse.namespaces import attribute_name
from tusk.sql.deparse.writer import PRETTY_SCHEMA
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type
from tusk.sql.nodes.nodetext import read_node_tree

INDOPTION_DESC, INDOPTION_NULLS_FIRST = 1, 2
# Index methods whose columns have a sort order: btree.
_ORDERED_METHODS = frozenset((403,))


class IndexExpressions:
    """The key expressions of an index, handed out in order."""

    def __init__(self, text: str | None, relid: int, flags: int) -> None:
        self.nodes: list[Any] = [] if text is None else list(read_node_tree(text))
        self.relid = relid
        self.flags = flags

    def next(self) -> tuple[str, int, int]:
        """(text, type, collation) of the next one; parenthesised where it must be."""
        node = self.nodes.pop(0)
        text = deparse_expression(node, namespaces_for(self.relid), flags=self.flags)
        if not nm.looks_like_function(node):
            text = f"({text})"
        return text, expr_type(node), expr_collation(node)


def _key(expressions: IndexExpressions, relid: int, attnum: int) -> tuple[str, int, int]:
    if attnum == 0:
        return expressions.next()
    row = lookup(ATTNUM, relid, attnum)
    return quote_identifier(attribute_name(relid, attnum)), row.atttypid, row.attcollation


def _decoration(row: Any, position: int, type_oid: int, collation: int, method: int) -> str:
    """Collation, operator class and order of a key column, where they are not the defaults."""
    text = ""
    wanted = row.indcollation[position]
    if wanted and wanted != collation:
        text += f" COLLATE {nm.collation_text(wanted)}"
    options = lookup(ATTNUM, row.indexrelid, position + 1).attoptions
    text += nm.opclass_suffix(row.indclass[position], 0 if options else type_oid)
    if options:
        text += f" ({nm.options_text(options)})"
    if method in _ORDERED_METHODS:
        order = row.indoption[position]
        if order & INDOPTION_DESC:
            text += " DESC" if order & INDOPTION_NULLS_FIRST else " DESC NULLS LAST"
        elif order & INDOPTION_NULLS_FIRST:
            text += " NULLS FIRST"
    return text


def index_definition(
    index: int,
    flags: int,
    *,
    column: int = 0,
    attributes_only: bool = False,
    exclusion_operators: tuple[int, ...] | None = None,
    with_tablespace: bool = False,
) -> str | None:
    """CREATE INDEX, or EXCLUDE USING of a constraint, or one column's definition (pg_get_indexdef_worker)."""
    row, rel = lookup(INDEXRELID, index), lookup(RELOID, index)
    if row is None or rel is None:
        return None
    method = lookup(AMOID, rel.relam)
    relid = row.indrelid
    keys = IndexExpressions(row.indexprs, relid, flags)
    parts: list[str] = []
    included: list[str] = []
    for position, attnum in enumerate(row.indkey):
        text, type_oid, collation = _key(keys, relid, attnum)
        if column:
            if position + 1 == column:
                return text
            continue
        if not attributes_only and position < row.indnkeyatts:
            text += _decoration(row, position, type_oid, collation, rel.relam)
            if exclusion_operators is not None:
                text += f" WITH {nm.operator_text(exclusion_operators[position], type_oid, type_oid)}"
        (parts if position < row.indnkeyatts else included).append(text)
    if column:
        return ""
    keys_text = ", ".join(parts) + (f") INCLUDE ({', '.join(included)}" if included else "")
    if attributes_only:
        return keys_text
    if exclusion_operators is None:
        shown = nm.relation_text(relid) if flags & PRETTY_SCHEMA else nm.qualified_relation_text(relid)
        only = "ONLY " if rel.relkind == "I" else ""
        text = (
            f"CREATE {'UNIQUE ' if row.indisunique else ''}INDEX {quote_identifier(rel.relname)} ON {only}{shown} "
            f"USING {quote_identifier(method.amname)} ({keys_text})"
        )
    else:
        text = f"EXCLUDE USING {quote_identifier(method.amname)} ({keys_text})"
    text += " NULLS NOT DISTINCT" if row.indnullsnotdistinct else ""
    if rel.reloptions:
        text += f" WITH ({nm.options_text(rel.reloptions)})"
    if with_tablespace and rel.reltablespace:
        text += f" TABLESPACE {quote_identifier(lookup(TABLESPACEOID, rel.reltablespace).spcname)}"
    if row.indpred is not None:
        predicate = stored_expression(row.indpred, relid, flags)
        text += f" WHERE {predicate}" if exclusion_operators is None else f" WHERE ({predicate})"
    return text


_STRATEGIES = {"h": "HASH", "l": "LIST", "r": "RANGE"}


def partition_key_definition(relid: int, flags: int, attributes_only: bool = False) -> str | None:
    """How a table is partitioned, None if it is not (pg_get_partkeydef_worker)."""
    row = lookup(PARTRELID, relid)
    if row is None:
        return None
    keys = IndexExpressions(row.partexprs, relid, flags)
    parts = []
    for position, attnum in enumerate(row.partattrs):
        text, type_oid, collation = _key(keys, relid, attnum)
        if not attributes_only:
            wanted = row.partcollation[position]
            if wanted and wanted != collation:
                text += f" COLLATE {nm.collation_text(wanted)}"
            text += nm.opclass_suffix(row.partclass[position], type_oid)
        parts.append(text)
    listed = ", ".join(parts)
    return listed if attributes_only else f"{_STRATEGIES[row.partstrat]} ({listed})"


_KINDS = (("d", "ndistinct"), ("f", "dependencies"), ("m", "mcv"))


def statistics_expressions(oid: int, flags: int) -> list[str] | None:
    """The expressions of a statistics object as text, None without any."""
    row = lookup(STATEXTOID, oid)
    if row is None or row.stxexprs is None:
        return None
    nodes = read_node_tree(row.stxexprs)
    return [deparse_expression(node, namespaces_for(row.stxrelid), flags=flags) for node in nodes]


def statistics_definition(oid: int, flags: int, columns_only: bool = False) -> str | None:
    """CREATE STATISTICS, or only its columns (pg_get_statisticsobj_worker)."""
    row = lookup(STATEXTOID, oid)
    if row is None:
        return None
    nodes = [] if row.stxexprs is None else read_node_tree(row.stxexprs)
    columns = [quote_identifier(attribute_name(row.stxrelid, attnum)) for attnum in row.stxkeys]
    for node in nodes:
        text = deparse_expression(node, namespaces_for(row.stxrelid), flags=flags)
        columns.append(text if nm.looks_like_function(node) else f"({text})")
    listed = ", ".join(columns)
    if columns_only:
        return listed
    text = f"CREATE STATISTICS {quote_qualified_identifier(get_namespace_name(row.stxnamespace), row.stxname)}"
    wanted = [name for letter, name in _KINDS if letter in row.stxkind]
    # All kinds is the default, and says so to later versions that may have more of them.
    if len(wanted) < len(_KINDS) and len(columns) > 1:
        text += f" ({', '.join(wanted)})"
    return f"{text} ON {listed} FROM {nm.relation_text(row.stxrelid)}"


