"""New files for tables and indexes, made aside and put in place all at once: VACUUM FULL, CLUSTER, REINDEX.

Heap and indexes are built in files that nothing refers to yet. Only then pg_class, or the relation map for the catalogs
that are needed to read pg_class, is told: so a catalog can be rebuilt while it is in use by ourselves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tusk.access._index import index_build, index_build_empty
from tusk.access.heap._rewrite import HeapRewrite
from tusk.access.heap._vacuum import relation_pages
from tusk.catalog import cache as c
from tusk.catalog import inval, relmap
from tusk.catalog._relcache import note_new_file, private_copy, relation_close, relation_open
from tusk.catalog._tuples import (
    command_counter_increment,
    current_sub_transaction_id,
    new_relfilenumber,
    update_row,
    update_row_inplace,
)
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.schema import schemas_by_oid
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.stats import progress
from tusk.transaction import _pending, xact

ACCESS_EXCLUSIVE = 8
_INIT_FORK = 3
_FIRST_USER_OID = 16384

Locator = tuple[int, int, int]


@dataclass
class NewFile:
    """A file that takes the place of another when all is done."""

    oid: int
    old: Locator
    new: Locator
    backend: int
    pages: int = 0
    tuples: float = 0.0
    changes: dict[str, Any] = field(default_factory=dict)
    broken_hot_chain: bool = False


def make_file(rel: Any) -> NewFile:
    """An empty file beside a relation's own; it goes if the transaction aborts."""
    form = rel.form
    number = new_relfilenumber(form.reltablespace, form.relpersistence, form.relisshared)
    old = rel.locator
    new = (old[0], old[1], number)
    _pending.create_storage(new, form.relpersistence)
    if form.relpersistence == "u" and form.relkind in "rtmi":
        _pending.create_fork(new, _INIT_FORK, True)
    return NewFile(rel.rd_id, old, new, rel.rd_backend)


def build_index(table: Any, index_oid: int) -> NewFile:
    """Fill a new file for an index from a table's descriptor."""
    index = relation_open(index_oid, ACCESS_EXCLUSIVE)
    try:
        made = make_file(index)
        copy = private_copy(index_oid, made.new)
        _, made.tuples, broken = index_build(table, copy)
        made.broken_hot_chain = bool(broken)
        if copy.persistence == "u":
            index_build_empty(copy, _INIT_FORK)
        made.pages = relation_pages(copy)
    finally:
        relation_close(index, 0)
    return made


def put_in_place(files: list[NewFile]) -> None:
    """Let pg_class and the relation map name the new files; the old ones go at commit."""
    rows = {made.oid: lookup(c.RELOID, made.oid) for made in files}
    for made in files:
        row = rows[made.oid]
        _pending.drop_storage(made.old, made.backend)
        if row.relfilenode:
            changes = {"relfilenode": made.new[2], "relpages": made.pages, "reltuples": float(made.tuples)}
            update_row(row.copy(**changes, **made.changes), row)
        else:
            relmap.update(made.oid, made.new[2], bool(row.relisshared), False)
        if made.oid in schemas_by_oid():
            # Cached rows of a catalog know their places in the old file.
            inval.register_catalog(0 if row.relisshared else session.database_id, made.oid)
        inval.invalidate_relcache(made.oid, bool(row.relisshared))
        note_new_file(made.oid, current_sub_transaction_id())
    # With nothing but mapped relations no row has changed; the command must end all the same, with a commit record.
    xact.get_current_transaction_id()
    xact.get_current_command_id(True)
    command_counter_increment()
    for made in files:
        row = lookup(c.RELOID, made.oid)
        if not row.relfilenode:
            changes = {"relpages": made.pages, "reltuples": float(made.tuples), **made.changes}
            while not update_row_inplace(row.copy(**changes)):
                row = lookup(c.RELOID, made.oid)


def index_oids(relid: int) -> list[int]:
    """The indexes of a table that have files."""
    return [row.indexrelid for row in scan_rows("pg_index", indrelid=relid) if row.indislive]


def rebuild_table(
    rel: Any, order_by: int, *, oldest_xmin: int, freeze_limit: int, oldest_mxact: int
) -> HeapRewrite:
    """Rewrite a table, in the order of an index if one is given, and build its indexes again.

    A TOAST table is a table of its own: values stay where they are, since its OID does not change.
    """
    relid = rel.rd_id
    made = make_file(rel)
    rewrite = HeapRewrite(rel, made.new, oldest_xmin, freeze_limit, oldest_mxact)
    if order_by:
        progress.update_multi({progress.Cluster.PHASE: progress.ClusterPhase.INDEX_SCAN_HEAP,
                               progress.Cluster.INDEX_RELID: order_by})
        index = relation_open(order_by, ACCESS_EXCLUSIVE)
        try:
            rewrite.copy_by_index(index)
        finally:
            relation_close(index, 0)
    else:
        progress.update_param(progress.Cluster.PHASE, progress.ClusterPhase.SEQ_SCAN_HEAP)
        rewrite.copy()
    rewrite.finish()
    made.pages = rewrite.blocks
    made.tuples = float(rewrite.live)
    made.changes = {
        "relallvisible": 0, "relallfrozen": 0, "relfrozenxid": freeze_limit, "relminmxid": oldest_mxact,
    }  # fmt: skip
    progress.update_param(progress.Cluster.PHASE, progress.ClusterPhase.REBUILD_INDEX)
    files = [made]
    table = private_copy(relid, made.new)
    for number, oid in enumerate(index_oids(relid)):
        files.append(build_index(table, oid))
        progress.update_param(progress.Cluster.INDEX_REBUILD_COUNT, number + 1)
    progress.update_param(progress.Cluster.PHASE, progress.ClusterPhase.SWAP_REL_FILES)
    put_in_place(files)
    validate(files[1:])
    if relid >= _FIRST_USER_OID:
        _forget_missing(relid)
    progress.update_param(progress.Cluster.PHASE, progress.ClusterPhase.FINAL_CLEANUP)
    return rewrite


def _forget_missing(relid: int) -> None:
    """Every row has all columns now (RelationClearMissing)."""
    for row in scan_rows("pg_attribute", attrelid=relid):
        if row.atthasmissing:
            update_row(row.copy(atthasmissing=False, attmissingval=None), row)
    command_counter_increment()


def validate(files: list[NewFile]) -> None:
    """Indexes just built are good, whatever they were before; those with broken HOT chains only for new snapshots."""
    changed = False
    for made in files:
        row = lookup(c.INDEXRELID, made.oid)
        wanted = {
            "indisvalid": True, "indisready": True, "indislive": True,
            "indcheckxmin": made.broken_hot_chain and made.oid >= _FIRST_USER_OID,
        }  # fmt: skip
        if any(getattr(row, name) != value for name, value in wanted.items()):
            update_row(row.copy(**wanted), row)
            inval.invalidate_relcache(row.indrelid, False)
            changed = True
    if changed:
        command_counter_increment()


def rebuild_indexes(relid: int, oids: list[int]) -> None:
    """Build these indexes of a table again."""
    table = relation_open(relid, 0)
    try:
        files = [build_index(table, oid) for oid in oids]
    finally:
        relation_close(table, 0)
    put_in_place(files)
    validate(files)


def refuse_in_use(rel: Any, command: str) -> None:
    """55006 if a query of this session has the table open besides us (CheckTableNotInUse)."""
    if rel.refcount > 1:
        raise SqlError(
            errcode.OBJECT_IN_USE,
            f'cannot {command} "{rel.name}" because it is being used by active queries in this session',
        )
