# cython: language_level=3
"""CREATE INDEX for b-trees (nbtsort.c's outer part)."""

from tusk._types cimport BlockNumber, ForkNumber
from tusk.access._relation cimport Relation
from tusk.access.nbtree._build cimport PageSink

cdef class RelationSink(PageSink):
    """Puts finished pages into a relation that has none, through the buffer pool, and logs them."""
    cdef Relation rel
    cdef ForkNumber fork
    cdef bint log
    cdef BlockNumber nblocks
    cdef int nwaiting
    cdef int buffers[32]
    cdef BlockNumber blocks[32]
    cdef void *pages[32]
    cdef int flush(self) except -1

cdef int bt_build_empty(Relation rel, ForkNumber fork, bint allequalimage) except -1
cdef bint equal_image_keys(Relation rel) except -1
