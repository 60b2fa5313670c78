# cython: language_level=3
"""Finding a page with room for a tuple, and putting it there (access/hio.h)."""

from tusk._types cimport BlockNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._heap cimport BulkInsertState

# A pinned, exclusively locked buffer with room for nbytes (RelationGetBufferForTuple). other_buf: 0, or a pinned
# buffer of the relation that gets locked too (it may be the result). vm_buf: map page of the result's block if it is
# all-visible; vm_buf_other: same for other_buf. num_pages: how many pages the caller will fill, 0 unknown.
cdef int buffer_for_tuple(Relation rel, size_t nbytes, int other_buf, int options, BulkInsertState bistate,
                          int *vm_buf, int *vm_buf_other, int num_pages) except 0
# Add the tuple to the page (room is there); sets t_self and, unless it carries a token, the stored t_ctid.
cdef int put_heap_tuple(int buf, HeapTupleData *tup, bint token) except -1
