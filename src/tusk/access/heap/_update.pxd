# cython: language_level=3
"""Updating heap tuples."""

from tusk._types cimport CommandId, ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport TM_FailureData
from tusk.transaction._snapshot cimport Snapshot

# A TM_Result. newtup gets its header and t_self; *lockmode is the row lock the update took (LockTuple*), for following
# a concurrent update; *update_indexes (TU_*) says which indexes need entries for the new version.
cdef int heap_update(Relation rel, const ItemPointerData *otid, HeapTupleData *newtup, CommandId cid,
                     Snapshot crosscheck, bint wait, TM_FailureData *tmfd, int *lockmode,
                     int *update_indexes) except -1
# Catalog convenience: an unexpected concurrent change raises.
cdef int simple_heap_update(Relation rel, const ItemPointerData *otid, HeapTupleData *newtup,
                            int *update_indexes) except -1
