"""Making a new cluster: directories, catalogs of the three databases, relation maps, control file and first WAL.

Everything is computed in this process and written straight to files: no server runs meanwhile (initdb).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tusk.catalog import facts
from tusk.catalog._bootstrap import load_catalog, load_table, to_file, visibility_map
from tusk.catalog.cache import AMPROCNUM, facts_reader
from tusk.catalog.relmapfile import pack_relation_map
from tusk.catalog.rowbase import Row
from tusk.catalog.rows import ROW_CLASSES
from tusk.catalog.schema import CatalogIndex, schemas
from tusk.wal._syncfs import syncfs

TEMPLATE1, TEMPLATE0, POSTGRES = 1, 4, 5
DEFAULT_TABLESPACE, GLOBAL_TABLESPACE = 1663, 1664
FIRST_UNPINNED_OID = 12000
BOOTSTRAP_SUPERUSER = 10
SUBDIRECTORIES = (
    "global", "pg_wal/archive_status", "pg_wal/summaries", "pg_commit_ts", "pg_dynshmem", "pg_notify", "pg_serial",
    "pg_snapshots", "pg_subtrans", "pg_twophase", "pg_multixact", "pg_multixact/members", "pg_multixact/offsets",
    "base", f"base/{TEMPLATE1}", f"base/{TEMPLATE0}", f"base/{POSTGRES}", "pg_replslot", "pg_tblspc", "pg_stat",
    "pg_stat_tmp", "pg_xact", "pg_logical", "pg_logical/snapshots", "pg_logical/mappings",
)  # fmt: skip
MAJOR_VERSION = "18"


@dataclass
class ClusterOptions:
    """What varies between new clusters."""

    superuser: str = "postgres"
    password_secret: str | None = None
    encoding: int = 6
    provider: str = "c"
    collate: str = "C"
    ctype: str = "C"
    locale: str | None = None
    collation_version: str | None = None
    checksums: bool = True
    dir_mode: int = 0o700
    file_mode: int = 0o600
    extra_collations: list[dict[str, Any]] = field(default_factory=list)


def _equal_image(index: CatalogIndex) -> bool:
    """Whether every operator class of the index promises that equal means equal bytes."""
    for i, oid in enumerate(index.opclasses):
        opclass = facts_reader("pg_opclass", ("oid",), (oid,))[0]
        support = facts_reader(
            "pg_amproc", AMPROCNUM.keys, (opclass.opcfamily, opclass.opcintype, opclass.opcintype, 4)
        )
        if not support:
            return False
        prosrc = facts_reader("pg_proc", ("oid",), (support[0].amproc,))[0].prosrc
        if prosrc == "btvarstrequalimage":
            collation = facts_reader("pg_collation", ("oid",), (index.collations[i],))
            if not collation or not collation[0].collisdeterministic:
                return False
        elif prosrc != "btequalimage":
            return False
    return True


def _missing_relations() -> tuple[set[int], set[int]]:
    """Views whose rules are not generated yet, and their row types: these stay out of a new cluster."""
    ruled = {row.ev_class for row in facts.builtin_rows("pg_rewrite")}
    views = {row.oid for row in facts.builtin_rows("pg_class") if row.relkind == "v" and row.oid not in ruled}
    types = {row.oid for row in facts.builtin_rows("pg_type") if row.typrelid in views}
    types |= {row.oid for row in facts.builtin_rows("pg_type") if row.typelem in types and row.typcategory == "A"}
    return views, types


def _present(catalog: str, missing: tuple[set[int], set[int]]) -> Iterator[Any]:
    """The built-in rows of a catalog without what depends on missing views."""
    views, types = missing
    rows = facts.builtin_rows(catalog)
    if not views:
        yield from rows
        return
    constraints = {row.oid for row in facts.builtin_rows("pg_constraint")}
    rules = {row.oid for row in facts.builtin_rows("pg_rewrite")}
    gone = {1259: views, 1247: types}
    for row in rows:
        match catalog:
            case "pg_class":
                keep = row.oid not in views
            case "pg_attribute":
                keep = row.attrelid not in views
            case "pg_type":
                keep = row.oid not in types
            case "pg_depend":
                keep = (
                    row.objid not in gone.get(row.classid, ())
                    and row.refobjid not in gone.get(row.refclassid, ())
                    and (row.classid != 2606 or row.objid in constraints)
                    and (row.classid != 2618 or row.objid in rules)
                )
            case "pg_description" | "pg_init_privs":
                keep = row.objoid not in gone.get(row.classoid, ())
            case _:
                keep = True
        if keep:
            yield row


def cluster_rows(catalog: str, options: ClusterOptions, missing: tuple[set[int], set[int]]) -> list[Row]:
    """The rows of a catalog for a cluster with these options."""
    rows: list[Any] = list(_present(catalog, missing))
    match catalog:
        case "pg_authid":
            rows = [
                row.copy(rolname=options.superuser, rolpassword=options.password_secret)
                if row.oid == BOOTSTRAP_SUPERUSER
                else row
                for row in rows
            ]
        case "pg_database":
            rows = [
                row.copy(
                    encoding=options.encoding,
                    datlocprovider=options.provider,
                    datcollate=options.collate,
                    datctype=options.ctype,
                    datlocale=options.locale,
                    datcollversion=options.collation_version,
                )  # fmt: skip
                for row in rows
            ]
        case "pg_collation":
            kind = ROW_CLASSES[catalog]
            rows += [kind(**columns) for columns in options.extra_collations]
    return rows


class _OidCounter:
    """Hands out OIDs for TOAST values and imported collations."""

    def __init__(self) -> None:
        self.next = 1 + max(
            (
                row.oid
                for name in ROW_CLASSES
                if "oid" in ROW_CLASSES[name].__slots__
                for row in facts.builtin_rows(name)
            ),
            default=FIRST_UNPINNED_OID,
        )

    def __call__(self) -> int:
        self.next += 1
        return self.next - 1


@dataclass
class LoadedCatalogs:
    """Pages of all relations of a new cluster by OID, and the next free OID."""

    pages: dict[int, list[bytearray]]
    shared: set[int]
    mapped: set[int]
    heaps: set[int]
    next_oid: int


def load_catalogs(options: ClusterOptions) -> LoadedCatalogs:
    """Build every catalog's pages; pg_class last, since it records the sizes of the others."""
    missing = _missing_relations()
    counter = _OidCounter()
    pages: dict[int, list[bytearray]] = {}
    counts: dict[int, int] = {}
    relations: list[Any] = cluster_rows("pg_class", options, missing)
    for name, schema in schemas().items():
        if name != "pg_class":
            new_pages, new_counts = load_catalog(schema, cluster_rows(name, options, missing), _equal_image, counter)
            pages.update(new_pages)
            counts.update(new_counts)
    for table in facts.plain_tables():
        new_pages, new_counts = load_table(*table)
        pages.update(new_pages)
        counts.update(new_counts)
    own = schemas()["pg_class"]
    for _attempt in range(2):
        # The second time its own sizes are known too; they do not change the widths of rows.
        rows = [_with_sizes(row, pages, counts) for row in relations]
        new_pages, new_counts = load_catalog(own, rows, _equal_image, counter)
        pages.update(new_pages)
        counts.update(new_counts)
    stored = [row for row in relations if row.oid in pages]
    return LoadedCatalogs(
        pages,
        {row.oid for row in stored if row.relisshared},
        {row.oid for row in stored if row.relfilenode == 0},
        {row.oid for row in stored if row.relkind in "rt"},
        counter.next,
    )


def _with_sizes(row: Any, pages: dict[int, list[bytearray]], counts: dict[int, int]) -> Any:
    """A pg_class row with pages and tuples as VACUUM would have counted them."""
    if row.oid not in pages:
        return row
    npages = len(pages[row.oid])
    visible = npages if row.relkind in "rt" else 0
    return row.copy(relpages=npages, reltuples=float(counts[row.oid]), relallvisible=visible, relallfrozen=visible)


def make_directories(data_directory: Path, mode: int, wal_directory: Path | None) -> None:
    """The data directory's tree; the data directory itself may exist and be empty."""
    data_directory.mkdir(mode=mode, parents=True, exist_ok=True)
    os.chmod(data_directory, mode)
    if wal_directory is not None:
        wal_directory.mkdir(mode=mode, parents=True, exist_ok=True)
        os.chmod(wal_directory, mode)
        os.symlink(wal_directory, data_directory / "pg_wal")
    else:
        os.mkdir(data_directory / "pg_wal", mode)
    for name in SUBDIRECTORIES:
        os.mkdir(data_directory / name, mode)


def write_file(path: str | Path, data: bytes, mode: int) -> None:
    """A new file with these bytes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def write_catalogs(data_directory: Path, options: ClusterOptions, loaded: LoadedCatalogs) -> None:
    """The relation files of global/ and of the three databases, their maps and PG_VERSION files."""
    mode = options.file_mode
    version = f"{MAJOR_VERSION}\n".encode()
    databases = [f"{data_directory}/base/{oid}" for oid in (TEMPLATE1, TEMPLATE0, POSTGRES)]
    for oid, relation_pages in loaded.pages.items():
        files = {str(oid): to_file(relation_pages, options.checksums)}
        if oid in loaded.heaps and relation_pages:
            files[f"{oid}_vm"] = to_file(visibility_map(len(relation_pages)), options.checksums)
        for directory in [f"{data_directory}/global"] if oid in loaded.shared else databases:
            for name, data in files.items():
                write_file(f"{directory}/{name}", data, mode)
    shared_map = pack_relation_map({oid: oid for oid in sorted(loaded.mapped & loaded.shared)})
    local_map = pack_relation_map({oid: oid for oid in sorted(loaded.mapped - loaded.shared)})
    write_file(f"{data_directory}/global/pg_filenode.map", shared_map, mode)
    for directory in databases:
        write_file(f"{directory}/pg_filenode.map", local_map, mode)
        write_file(f"{directory}/PG_VERSION", version, mode)
    write_file(data_directory / "PG_VERSION", version, mode)


def write_transaction_files(data_directory: Path, options: ClusterOptions) -> None:
    """The first, empty page of each transaction log."""
    for name in ("pg_xact/0000", "pg_multixact/offsets/0000", "pg_multixact/members/0000", "pg_subtrans/0000"):
        write_file(data_directory / name, bytes(8192), options.file_mode)


def sync_directory_tree(root: Path, *, data_files: bool = True, method: str = "fsync") -> None:
    """Flush every file and directory below root to disk, symbolic links to directories followed.

    Without ``data_files`` the files of databases and tablespaces are left out. ``method`` syncfs flushes the file
    systems that hold the directory, its WAL and its tablespaces instead.
    """
    if method == "syncfs":
        for place in [root, root / "pg_wal", *(root / "pg_tblspc").iterdir()]:
            syncfs(str(place))
        return
    paths: list[str] = []
    for directory, names, files in os.walk(root, followlinks=True):
        if not data_files and Path(directory) == root:
            names[:] = [name for name in names if name not in ("base", "pg_tblspc")]
        paths.extend(os.path.join(directory, name) for name in files)
        paths.append(directory)
    # Many at once: the file system then commits its journal for all of them together. No server process does this.
    with ThreadPoolExecutor(16) as pool:
        for _done in pool.map(_sync_path, paths):
            pass


def _sync_path(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


__all__ = [
    "ClusterOptions", "LoadedCatalogs", "cluster_rows", "load_catalogs", "make_directories",
    "sync_directory_tree", "write_catalogs", "write_file", "write_transaction_files",
]  # fmt: skip
