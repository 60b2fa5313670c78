# cython: language_level=3
"""Overwriting a catalog tuple in place (statistics and flags that no transaction owns)."""

from tusk._types cimport ItemPointerData
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData

# Pin, lock and check the tuple at old.t_self; old.t_data then points into the page. 1: locked, go on to
# heap_inplace_update_and_unlock or heap_inplace_unlock. 0: it was changed meanwhile (waited for): look it up again.
cdef int heap_inplace_lock(Relation rel, HeapTupleData *old, int *buf) except -1
cdef int heap_inplace_update_and_unlock(Relation rel, HeapTupleData *old, const HeapTupleData *new,
                                        int buf) except -1
cdef int heap_inplace_unlock(Relation rel, const HeapTupleData *old, int buf) except -1
