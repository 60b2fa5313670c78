"""Relations as the analyzer sees them, found by name and locked through the catalogs.

Without an open database (tools, tests) the built-in facts answer and nothing is locked.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import ATTNUM, DATABASEOID, RELOID, lookup, lookup_list
from tusk.catalog.namespace import lookup_explicit_namespace, range_var_get_relid
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.sql.nodes.primitives import RangeVar

NoLock, AccessShareLock, RowShareLock, RowExclusiveLock = 0, 1, 2, 3


class RelationInfo:
    """One relation as the analyzer sees it: its pg_class row and its pg_attribute rows by number."""

    __slots__ = ("_attribute_rows", "attributes", "by_name", "row")

    def __init__(self, row: Any, attribute_rows: list[Any]) -> None:
        self.row = row
        self._attribute_rows = attribute_rows
        self.attributes: list[Any] = sorted((a for a in attribute_rows if a.attnum > 0), key=lambda a: a.attnum)
        self.by_name: dict[str, Any] = {a.attname: a for a in self.attributes if not a.attisdropped}

    @property
    def oid(self) -> int:
        """pg_class.oid."""
        return int(self.row.oid)

    @property
    def name(self) -> str:
        """pg_class.relname."""
        return str(self.row.relname)

    @property
    def kind(self) -> str:
        """pg_class.relkind."""
        return str(self.row.relkind)

    def attribute(self, number: int) -> Any:
        """A user column by number."""
        return self.attributes[number - 1]

    def is_current(self) -> bool:
        """Whether the caches still hold the rows this was made of."""
        return lookup(RELOID, self.row.oid) is self.row and lookup_list(ATTNUM, self.row.oid) is self._attribute_rows


_known: dict[int, RelationInfo] = {}


def relation_info(oid: int) -> RelationInfo:
    """The description of a relation; XX000 when it does not exist."""
    info = _known.get(oid)
    if info is not None and info.is_current():
        return info
    row = lookup(RELOID, oid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"could not open relation with OID {oid}")
    info = _known[oid] = RelationInfo(row, lookup_list(ATTNUM, oid))
    return info


def database_name() -> str:
    """The name of the open database, "" without one."""
    row = lookup(DATABASEOID, session.database_id) if session.database_id else None
    return "" if row is None else row.datname


def namespace_oid(name: str, missing_ok: bool = False) -> int:
    """The OID of a schema the user named; 3F000, 42501."""
    return lookup_explicit_namespace(name, missing_ok)


def relation_oid(schema: str | None, name: str, lockmode: int, catalog: str | None = None) -> int:
    """Find a relation and lock it; 0 when there is none."""
    return range_var_get_relid(
        RangeVar(catalogname=catalog, schemaname=schema, relname=name, relpersistence="p"),
        lockmode if session.database_id else NoLock,
        missing_ok=True,
    )
