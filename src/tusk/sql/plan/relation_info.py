"""What the planner reads from the catalogs about a table and its indexes (optimizer/util/plancat.c)."""

from __future__ import annotations

import math
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog.cache import lookup
from tusk.sql.nodes import Var, enums
from tusk.sql.nodes.nodefuncs import mutate_levels
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.plan.exprs import and_list
from tusk.sql.plan.fold import fold_constants
from tusk.sql.plan.structures import IndexInfo, Rel, Root
from tusk.storage import _smgr

NO_LOCK = 0
PAGE_HEADER, TUPLE_OVERHEAD, BLCKSZ = 24, 28, 8192
_STORAGE_KINDS = "rtmS"


def load_relation(root: Root, rel: Rel) -> None:
    """Fill in sizes and indexes of a base relation, whose lock the analyzer has taken."""
    heap = relation_open(rel.rte.relid, NO_LOCK)
    try:
        if heap.kind in _STORAGE_KINDS:
            rel.pages = _smgr.nblocks(heap.locator, 0, heap.rd_backend)
            rel.tuples, rel.all_visible_fraction = _estimate_tuples(heap, rel.pages)
        for index_oid in heap.index_oids:
            _load_index(root, rel, index_oid)
    finally:
        relation_close(heap, NO_LOCK)


def _estimate_tuples(heap: Any, pages: int) -> tuple[float, float]:
    """Rows and the share of all-visible pages, from the last VACUUM's density (estimate_rel_size)."""
    form = heap.form
    reltuples, relpages, allvisible = (
        (form.reltuples, form.relpages, form.relallvisible) if form is not None else (-1, 0, 0)
    )
    if pages < 10 and reltuples < 0:
        pages = 10
    if pages == 0:
        return 0.0, 0.0
    if reltuples >= 0 and relpages > 0:
        density = reltuples / relpages
    else:
        width = sum(
            type_width(attribute.atttypid, attribute.atttypmod)
            for attribute in (heap.extra.attributes if heap.extra is not None else ())
            if attribute.attnum > 0 and not attribute.attisdropped
        )
        density = max(1, (BLCKSZ - PAGE_HEADER) // (width + TUPLE_OVERHEAD))
    fraction = 0.0
    if allvisible > 0:
        fraction = 1.0 if allvisible >= pages else allvisible / pages
    return float(round(density * pages)), fraction


def _load_index(root: Root, rel: Rel, index_oid: int) -> None:
    index = relation_open(index_oid, NO_LOCK)
    try:
        row = lookup(c.INDEXRELID, index_oid)
        if row is None or index.am_name != "btree" or not index.indisvalid:
            return
        pages = max(1, _smgr.nblocks(index.locator, 0, index.rd_backend))
        predicate = _stored(root, row.indpred, rel.rtindex) if row.indpred else None
        fraction = 1.0 if predicate is None else _partial_fraction(index, rel)
        rel.indexes.append(
            IndexInfo(
                oid=index_oid,
                relam=index.am_name,
                keys=list(index.indkey),
                nkeys=index.indnkeyatts,
                expressions=_stored(root, row.indexprs, rel.rtindex) if row.indexprs else [],
                predicate=and_list(predicate),
                opfamilies=[_opclass(oid).opcfamily for oid in row.indclass],
                opcintypes=[_opclass(oid).opcintype for oid in row.indclass],
                collations=list(row.indcollation),
                descending=[bool(option & 1) for option in row.indoption],
                nulls_first=[bool(option & 2) for option in row.indoption],
                unique=index.indisunique,
                immediate=index.indimmediate,
                pages=pages,
                tuples=rel.tuples * fraction,
                tree_height=0 if pages <= 2 else max(1, math.ceil(math.log(pages, 256))),
            )
        )
    finally:
        relation_close(index, NO_LOCK)


def _opclass(oid: int) -> Any:
    return lookup(c.CLAOID, oid)


def _partial_fraction(index: Any, rel: Rel) -> float:
    form = index.form
    if form is None or form.reltuples < 0 or rel.tuples <= 0:
        return 0.1
    return min(1.0, float(form.reltuples) / rel.tuples)


def _stored(root: Root, text: str, rtindex: int) -> Any:
    """A stored expression about Var 1 as one about this range table entry."""

    def change(node: Any, _level: int) -> Any:
        if type(node) is Var:
            return Var(
                varno=rtindex, varattno=node.varattno, vartype=node.vartype, vartypmod=node.vartypmod,
                varcollid=node.varcollid, varnosyn=rtindex, varattnosyn=node.varattno, location=-1,
            )  # fmt: skip
        return None

    return fold_constants(root, mutate_levels(read_node_tree(text), change))


def relation_width(rel: Rel) -> int:
    """Bytes of the columns that are needed, by statistics or by type."""
    return sum(attribute_width(rel, var) for var in rel.target)


def attribute_width(rel: Rel, var: Var) -> int:
    """Average bytes of a column."""
    if rel.rte is not None and rel.rte.rtekind == enums.RTE_RELATION and var.varattno > 0:
        row = lookup(c.STATRELATTINH, rel.rte.relid, var.varattno, False)
        if row is not None and row.stawidth > 0:
            return int(row.stawidth)
    return type_width(var.vartype, var.vartypmod)


def type_width(type_oid: int, typmod: int) -> int:
    """Bytes a value of a type is guessed to take (get_typavgwidth)."""
    row = lookup(c.TYPEOID, type_oid)
    if row is None:
        return 32
    if row.typlen > 0:
        return int(row.typlen)
    if typmod > 4 and row.typname in ("bpchar", "varchar"):
        limit = (typmod - 4) * (1 if row.typname == "varchar" else 4) + 4
        if row.typname == "bpchar":
            return typmod
        if limit <= 32:
            return limit
        return 32 + (limit - 32) // 2 if limit < 1000 else 32 + (1000 - 32) // 2
    return 32
