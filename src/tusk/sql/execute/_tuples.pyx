"""Row versions by TID as Python values, for triggers."""

from libc.stdint cimport uint8_t
from tusk._types cimport Datum, tid_set
from tusk.access._index cimport UNIQUE_CHECK_EXISTING, index_insert
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport INDEX_MAX_KEYS, HeapTupleData, heap_deform_tuple
from tusk.access.heap._scan cimport heap_fetch
from tusk.sql.execute._result_relation cimport IndexTarget, ResultRelation
from tusk.sql.execute._state cimport EState
from tusk.storage._buffer cimport release_buffer
from tusk.transaction._snapshot cimport SnapshotAny, SnapshotSelf
from tusk.transaction._xact cimport transaction_id_is_current
from tusk.types._kernel_datum cimport datum_to_python, datum_type

from tusk.errors import SqlError, errcode
from tusk.sql.nodes.plantree import PlannedStmt


class Row(list):
    """The values of a row version; ``inserted_here``: by this transaction."""

    inserted_here = False


cdef object values_of(Relation rel, HeapTupleData *tup):
    cdef Datum values[1664]
    cdef uint8_t nulls[1664]
    cdef int i, n = rel.desc.natts
    heap_deform_tuple(tup.t_data, &rel.desc.c, n, values, nulls)
    row = Row()
    for i in range(n):
        if nulls[i] or rel.desc.attrs[i].attisdropped:
            row.append(None)
        else:
            row.append(datum_to_python(values[i], datum_type(rel.desc.attrs[i].atttypid)))
    row.inserted_here = transaction_id_is_current(tup.t_data.t_xmin)
    return row


def fetch(Relation rel, tid):
    """The row version at a TID, whoever may see it."""
    cdef HeapTupleData tup
    cdef int buf = 0
    tid_set(&tup.t_self, tid[0], tid[1])
    if not heap_fetch(rel, SnapshotAny, &tup, &buf, False):
        raise SqlError(errcode.INTERNAL_ERROR, "failed to fetch tuple for trigger")
    try:
        return values_of(rel, &tup)
    finally:
        release_buffer(buf)


def fetch_if_current(Relation rel, tid):
    """The row version at a TID if it is the present one, seen with this transaction's own changes; else None."""
    cdef HeapTupleData tup
    cdef int buf = 0
    tid_set(&tup.t_self, tid[0], tid[1])
    if not heap_fetch(rel, SnapshotSelf, &tup, &buf, False):
        return None
    try:
        return values_of(rel, &tup)
    finally:
        release_buffer(buf)


def recheck_unique(Relation rel, index_oid, tid):
    """Check an entry of a deferrable unique index again (unique_key_recheck)."""
    cdef EState estate
    cdef ResultRelation result
    cdef IndexTarget target
    cdef HeapTupleData tup
    cdef int buf = 0
    cdef Datum values[INDEX_MAX_KEYS]
    cdef uint8_t nulls[INDEX_MAX_KEYS]
    tid_set(&tup.t_self, tid[0], tid[1])
    if not heap_fetch(rel, SnapshotSelf, &tup, &buf, False):
        return
    try:
        estate = EState(PlannedStmt())
        result = ResultRelation(estate, rel)
        result.open_indexes(False)
        try:
            result.prepare_rows()
            result.load(result.row, &tup)
            result.ctx.scan = result.row
            for target in result.indexes:
                if target.index.rd_id == index_oid:
                    result.index_values(target, values, nulls)
                    index_insert(target.index, values, nulls, &tup.t_self, rel, UNIQUE_CHECK_EXISTING, False)
        finally:
            result.close_indexes()
    finally:
        release_buffer(buf)
