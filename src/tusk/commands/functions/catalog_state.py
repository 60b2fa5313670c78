"""Functions about the catalogs: properties of indexes, updatability, key words, descriptions, extensions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from tusk.catalog import acl, inval
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.facts import builtin_rows
from tusk.catalog.objectaddress import ObjectAddress, object_description
from tusk.catalog.session import session
from tusk.config import settings, show
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import Var
from tusk.sql.rewrite import updatable
from tusk.types.registry import function
from tusk.types.values import Array

_ACLITEM = 1033

# Properties of index access methods by name: what pg_indexam_has_property and pg_index_has_property tell.
_AM_PROPERTIES = {
    "btree": {"can_order", "can_unique", "can_multi_col", "can_exclude", "can_include",
              "clusterable", "index_scan", "bitmap_scan", "backward_scan", "search_array", "search_nulls"},
    "hash": {"can_exclude", "index_scan", "bitmap_scan", "backward_scan"},
    "gist": {"can_multi_col", "can_exclude", "can_include", "clusterable", "index_scan", "bitmap_scan",
             "search_nulls"},
    "gin": {"can_multi_col", "bitmap_scan"},
    "spgist": {"can_exclude", "can_include", "index_scan", "bitmap_scan", "search_nulls"},
    "brin": {"can_multi_col", "bitmap_scan", "search_nulls"},
}  # fmt: skip
_METHOD = ("can_order", "can_unique", "can_multi_col", "can_exclude", "can_include")
_INDEX = ("clusterable", "index_scan", "bitmap_scan", "backward_scan")
_COLUMN = (
    "asc", "desc", "nulls_first", "nulls_last", "orderable", "distance_orderable", "returnable", "search_array",
    "search_nulls",
)  # fmt: skip


def _properties(method: int) -> set[str] | None:
    row = lookup(c.AMOID, method)
    return None if row is None or row.amtype != "i" else _AM_PROPERTIES.get(row.amname)


@function("pg_indexam_has_property")
def pg_indexam_has_property(method: int, name: str) -> bool | None:
    """Whether an index access method can do something, NULL where the question makes no sense."""
    known = _properties(method)
    return None if known is None or name.lower() not in _METHOD else name.lower() in known


def _index_rows(oid: int) -> tuple[Any, Any] | None:
    row, index = lookup(c.RELOID, oid), lookup(c.INDEXRELID, oid)
    return None if row is None or index is None else (row, index)


@function("pg_index_has_property")
def pg_index_has_property(oid: int, name: str) -> bool | None:
    """The same of an index."""
    rows = _index_rows(oid)
    if rows is None:
        return None
    known = _properties(rows[0].relam)
    return None if known is None or name.lower() not in _INDEX else name.lower() in known


@function("pg_index_column_has_property")
def pg_index_column_has_property(oid: int, column: int, name: str) -> bool | None:
    """The same of an index's column."""
    rows = _index_rows(oid)
    name = name.lower()
    if rows is None or name not in _COLUMN:
        return None
    row, index = rows
    known = _properties(row.relam)
    if known is None or not 0 < column <= index.indnatts:
        return None
    is_key = column <= index.indnkeyatts
    option = index.indoption[column - 1] if is_key else 0
    ordered = is_key and "can_order" in known
    match name:
        case "asc" | "desc":
            return bool(option & 1) == (name == "desc") if ordered else (None if not is_key else False)
        case "nulls_first" | "nulls_last":
            return bool(option & 2) == (name == "nulls_first") if ordered else (None if not is_key else False)
        case "orderable":
            return ordered
        case "distance_orderable":
            return is_key and _has_distance(index.indclass[column - 1])
        case "returnable":
            return _returnable(row.relam, index, column)
        case _:
            return is_key and name in known


def _has_distance(opclass: int) -> bool:
    row = lookup(c.CLAOID, opclass)
    return row is not None and any(
        item.amopfamily == row.opcfamily and item.amoppurpose == "o" and item.amoplefttype == row.opcintype
        for item in scan_rows("pg_amop", amopfamily=row.opcfamily)
    )


def _returnable(method: int, index: Any, column: int) -> bool:
    """Whether an index-only scan can get the column: btree always, GiST where there is a fetch function."""
    if method == 403 or column > index.indnkeyatts:
        return True
    row = lookup(c.CLAOID, index.indclass[column - 1])
    if method == 783:
        has = {item.amprocnum for item in scan_rows("pg_amproc", amprocfamily=row.opcfamily)
               if item.amproclefttype == row.opcintype}
        return 9 in has or 3 not in has
    return method == 4000


@function("pg_indexam_progress_phasename")
def pg_indexam_progress_phasename(method: int, phase: int) -> str | None:
    """What a phase of CREATE INDEX is called."""
    if method != 403:
        return None
    return {
        1: "initializing", 2: "scanning table", 3: "sorting live tuples", 4: "sorting dead tuples",
        5: "loading tuples in tree",
    }.get(phase)  # fmt: skip


# Updatability

_EVENTS = 1 << enums.CMD_UPDATE | 1 << enums.CMD_INSERT | 1 << enums.CMD_DELETE


def _instead_rules(relid: int) -> int:
    """Events for which there are unconditional INSTEAD rules."""
    found = 0
    for row in scan_rows("pg_rewrite", ev_class=relid):
        if row.is_instead and row.ev_qual == "<>" and row.rulename != "_RETURN":
            found |= 1 << int(row.ev_type)
    return found & _EVENTS


def _instead_triggers(relid: int) -> int:
    bits = 0
    for row in scan_rows("pg_trigger", tgrelid=relid):
        # tgtype: 64 INSTEAD, 1 ROW; 4 INSERT, 8 DELETE, 16 UPDATE.
        if row.tgtype & 65 == 65:
            for flag, command in ((4, enums.CMD_INSERT), (8, enums.CMD_DELETE), (16, enums.CMD_UPDATE)):
                bits |= 1 << command if row.tgtype & flag else 0
    return bits


def _updatable_events(relid: int, include_triggers: bool, columns: frozenset[int] | None) -> int:
    """Bits of the commands that may change a relation (relation_is_updatable)."""
    row = lookup(c.RELOID, relid)
    if row is None:
        return 0
    if row.relkind in "rp":
        return _EVENTS
    events = _instead_rules(relid)
    if include_triggers:
        events |= _instead_triggers(relid)
    if events == _EVENTS:
        return events
    if row.relkind == "f":
        raise feature_not_supported("updatability of foreign tables")
    if row.relkind != "v":
        return events
    view = _view(relid)
    if view.usable is None or (columns is not None and not view.usable):
        return events
    usable = view.usable
    if columns is not None and not columns & usable.keys():
        return events
    base_row = lookup(c.RELOID, view.base)
    auto = 1 << enums.CMD_DELETE | (_EVENTS if usable else 0)
    if base_row.relkind not in "rp":
        inner = frozenset(usable[column] for column in columns & usable.keys()) if columns is not None else None
        auto &= _updatable_events(view.base, include_triggers, inner)
    return events | auto


class _View(NamedTuple):
    """An automatically updatable view: its base relation, view column -> base column; usable is None for another."""

    base: int
    usable: dict[int, int] | None


_views: dict[int, _View] = {}


def _forget_view(relid: int) -> None:
    if relid:
        _views.pop(relid, None)
    else:
        _views.clear()


inval.on_relcache_change(_forget_view)


def _view(relid: int) -> _View:
    found = _views.get(relid)
    if found is None:
        query = updatable.view_query(relid)
        if updatable.not_updatable_because(query, False) is not None:
            found = _View(0, None)
        else:
            rtindex = query.jointree.fromlist[0].rtindex
            found = _View(query.rtable[rtindex - 1].relid, _updatable_columns(query, rtindex))
        _views[relid] = found
    return found


def _updatable_columns(query: Any, rtindex: int) -> dict[int, int]:
    """View column -> base column, for those that an UPDATE could set."""
    found = {}
    for target in query.targetList:
        if not target.resjunk and updatable.column_not_updatable_because(rtindex, target) is None:
            assert isinstance(target.expr, Var)
            found[target.resno] = target.expr.varattno
    return found


@function("pg_relation_is_updatable")
def pg_relation_is_updatable(relid: int, include_triggers: bool) -> int:
    """Bits by command number: 4 UPDATE, 8 INSERT, 16 DELETE."""
    return _updatable_events(relid, include_triggers, None)


@function("pg_column_is_updatable")
def pg_column_is_updatable(relid: int, attnum: int, include_triggers: bool) -> bool:
    """Whether UPDATE and DELETE are possible, the column included."""
    if attnum <= 0:
        return False
    needed = 1 << enums.CMD_UPDATE | 1 << enums.CMD_DELETE
    return _updatable_events(relid, include_triggers, frozenset((attnum,))) & needed == needed


# Key words

_CATEGORIES = {
    "U": "unreserved", "C": "unreserved (cannot be function or type name)",
    "T": "reserved (can be function or type name)", "R": "reserved",
}  # fmt: skip


@cache
def _keywords() -> tuple[tuple[str, str, bool], ...]:
    text = (files("tusk.catalog") / "data" / "keywords.tsv").read_text("utf-8")
    return tuple((word, kind, bare == "t") for word, kind, bare in (line.split("\t") for line in text.splitlines()))


@function("pg_get_keywords", set_returning=True)
def pg_get_keywords() -> Iterator[tuple[Any, ...]]:
    """The key words of the grammar."""
    for word, kind, bare in _keywords():
        yield word, kind, bare, _CATEGORIES[kind], "can be bare label" if bare else "requires AS"


# Objects


@function("pg_describe_object")
def pg_describe_object(classid: int, objid: int, subid: int) -> str | None:
    """What an object is called in messages."""
    return object_description(ObjectAddress(classid, objid, subid), missing_ok=True) if classid and objid else None


@function("pg_get_acl")
def pg_get_acl(classid: int, objid: int, subid: int) -> Array | None:
    """The ACL of any object."""
    if not classid or not objid:
        return None
    if classid == 1259 and subid:
        row = lookup(c.ATTNUM, objid, subid)
        found = None if row is None or row.attisdropped else row.attacl
    else:
        kind = acl.KINDS.get(classid)
        if kind is None or not kind.acl:
            return None
        row = lookup(kind.cache, objid)
        found = None if row is None else getattr(row, kind.acl)
    return None if found is None else Array.of(_ACLITEM, found)


@function("pg_relation_is_publishable")
def pg_relation_is_publishable(oid: int) -> bool | None:
    """Whether a publication may have the table."""
    row = lookup(c.RELOID, oid)
    if row is None:
        return None
    return bool(
        row.relkind in "rp" and row.oid >= 16384 and row.relnamespace not in (11, 99) and row.relpersistence == "p"
    )


@function("pg_get_replica_identity_index")
def pg_get_replica_identity_index(oid: int) -> int | None:
    """The index that identifies rows to replication."""
    row = lookup(c.RELOID, oid)
    if row is None or row.relreplident in ("n", "f"):
        return None
    for index in scan_rows("pg_index", indrelid=oid):
        usable = index.indisvalid and index.indimmediate
        if usable and (index.indisreplident if row.relreplident == "i" else index.indisprimary):
            return int(index.indexrelid)
    return None


@function("pg_client_encoding")
def pg_client_encoding() -> str:
    """The name of the client's encoding."""
    return show("client_encoding")


@function("pg_get_publication_tables", set_returning=True)
def pg_get_publication_tables(names: Array) -> Iterator[tuple[Any, ...]]:
    """The tables of publications; publishing is not built."""
    for name in names.elements:
        if scan_rows("pg_publication", pubname=name):
            raise feature_not_supported("publications")
        raise SqlError(errcode.UNDEFINED_OBJECT, f'publication "{name}" does not exist')
    return iter(())


# Inheritance


def _parent(oid: int) -> int | None:
    rows = scan_rows("pg_inherits", inhrelid=oid)
    return rows[0].inhparent if rows else None


def _in_partition_tree(oid: int) -> bool:
    row = lookup(c.RELOID, oid)
    return row is not None and (row.relispartition or row.relkind in "pI")


def _ancestors(oid: int) -> Iterator[int]:
    yield oid
    row = lookup(c.RELOID, oid)
    while row is not None and row.relispartition:
        parent = _parent(row.oid)
        if parent is None:
            return
        yield parent
        row = lookup(c.RELOID, parent)


@function("pg_partition_ancestors", set_returning=True)
def pg_partition_ancestors(oid: int) -> Iterator[int]:
    """The partition and what it is a partition of, upwards."""
    if _in_partition_tree(oid):
        yield from _ancestors(oid)


@function("pg_partition_root")
def pg_partition_root(oid: int) -> int | None:
    """The topmost of them."""
    return list(_ancestors(oid))[-1] if _in_partition_tree(oid) else None


@function("pg_partition_tree", set_returning=True)
def pg_partition_tree(oid: int) -> Iterator[tuple[Any, ...]]:
    """(relid, parentrelid, isleaf, level) of a partition tree from this relation down."""
    if not _in_partition_tree(oid):
        return
    pending = [(oid, _parent(oid), 0)]
    while pending:
        relid, parent, level = pending.pop(0)
        row = lookup(c.RELOID, relid)
        yield relid, parent, row.relkind not in "pI", level
        pending += [(child.inhrelid, relid, level + 1) for child in scan_rows("pg_inherits", inhparent=relid)]


# Collations


@cache
def _libc_version() -> str:
    return str(os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")


def _collation_version(provider: str, locale: str) -> str | None:
    if provider == "b":
        return "1"
    plain = locale.upper() in ("C", "POSIX") or locale.upper().startswith("C.")
    return _libc_version() if provider == "c" and not plain else None


@function("pg_collation_actual_version")
def pg_collation_actual_version(oid: int) -> str | None:
    """The version of a collation's definition that the library has now."""
    row = lookup(c.COLLOID, oid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"collation with OID {oid} does not exist")
    if row.collprovider == "d":
        return pg_database_collation_actual_version(session.database_id)
    return _collation_version(row.collprovider, row.collcollate or row.colllocale or "C")


@function("pg_database_collation_actual_version")
def pg_database_collation_actual_version(oid: int) -> str | None:
    """The same for a database's default."""
    row = lookup(c.DATABASEOID, oid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"database with OID {oid} does not exist")
    return _collation_version(row.datlocprovider, row.datcollate if row.datlocprovider == "c" else row.datlocale)


# Extensions, the build


def _extensions() -> list[tuple[str, str, str]]:
    """(name, version, comment) of the extensions that come with the server: those of a new cluster."""
    comments = {row.objoid: row.description for row in builtin_rows("pg_description") if row.classoid == 3079}
    return [(row.extname, row.extversion, comments.get(row.oid, "")) for row in builtin_rows("pg_extension")]


@function("pg_available_extensions", set_returning=True)
def pg_available_extensions() -> Iterator[tuple[str, str, str]]:
    """(name, default version, comment)."""
    return iter(_extensions())


@function("pg_available_extension_versions", set_returning=True)
def pg_available_extension_versions() -> Iterator[tuple[Any, ...]]:
    """One row for each version."""
    for name, version, comment in _extensions():
        yield name, version, True, True, False, "pg_catalog", None, comment


@function("pg_extension_update_paths", set_returning=True)
def pg_extension_update_paths(name: str) -> Iterator[tuple[Any, ...]]:
    """From which version to which one can go: there is one of each."""
    if name not in [known for known, _, _ in _extensions()]:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'extension "{name}" is not available')
    return iter(())


@function("pg_get_loaded_modules", set_returning=True)
def pg_get_loaded_modules() -> Iterator[tuple[Any, ...]]:
    """Loadable libraries in C: none can be loaded."""
    return iter(())


_CONFIG = (
    "BINDIR", "DOCDIR", "HTMLDIR", "INCLUDEDIR", "PKGINCLUDEDIR", "INCLUDEDIR-SERVER", "LIBDIR", "PKGLIBDIR",
    "LOCALEDIR", "MANDIR", "SHAREDIR", "SYSCONFDIR", "PGXS", "CONFIGURE", "CC", "CPPFLAGS", "CFLAGS", "CFLAGS_SL",
    "LDFLAGS", "LDFLAGS_EX", "LDFLAGS_SL", "LIBS", "VERSION",
)  # fmt: skip


@function("pg_config", set_returning=True)
def pg_config() -> Iterator[tuple[str, str]]:
    """Where the server is installed and how it was built; a Python package has few of these."""
    known = {
        "BINDIR": os.path.dirname(sys.executable),
        "PKGLIBDIR": str(files("tusk")),
        "SHAREDIR": str(files("tusk.catalog") / "data"),
        "VERSION": f"PostgreSQL {settings.server_version}",
    }
    for name in _CONFIG:
        yield name, known.get(name, "not recorded")
