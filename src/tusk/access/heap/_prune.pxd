# cython: language_level=3
"""Pruning HOT chains and freezing (heapam.h: heap_page_prune_and_freeze)."""

from libc.stdint cimport uint8_t, uint16_t
from tusk._types cimport BlockNumber, MultiXactId, OffsetNumber, TransactionId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleHeaderData
from tusk.transaction._snapshot cimport GlobalVisState

cdef enum:                          # options
    HEAP_PAGE_PRUNE_MARK_UNUSED_NOW = 1     # the table has no indexes: dead items become unused at once
    HEAP_PAGE_PRUNE_FREEZE = 2

cdef enum:                          # PruneReason
    PRUNE_ON_ACCESS = 0
    PRUNE_VACUUM_SCAN = 1
    PRUNE_VACUUM_CLEANUP = 2

cdef struct VacuumCutoffs:          # commands/vacuum.h
    TransactionId relfrozenxid      # pg_class's: for sanity checks
    MultiXactId relminmxid
    TransactionId OldestXmin
    MultiXactId OldestMxact
    TransactionId FreezeLimit
    MultiXactId MultiXactCutoff

cdef struct PruneFreezeResult:
    int ndeleted
    int nnewlpdead
    int nfrozen
    int live_tuples
    int recently_dead_tuples
    bint all_visible                # with HEAP_PAGE_PRUNE_FREEZE only
    bint all_frozen
    TransactionId vm_conflict_horizon
    bint hastup
    int lpdead_items
    OffsetNumber deadoffsets[291]

# Prune if it looks worthwhile and the page can be had without waiting; the buffer is pinned, not locked.
cdef int heap_page_prune_opt(Relation rel, int buf) except -1
# The core; the buffer has a cleanup lock. new_relfrozenxid and new_relminmxid are moved back as needed (may be NULL
# without HEAP_PAGE_PRUNE_FREEZE, as may cutoffs).
cdef int heap_page_prune_and_freeze(Relation rel, int buf, GlobalVisState *vistest, int options,
                                    const VacuumCutoffs *cutoffs, PruneFreezeResult *result, int reason,
                                    OffsetNumber *off_loc, TransactionId *new_relfrozenxid,
                                    MultiXactId *new_relminmxid) except -1
# Second pass of vacuum: dead line pointers, their index entries gone, become unused.
cdef int heap_vacuum_page_items(Relation rel, int buf, int vm_buf, const OffsetNumber *dead, int ndead) except -1

# For redo.
cdef int heap_page_prune_execute(int buf, bint lp_truncate_only, const OffsetNumber *redirected, int nredirected,
                                 const OffsetNumber *nowdead, int ndead, const OffsetNumber *nowunused,
                                 int nunused) except -1
