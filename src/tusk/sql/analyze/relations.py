"""What the analyzer knows of relations and schemas, and the door through which it finds and locks them.

`RelationProvider` answers everything that depends on the session: search path, current user, locks. The default one
works on the catalog caches alone (built-in facts, or whatever reader they have) and takes no locks; the backend
installs the real one with `set_provider`.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import ATTNUM, NAMESPACENAME, RELNAMENSP, RELOID, lookup, lookup_list
from tusk.errors import SqlError, errcode

PG_CATALOG_NAMESPACE = 11
PUBLIC_NAMESPACE = 2200
TOAST_NAMESPACE = 99

NoLock, AccessShareLock, RowShareLock, RowExclusiveLock = 0, 1, 2, 3
ShareUpdateExclusiveLock, ShareLock, ShareRowExclusiveLock, ExclusiveLock, AccessExclusiveLock = 4, 5, 6, 7, 8


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


class RelationProvider:
    """Session-dependent answers from the catalog caches alone: fixed search path, no temporary schema, no locks."""

    def search_path(self) -> tuple[int, ...]:
        """Namespaces in the order they are searched, implicit ones included (activeSearchPath)."""
        return (PG_CATALOG_NAMESPACE, PUBLIC_NAMESPACE)

    def creation_namespace(self) -> int:
        """The namespace new objects go to, or 0."""
        return PUBLIC_NAMESPACE

    def temp_namespace(self) -> int:
        """The session's temporary namespace, or 0: it is not searched for functions and operators."""
        return 0

    def database_name(self) -> str:
        """The current database, for three-part names."""
        return "postgres"

    def user_id(self) -> int:
        """The current user."""
        return 10

    def namespace_oid(self, name: str, missing_ok: bool = False) -> int:
        """The OID of a schema that may be used; 3F000 when there is none (LookupExplicitNamespace)."""
        if name == "pg_temp" and self.temp_namespace():
            return self.temp_namespace()
        row = lookup(NAMESPACENAME, name)
        if row is not None:
            return int(row.oid)
        if missing_ok:
            return 0
        raise SqlError(errcode.INVALID_SCHEMA_NAME, f'schema "{name}" does not exist')

    def relation_oid(self, schema: str | None, name: str, lockmode: int) -> int:
        """Find a relation and lock it; 0 when there is none (RangeVarGetRelid with missing_ok)."""
        if schema is not None:
            namespace = self.namespace_oid(schema, missing_ok=True)
            row = lookup(RELNAMENSP, name, namespace) if namespace else None
        else:
            row = None
            for namespace in self.search_path():
                row = lookup(RELNAMENSP, name, namespace)
                if row is not None:
                    break
        return 0 if row is None else int(row.oid)

    def lock_relation(self, oid: int, lockmode: int) -> None:
        """Lock a relation known by OID."""


_provider = RelationProvider()


def set_provider(provider: RelationProvider | None) -> None:
    """Install the session's provider; None is the one without a session."""
    global _provider
    _provider = RelationProvider() if provider is None else provider


def provider() -> RelationProvider:
    """The provider in use."""
    return _provider


def check_catalog_name(catalog: str | None, names: list[str]) -> None:
    """0A000 unless a three-part name names the current database."""
    if catalog is not None and catalog != _provider.database_name():
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            f'cross-database references are not implemented: "{".".join([catalog, *names])}"',
        )
