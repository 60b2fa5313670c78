# cython: language_level=3
"""Row locks (heap_lock_tuple)."""

from tusk._types cimport CommandId, ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport TM_FailureData

# tuple.t_self names the row version; on return *buf is pinned (the caller releases it) and tuple.t_data points into
# it. mode: LockTuple*, wait_policy: LockWait* of transaction._lock. Returns a TM_Result.
cdef int heap_lock_tuple(Relation rel, HeapTupleData *tup, CommandId cid, int mode, int wait_policy,
                         bint follow_updates, int *buf, TM_FailureData *tmfd) except -1

# The row version at *tid for a command that found it by an older snapshot (heapam_tuple_lock). With find_latest an
# updated row's newest version is locked instead and *tid set to it; tmfd.traversed tells. *buf: pinned with TM_Ok.
cdef int table_tuple_lock(Relation rel, ItemPointerData *tid, HeapTupleData *tup, CommandId cid, int mode,
                          int wait_policy, bint follow_updates, bint find_latest, int *buf,
                          TM_FailureData *tmfd) except -1
