"""Which files the mapped catalogs are in (relmapper.c).

Mapped are the catalogs that must be found before pg_class can be read, and all shared ones. The maps are the files
global/pg_filenode.map and base/N/pg_filenode.map; a change takes effect for this transaction at once and is written,
with a WAL record, when it commits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tusk.catalog.relmapfile import RELMAPPER_FILENAME as RELMAPPER_FILENAME
from tusk.catalog.relmapfile import pack_relation_map, unpack_relation_map
from tusk.catalog.session import session
from tusk.errors import Fatal, errcode
from tusk.transaction import _pending


class _Map:
    """One map: as in the file, and what this transaction changes."""

    __slots__ = ("active", "loaded", "pending")

    def __init__(self) -> None:
        self.loaded: dict[int, int] | None = None
        self.active: dict[int, int] = {}
        self.pending: dict[int, int] = {}

    def forget(self) -> None:
        """Read the file again at the next use."""
        self.loaded = None


_shared = _Map()
_local = _Map()
changes: set[int] = set()  # relations that this transaction moves: without any there is nothing to end
_data_directory = Path()
# Set by `relations`: writes the WAL record within a critical section, then calls back to write the file.
write_logged: Callable[[int, int, bytes, Callable[[], None]], None] | None = None


def set_data_directory(path: str | os.PathLike[str]) -> None:
    """Where the cluster is; server processes run with it as their working directory."""
    global _data_directory
    _data_directory = Path(path)


def map_path(shared: bool) -> Path:
    """The map file of the shared catalogs, or of this database's."""
    if shared:
        return _data_directory / "global" / RELMAPPER_FILENAME
    return database_path(session.database_id, session.database_tablespace) / RELMAPPER_FILENAME


def database_path(database: int, tablespace: int) -> Path:
    """The directory of a database in a tablespace (GetDatabasePath)."""
    if tablespace == 1664:
        return _data_directory / "global"
    if tablespace == 1663:
        return _data_directory / "base" / str(database)
    return _data_directory / "pg_tblspc" / str(tablespace) / "PG_18_202506291" / str(database)


def read_map_file(path: Path) -> dict[int, int]:
    """The mappings in a file; FATAL if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Fatal(errcode.IO_ERROR, f'could not open file "{path}": {error.strerror}') from error
    return unpack_relation_map(data, str(path))


def _load(which: _Map, shared: bool) -> dict[int, int]:
    if which.loaded is None:
        which.loaded = read_map_file(map_path(shared))
    return which.loaded


def filenumber(oid: int, shared: bool) -> int:
    """The file number of a mapped relation, 0 if it is not mapped (RelationMapOidToFilenumber)."""
    which = _shared if shared else _local
    number = which.active.get(oid)
    if number is None:
        number = which.pending.get(oid)
    return _load(which, shared).get(oid, 0) if number is None else number


def relation_of(number: int, shared: bool) -> int:
    """The mapped relation that is in a file, 0 if none (RelationMapFilenumberToOid)."""
    which = _shared if shared else _local
    for oid, mapped in {**_load(which, shared), **which.active}.items():
        if mapped == number:
            return oid
    return 0


def update(oid: int, number: int, shared: bool, immediate: bool) -> None:
    """Put a mapped relation in another file: seen by us at once, or from the next command on (RelationMapUpdateMap)."""
    which = _shared if shared else _local
    changes.add(oid)
    (which.active if immediate else which.pending)[oid] = number


def end_command() -> bool:
    """Pending updates become active; whether there were any."""
    changed = bool(_shared.pending or _local.pending)
    for which in (_shared, _local):
        which.active.update(which.pending)
        which.pending.clear()
    return changed


def end_transaction(is_commit: bool) -> None:
    """Write what changed (before the commit record), or forget it."""
    if is_commit:
        end_command()
        for which, shared in ((_shared, True), (_local, False)):
            if which.active:
                merged = {**read_map_file(map_path(shared)), **which.active}
                write(merged, shared)
                # The map cannot be taken back: its files must stay even if the commit fails after this.
                database, tablespace = (0, 1664) if shared else (session.database_id, session.database_tablespace)
                for number in which.active.values():
                    _pending.preserve_storage((tablespace, database, number), False)
                which.loaded = merged
    for which in (_shared, _local):
        which.active.clear()
        which.pending.clear()
    changes.clear()


def write(mappings: dict[int, int], shared: bool) -> None:
    """Log and write a map."""
    data = pack_relation_map(mappings)
    path = map_path(shared)
    assert write_logged is not None
    write_logged(
        0 if shared else session.database_id, 1664 if shared else session.database_tablespace, data,
        lambda: write_map_file(path, data),
    )  # fmt: skip


def write_for_database(mappings: dict[int, int], database: int, tablespace: int) -> None:
    """Log and write the map of a database being created (RelationMapCopy)."""
    data = pack_relation_map(mappings)
    path = database_path(database, tablespace) / RELMAPPER_FILENAME
    assert write_logged is not None
    write_logged(database, tablespace, data, lambda: write_map_file(path, data))


def write_map_file(path: Path, data: bytes) -> None:
    """Replace a map file atomically and durably."""
    temporary = path.with_name(path.name + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def invalidate(shared: bool) -> None:
    """Somebody changed a map."""
    (_shared if shared else _local).forget()


def forget_all() -> None:
    """Another database is opened."""
    _shared.forget()
    _local.forget()


def has_pending_updates() -> bool:
    """Whether this transaction moved a mapped relation."""
    return any(which.active or which.pending for which in (_shared, _local))
