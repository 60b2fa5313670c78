# cython: language_level=3
"""Where to split a page (nbtsplitloc.c)."""

from libc.stdint cimport uint32_t
from tusk._types cimport OffsetNumber
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport IndexTupleData

# The first old item of the right page; *newitemonleft tells where the new one goes. newitemsz is aligned.
cdef OffsetNumber bt_findsplitloc(Relation rel, const char *page, OffsetNumber newitemoff, uint32_t newitemsz,
                                  const IndexTupleData *newitem, bint *newitemonleft) except 0
# Leading attributes that tell two leaf tuples apart, by their bytes; more than there are when all are the same.
cdef int bt_keep_natts_fast(Relation rel, const IndexTupleData *lastleft, const IndexTupleData *firstright) noexcept
