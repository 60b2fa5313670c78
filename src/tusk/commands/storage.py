"""New files for relations, and indexes built again: TRUNCATE, rewrites, REINDEX (relcache.c, index.c)."""

from __future__ import annotations

from tusk.catalog import cache as c
from tusk.catalog import heap, inval
from tusk.catalog import index as catalog_index
from tusk.catalog._relcache import note_new_file, relation_close, relation_open
from tusk.catalog._tuples import (
    command_counter_increment,
    current_sub_transaction_id,
    new_relation_horizon,
    new_relfilenumber,
    update_row,
)
from tusk.catalog.cache import lookup, scan_rows
from tusk.errors import SqlError, errcode
from tusk.transaction import _pending


def new_file(relid: int, persistence: str | None = None) -> None:
    """Give a relation a new, empty file; the old one goes at commit (RelationSetNewRelfilenumber)."""
    row = lookup(c.RELOID, relid)
    if not row.relfilenode:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'cannot give mapped relation "{row.relname}" a new file')
    rel = relation_open(relid, 0)
    old_locator, backend = rel.locator, rel.rd_backend
    relation_close(rel, 0)
    wanted = persistence or row.relpersistence
    number = new_relfilenumber(row.reltablespace, wanted, row.relisshared)
    changes = {"relfilenode": number, "relpersistence": wanted}
    if row.relkind != "S":
        changes.update(relpages=0, reltuples=-1.0, relallvisible=0, relallfrozen=0)
    if row.relkind in "rtm":
        frozen, minmulti = new_relation_horizon()
        changes.update(relfrozenxid=frozen, relminmxid=minmulti)
    changed = row.copy(**changes)
    update_row(changed, row)
    _pending.create_storage(heap.locator_of(changed), wanted)
    if wanted == "u" and row.relkind in "rtmi":
        _pending.create_fork(heap.locator_of(changed), 3, True)
    _pending.drop_storage(old_locator, backend)
    inval.invalidate_relcache(relid, row.relisshared)
    note_new_file(relid, current_sub_transaction_id())
    command_counter_increment()


def truncate_file(relid: int) -> None:
    """Cut a relation's file to nothing, for good (heap_truncate_one_rel)."""
    rel = relation_open(relid, 8)
    try:
        _pending.truncate(rel.locator, rel.persistence, 0)
    finally:
        relation_close(rel, 0)


def build_indexes(relid: int, *, fresh: bool = True) -> None:
    """Build all indexes of a table again, in new files unless the old ones are to be emptied (reindex_relation)."""
    for row in scan_rows("pg_index", indrelid=relid):
        relation_close(relation_open(row.indexrelid, 8), 0)
        if fresh:
            new_file(row.indexrelid)
        else:
            truncate_file(row.indexrelid)
        catalog_index.build(relid, row.indexrelid)
