"""Sizes and files of relations, databases and tablespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator

from tusk.access._relation import Relation
from tusk.catalog import acl, relmap
from tusk.catalog import cache as c
from tusk.catalog._relcache import relation_close, try_relation_open
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.session import session
from tusk.commands.functions.support import PG_READ_ALL_STATS, denied, invalid
from tusk.errors import SqlError, errcode
from tusk.storage import _smgr
from tusk.types.registry import function

_FORKS = {"main": 0, "fsm": 1, "vm": 2, "init": 3}
_BLOCK = 8192
_DEFAULT_TABLESPACE, _GLOBAL_TABLESPACE = 1663, 1664
_TABLESPACE_VERSION = "PG_18_202506291"
_HAS_STORAGE = "rStmi"


def _fork_bytes(rel: Relation, fork: int) -> int:
    locator, backend = rel.locator, rel.rd_backend
    return _smgr.nblocks(locator, fork, backend) * _BLOCK if _smgr.exists(locator, fork, backend) else 0


def _relation_bytes(oid: int, forks: Iterator[int] | range) -> int:
    rel = try_relation_open(oid, 1)
    if rel is None:
        return 0
    try:
        return sum(_fork_bytes(rel, fork) for fork in forks) if rel.form.relkind in _HAS_STORAGE else 0
    finally:
        relation_close(rel, 1)


@function("pg_relation_size")
def pg_relation_size(oid: int, fork: str) -> int | None:
    """Bytes of one fork, NULL if there is no such relation."""
    if fork not in _FORKS:
        raise invalid("invalid fork name", 'Valid fork names are "main", "fsm", "vm", and "init".')
    if lookup(c.RELOID, oid) is None:
        return None
    return _relation_bytes(oid, range(_FORKS[fork], _FORKS[fork] + 1))


def _indexes_of(oid: int) -> list[int]:
    return [row.indexrelid for row in scan_rows("pg_index", indrelid=oid)]


def _table_bytes(oid: int) -> int:
    row = lookup(c.RELOID, oid)
    size = _relation_bytes(oid, range(4))
    if row.reltoastrelid:
        size += _relation_bytes(row.reltoastrelid, range(4))
        size += sum(_relation_bytes(index, range(4)) for index in _indexes_of(row.reltoastrelid))
    return size


@function("pg_table_size")
def pg_table_size(oid: int) -> int | None:
    """The table with its TOAST table, without its indexes."""
    return None if lookup(c.RELOID, oid) is None else _table_bytes(oid)


@function("pg_indexes_size")
def pg_indexes_size(oid: int) -> int | None:
    """All indexes of a table."""
    if lookup(c.RELOID, oid) is None:
        return None
    return sum(_relation_bytes(index, range(4)) for index in _indexes_of(oid))


@function("pg_total_relation_size")
def pg_total_relation_size(oid: int) -> int | None:
    """Table, TOAST and indexes."""
    if lookup(c.RELOID, oid) is None:
        return None
    return _table_bytes(oid) + sum(_relation_bytes(index, range(4)) for index in _indexes_of(oid))


def _directory_bytes(path: str) -> int:
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    if not entry.is_dir(follow_symlinks=False):
                        total += entry.stat().st_size
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return 0
    return total


def _database_bytes(oid: int) -> int | None:
    me = session.current_user_id
    if not acl.object_acl_mask(1262, oid, me, acl.ACL_CONNECT) and not acl.has_privs_of_role(me, PG_READ_ALL_STATS):
        row = lookup(c.DATABASEOID, oid)
        raise denied(f"permission denied for database {row.datname}")
    total = _directory_bytes(f"base/{oid}")
    if os.path.isdir("pg_tblspc"):
        for name in os.listdir("pg_tblspc"):
            total += _directory_bytes(f"pg_tblspc/{name}/{_TABLESPACE_VERSION}/{oid}")
    return total


@function("pg_database_size_oid")
def pg_database_size_oid(oid: int) -> int | None:
    """Bytes of a database's files, NULL if there is no such database."""
    return None if lookup(c.DATABASEOID, oid) is None else _database_bytes(oid)


@function("pg_database_size_name")
def pg_database_size_name(name: str) -> int | None:
    """The same by name."""
    for row in scan_rows("pg_database", datname=name):
        return _database_bytes(row.oid)
    raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{name}" does not exist')


def _tree_bytes(path: str) -> int:
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _tablespace_bytes(oid: int, name: str) -> int | None:
    me = session.current_user_id
    if (
        oid != session.database_tablespace
        and not acl.has_privs_of_role(me, PG_READ_ALL_STATS)
        and not acl.object_acl_mask(1213, oid, me, acl.ACL_CREATE)
    ):
        raise denied(f"permission denied for tablespace {name}")
    path = {_DEFAULT_TABLESPACE: "base", _GLOBAL_TABLESPACE: "global"}.get(
        oid, f"pg_tblspc/{oid}/{_TABLESPACE_VERSION}"
    )
    return _tree_bytes(path) if os.path.isdir(path) else None


@function("pg_tablespace_size_oid")
def pg_tablespace_size_oid(oid: int) -> int | None:
    """Bytes of the files in a tablespace."""
    row = lookup(c.TABLESPACEOID, oid)
    return None if row is None else _tablespace_bytes(oid, row.spcname)


@function("pg_tablespace_size_name")
def pg_tablespace_size_name(name: str) -> int | None:
    """The same by name."""
    for row in scan_rows("pg_tablespace", spcname=name):
        return _tablespace_bytes(row.oid, name)
    raise SqlError(errcode.UNDEFINED_OBJECT, f'tablespace "{name}" does not exist')


@function("pg_tablespace_location")
def pg_tablespace_location(oid: int) -> str:
    """The directory of a tablespace, '' for the two built-in ones."""
    oid = oid or session.database_tablespace
    if oid in (_DEFAULT_TABLESPACE, _GLOBAL_TABLESPACE):
        return ""
    path = f"pg_tblspc/{oid}"
    try:
        return os.readlink(path) if os.path.islink(path) else (os.stat(path) and path)
    except OSError as error:
        raise SqlError(errcode.UNDEFINED_FILE, f'could not stat file "{path}": {error.strerror}') from error


@function("pg_tablespace_databases", set_returning=True)
def pg_tablespace_databases(oid: int) -> Iterator[int]:
    """The databases that have files in a tablespace."""
    if oid == _GLOBAL_TABLESPACE:
        return
    path = "base" if oid == _DEFAULT_TABLESPACE else f"pg_tblspc/{oid}/{_TABLESPACE_VERSION}"
    if os.path.isdir(path):
        for name in os.listdir(path):
            if name.isdigit() and os.listdir(f"{path}/{name}"):
                yield int(name)


# Files


@function("pg_relation_filenode")
def pg_relation_filenode(oid: int) -> int | None:
    """The number in the name of a relation's file, NULL without one."""
    row = lookup(c.RELOID, oid)
    if row is None or row.relkind not in _HAS_STORAGE:
        return None
    return row.relfilenode or relmap.filenumber(oid, row.relisshared) or None


@function("pg_relation_filepath")
def pg_relation_filepath(oid: int) -> str | None:
    """The path of a relation's first file."""
    row = lookup(c.RELOID, oid)
    number = pg_relation_filenode(oid)
    if row is None or not number:
        return None
    rel = try_relation_open(oid, 1)
    if rel is None:
        return None
    try:
        tablespace, database, number = rel.locator
        return _smgr.path_of(tablespace, database, number, rel.rd_backend)
    finally:
        relation_close(rel, 1)


@function("pg_filenode_relation")
def pg_filenode_relation(tablespace: int, number: int) -> int | None:
    """The relation that a file belongs to."""
    if not number:
        return None
    shared = tablespace == _GLOBAL_TABLESPACE
    stored = 0 if tablespace == session.database_tablespace else tablespace
    for row in scan_rows("pg_class", relfilenode=number):
        if row.reltablespace == stored and row.relpersistence != "t":
            return int(row.oid)
    return relmap.relation_of(number, shared) or None

