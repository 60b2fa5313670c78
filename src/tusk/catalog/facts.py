"""The rows that every new cluster starts with, decoded from the data files a catalog at a time on first use.

The postmaster loads what backends will need before it forks (`preload`); backends inherit the rows copy-on-write.
The rows are never changed.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from tusk.catalog import rows as _rows
from tusk.catalog.rowbase import AclItem, Row
from tusk.catalog.schema import schema_of

_TUPLES = ("int2vector", "oidvector", "_oid", "_int2", "_text", "_char", "_float4")
_TREES = {"pg_rewrite": "ev_action", "pg_proc": "prosqlbody", "pg_constraint": "conbin"}
_PRELOADED = ("pg_type", "pg_proc", "pg_operator", "pg_opclass", "pg_opfamily", "pg_amop", "pg_amproc", "pg_cast",
              "pg_am", "pg_aggregate", "pg_collation", "pg_namespace", "pg_language", "pg_range")


@cache
def node_trees() -> dict[str, dict[str, str]]:
    """Node trees made from Tusk's own SQL by ``make generate``: catalog -> "oid" -> pg_node_tree text."""
    source = files("tusk.catalog") / "data" / "node_trees.json"
    trees: dict[str, dict[str, str]] = json.loads(source.read_text("utf-8")) if source.is_file() else {}
    return trees


def _fill_trees(catalog: str, values: list[list[Any]]) -> list[list[Any]]:
    """Put the generated node trees in; rules and check constraints that have none yet are dropped."""
    names = [column.name for column in schema_of(catalog).columns]
    i_tree = names.index(_TREES[catalog])
    trees = node_trees().get(catalog, {})
    for row in values:
        row[i_tree] = trees.get(str(row[0]))
    if catalog == "pg_rewrite":
        return [row for row in values if row[i_tree] is not None]
    if catalog == "pg_constraint":
        i_type = names.index("contype")
        return [row for row in values if row[i_type] != "c" or row[i_tree] is not None]
    return values


def read_values(catalog: str) -> list[list[Any]]:
    """The rows of a catalog as lists of Python values in attribute order."""
    source = files("tusk.catalog") / "data" / f"{catalog}.json"
    if not source.is_file():
        return []
    values: list[list[Any]] = json.loads(source.read_text("utf-8"))
    for i, column in enumerate(schema_of(catalog).columns):
        if column.type_name in _TUPLES:
            for row in values:
                if row[i] is not None:
                    row[i] = tuple(row[i])
        elif column.type_name == "_aclitem":
            for row in values:
                if row[i] is not None:
                    row[i] = tuple(AclItem(*item) for item in row[i])
        elif column.type_name == "float4":
            for row in values:
                row[i] = float(row[i])
    return _fill_trees(catalog, values) if catalog in _TREES else values


@cache
def builtin_rows(catalog: str) -> list[Any]:
    """The rows of a catalog as a new cluster has them. Shared and immutable by agreement."""
    kind: type[Row] = _rows.ROW_CLASSES[catalog]
    names = kind.__slots__
    result = []
    for values in read_values(catalog):
        row = kind.__new__(kind)
        row.t_self = None
        for name, value in zip(names, values, strict=True):
            setattr(row, name, value)
        result.append(row)
    return result


def plain_tables() -> list[Any]:
    """The tables of information_schema: (oid, toast oid, toast index oid, column kinds, rows)."""
    tables: list[Any] = json.loads((files("tusk.catalog") / "data" / "tables.json").read_text("utf-8"))
    return tables


def preload() -> None:
    """Decode the catalogs that nearly every query asks; called by the postmaster before it forks."""
    for catalog in _PRELOADED:
        builtin_rows(catalog)
