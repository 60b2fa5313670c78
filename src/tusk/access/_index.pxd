# cython: language_level=3
"""The face over index access methods (access/amapi.h, genam.h, skey.h): what executor, catalog and toast call, and
what an index method implements."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t
from tusk._types cimport BlockNumber, Datum, ItemPointerData, Oid
from tusk.access._compare cimport Comparator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData, IndexTupleData
from tusk.access.heap._scan cimport IndexFetch
from tusk.transaction._snapshot cimport Snapshot

cdef enum:                              # strategies of b-tree
    BTLessStrategyNumber = 1
    BTLessEqualStrategyNumber = 2
    BTEqualStrategyNumber = 3
    BTGreaterEqualStrategyNumber = 4
    BTGreaterStrategyNumber = 5

cdef enum:                              # ScanKeyData.sk_flags
    SK_ISNULL = 0x0001
    SK_UNARY = 0x0002
    SK_ROW_HEADER = 0x0004
    SK_ROW_MEMBER = 0x0008
    SK_ROW_END = 0x0010
    SK_SEARCHARRAY = 0x0020             # sk_elems, sk_nelems: = ANY
    SK_SEARCHNULL = 0x0040
    SK_SEARCHNOTNULL = 0x0080
    SK_ORDER_BY = 0x0100

cdef enum:                              # IndexUniqueCheck
    UNIQUE_CHECK_NO = 0
    UNIQUE_CHECK_YES = 1                # raise 23505 on a duplicate
    UNIQUE_CHECK_PARTIAL = 2            # insert anyway; answer 0 when there may be one
    UNIQUE_CHECK_EXISTING = 3           # the entry is there: just check

cdef struct ScanKeyData:
    int sk_flags
    int16_t sk_attno                    # index column, from 1
    uint16_t sk_strategy
    Oid sk_subtype                      # type of the argument
    Oid sk_collation
    Comparator sk_cmp                   # column value against argument; fn NULL: the index's own comparator serves
    Datum sk_argument
    int sk_nelems                       # SK_SEARCHARRAY: not null elements, any order
    Datum *sk_elems
    ScanKeyData *sk_members             # SK_ROW_HEADER: members up to the one with SK_ROW_END

ctypedef int (*tid_sink)(void *arg, const ItemPointerData *tids, int ntids, bint recheck) except -1

# VACUUM asks whether a row is to be removed.
ctypedef int (*tid_is_dead)(const ItemPointerData *tid, void *arg) except -1

cdef struct IndexVacuumStats:           # IndexBulkDeleteResult
    BlockNumber num_pages
    bint estimated_count
    double num_index_tuples
    double tuples_removed
    BlockNumber pages_newly_deleted
    BlockNumber pages_deleted
    BlockNumber pages_free

cdef class IndexScan:
    """Base of every index method's scan. The method overrides the c-methods; users call the functions below."""
    cdef readonly Relation heap         # None for bitmap scans
    cdef readonly Relation index
    cdef readonly Snapshot snapshot
    cdef IndexFetch fetch
    cdef ScanKeyData *keys              # own copy; arguments must outlive the scan
    cdef int nkeys
    cdef int keys_room
    # set by next_tid:
    cdef ItemPointerData heaptid
    cdef bint recheck
    cdef IndexTupleData *itup           # with want_itup: the index tuple, valid until the next call
    cdef bint want_itup
    # set by index_fetch_heap for the next next_tid: nobody needs the tuple any more, its index entry may be marked
    cdef bint kill_prior_tuple
    cdef bint ignore_killed_tuples

    cdef int begin(self, Relation heap, Relation index, Snapshot snapshot) except -1
    cdef int set_keys(self, const ScanKeyData *keys, int nkeys) except -1
    cdef int rescan(self) except -1                                     # keys are set already
    cdef int next_tid(self, bint backward) except -1                    # 1 and heaptid, or 0
    # All matching TIDs at once: calls sink(arg, tids, n, recheck) for each page's worth; returns how many.
    cdef long long get_bitmap(self, tid_sink sink, void *arg) except -1
    cdef int mark_position(self) except -1
    cdef int restore_position(self) except -1
    cdef int end(self) except -1

cdef class IndexFormer:
    """Makes the index values of rows while an index is built; the executor has one for expressions and predicates."""
    cdef readonly Relation heap
    cdef readonly Relation index
    cdef char *fetched[32]
    cdef int nfetched
    cdef void release(self) noexcept
    cdef int fetch_external(self, Datum *values, const uint8_t *nulls) except -1
    # 1, or 0 when a partial index does not want the row. Values are valid until the next call.
    cdef int form(self, const HeapTupleData *tup, Datum *values, uint8_t *nulls) except -1

cdef class IndexMethod:
    """Base of an index access method; registered with `register_index_method`."""
    cdef public str name
    cdef public bint amcanorder
    cdef public bint amcanunique
    cdef public bint amcanmulticol
    cdef public bint amsearcharray
    cdef public bint amsearchnulls
    cdef public bint amsummarizing
    cdef public bint amcaninclude

    cdef IndexScan new_scan(self)
    # values and nulls of all indnatts columns, detoasted. 1, or 0 for UNIQUE_CHECK_PARTIAL's "perhaps a duplicate".
    cdef int insert(self, Relation index, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid,
                    Relation heap, int check_unique, bint index_unchanged) except -1
    # Fill an index that has no pages: (rows of the table, entries, whether a HOT chain is broken).
    cdef tuple build(self, Relation heap, Relation index, IndexFormer former)
    # An empty index, for tables that are truncated or unlogged.
    cdef int build_empty(self, Relation index, int fork) except -1
    # VACUUM: remove the entries of dead rows, any number of times; then clean up (scanned: it did remove something).
    # The second returns 0 when it had nothing to do and stats say nothing.
    cdef int bulk_delete(self, Relation index, Relation heap, tid_is_dead is_dead, void *arg,
                         IndexVacuumStats *stats) except -1
    cdef int vacuum_cleanup(self, Relation index, Relation heap, IndexVacuumStats *stats, bint scanned) except -1

cpdef register_index_method(object am_oid, IndexMethod method)
cdef IndexMethod index_method_of(Relation index)

cdef IndexScan index_beginscan(Relation heap, Relation index, Snapshot snapshot)
cdef IndexScan index_beginscan_bitmap(Relation index, Snapshot snapshot)
cdef int index_rescan(IndexScan scan, const ScanKeyData *keys, int nkeys) except -1
cdef int index_getnext_tid(IndexScan scan, bint backward) except -1
# The visible tuple of scan.heaptid (a HOT chain is followed), NULL when there is none; valid while the page is pinned,
# that is until the next call.
cdef HeapTupleData *index_fetch_heap(IndexScan scan) except? NULL
cdef HeapTupleData *index_getnext(IndexScan scan, bint backward) except? NULL
cdef int index_endscan(IndexScan scan) except -1
# Raw values (perhaps compressed or external) are detoasted here.
cdef int index_insert(Relation index, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid,
                      Relation heap, int check_unique, bint index_unchanged) except -1
# Values of an index without expressions, from a heap tuple of its table (FormIndexDatum's simple case).
cdef int form_index_values(Relation index, const HeapTupleData *tup, Relation heap, Datum *values,
                           uint8_t *nulls) except -1
cdef int init_scan_key(ScanKeyData *key, Relation index, int attno, int strategy, Datum argument) except -1
