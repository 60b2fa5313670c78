"""The b-tree as an index access method: what the face over index methods calls."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from tusk._types cimport Datum, ItemPointerData
from tusk.access._index cimport IndexFormer, IndexMethod, IndexScan, IndexVacuumStats, tid_is_dead
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData, index_form_tuple_into, index_tuple_form_size
from tusk.access.nbtree._index_build cimport bt_build_empty, equal_image_keys
from tusk.access.nbtree._insert cimport bt_doinsert
from tusk.access.nbtree._scan cimport BTScan
from tusk.access.nbtree._vacuum cimport bt_bulk_delete, bt_vacuum_cleanup

from tusk.access._index import register_index_method
from tusk.access.nbtree._index_build import build_index

cdef enum:
    BTREE_AM_OID = 403


cdef class BTMethod(IndexMethod):
    """pg_am's btree."""

    def __init__(self):
        self.name = "btree"
        self.amcanorder = True
        self.amcanunique = True
        self.amcanmulticol = True
        self.amsearcharray = True
        self.amsearchnulls = True
        self.amsummarizing = False
        self.amcaninclude = True

    cdef IndexScan new_scan(self):
        return BTScan.__new__(BTScan)

    cdef int insert(
        self, Relation index, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid, Relation heap,
        int check_unique, bint index_unchanged,
    ) except -1:
        cdef char room[512]
        cdef uint32_t size = index_tuple_form_size(&index.desc.c, values, nulls)
        cdef IndexTupleData *itup = <IndexTupleData *> room
        if size > sizeof(room):
            itup = <IndexTupleData *> malloc(size)
            if itup == NULL:
                raise MemoryError
        try:
            index_form_tuple_into(&index.desc.c, values, nulls, itup, size)
            itup.t_tid = tid[0]
            return bt_doinsert(index, itup, check_unique, index_unchanged, heap)
        finally:
            if <char *> itup != room:
                free(itup)

    cdef tuple build(self, Relation heap, Relation index, IndexFormer former):
        return build_index(heap, index, former)

    cdef int build_empty(self, Relation index, int fork) except -1:
        return bt_build_empty(index, fork, equal_image_keys(index))

    cdef int bulk_delete(
        self, Relation index, Relation heap, tid_is_dead is_dead, void *arg, IndexVacuumStats *stats,
    ) except -1:
        return bt_bulk_delete(index, heap, is_dead, arg, stats)

    cdef int vacuum_cleanup(self, Relation index, Relation heap, IndexVacuumStats *stats, bint scanned) except -1:
        return bt_vacuum_cleanup(index, heap, stats, scanned)


register_index_method(BTREE_AM_OID, BTMethod())
