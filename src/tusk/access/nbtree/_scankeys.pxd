# cython: language_level=3
"""What a b-tree scan has to fulfil: its keys made ready, with arrays (nbtpreprocesskeys.c, nbtutils.c)."""

from libc.stdint cimport int16_t, uint8_t, uint16_t
from tusk._types cimport Datum
from tusk.access._compare cimport Comparator
from tusk.access._index cimport ScanKeyData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData
from tusk.access.nbtree._search cimport BTScanInsert

cdef enum:                          # BTScanKey.kind
    COMPARE_KEY = 0                 # column op argument
    ISNULL_KEY = 1
    NOTNULL_KEY = 2
    ARRAY_KEY = 3                   # column = ANY (elems), by which the scan proceeds
    MEMBER_KEY = 4                  # column op ANY (elems), as a filter
    ROW_KEY = 5

cdef struct BTScanKey:
    uint8_t kind
    uint8_t strategy                # as the operator says
    uint8_t order                   # as the index orders: flipped for DESC columns
    uint8_t required_fwd            # once it fails going this way, it fails for all that follows
    uint8_t required_bwd
    uint8_t nulls_first
    uint8_t desc
    uint8_t same_type               # argument is of the column's type
    int16_t attno
    Comparator cmp                  # column value against argument
    Datum argument
    Datum *elems                    # arrays: sorted in index order, unique, own copy
    int nelems
    int cur
    Comparator elem_cmp             # element against element; fn NULL: elements are not sorted
    ScanKeyData *members            # ROW_KEY
    bint row_exact                  # members are consecutive index columns of one direction

cdef class BTScanKeys:
    cdef Relation rel
    cdef BTScanKey *keys            # by column
    cdef int nkeys
    cdef int room
    cdef int narrays
    cdef bint qual_ok               # False: nothing can match
    cdef bint monotone              # if two tuples match, all between them do
    cdef list held                  # comparators' states
    # results of check
    cdef bint more                  # False: nothing that follows can match
    cdef bint behind                # the tuple comes before the place where the scan should go on

    cdef int prepare(self, const ScanKeyData *keys, int nkeys) except -1
    cdef int start_arrays(self, bint backward) noexcept
    # Whether a tuple (its first natts columns) fulfils all keys.
    cdef bint check(self, const IndexTupleData *itup, int natts, bint backward) except? -1
    # Fills a key to begin with; returns how many columns it has. 0: begin at the end of the index.
    cdef int boundary(self, BTScanInsert *key, bint backward) except -1
    cdef void release(self) noexcept
    cdef int add(self, const ScanKeyData *k) except -1
    cdef int reduce(self) except -1
    cdef int mark_required(self) except -1
    cdef int advance_before(self, int i_key, bint backward) noexcept
    cdef bint check_array(self, BTScanKey *k, int i_key, Datum value, bint isnull, bint backward) except? -1
    cdef bint check_row(self, BTScanKey *k, int i_key, const IndexTupleData *itup, int natts, bint backward) except? -1
    cdef bint passed(self, int i_key, bint backward) noexcept
