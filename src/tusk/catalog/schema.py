"""The shape of the system catalogs: columns, indexes, TOAST tables. Loaded once, on first use."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class CatalogColumn(NamedTuple):
    """A column as pg_attribute describes it; ``attnum`` is its place, from 1."""

    name: str
    type_oid: int
    length: int
    align: str
    by_value: bool
    not_null: bool
    storage: str
    type_name: str


class CatalogIndex(NamedTuple):
    """An index of a catalog; all are b-trees without expressions or predicates."""

    oid: int
    name: str
    unique: bool
    primary: bool
    attnums: tuple[int, ...]
    opclasses: tuple[int, ...]
    collations: tuple[int, ...]


class CatalogSchema(NamedTuple):
    """One catalog."""

    name: str
    oid: int
    rowtype_oid: int
    shared: bool
    toast_oid: int
    toast_index_oid: int
    columns: tuple[CatalogColumn, ...]
    indexes: tuple[CatalogIndex, ...]

    def attnum(self, name: str) -> int:
        """The attribute number of a column, from 1."""
        for i, column in enumerate(self.columns):
            if column.name == name:
                return i + 1
        raise KeyError(name)


@cache
def schemas() -> dict[str, CatalogSchema]:
    """Every catalog's schema by name."""
    data = json.loads((files("tusk.catalog") / "data" / "schema.json").read_text("utf-8"))
    return {
        name: CatalogSchema(
            name, item["oid"], item["rowtype"], item["shared"], item["toast"], item["toast_index"],
            tuple(CatalogColumn(*column) for column in item["columns"]),
            tuple(
                CatalogIndex(oid, iname, unique, primary, tuple(keys), tuple(classes), tuple(collations))
                for oid, iname, unique, primary, keys, classes, collations in item["indexes"]
            ),
        )
        for name, item in data.items()
    }


@cache
def schemas_by_oid() -> dict[int, CatalogSchema]:
    """Every catalog's schema by its OID."""
    return {schema.oid: schema for schema in schemas().values()}


def schema_of(name: str) -> CatalogSchema:
    """The schema of one catalog."""
    return schemas()[name]
