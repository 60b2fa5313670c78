# cython: language_level=3
"""Taking many tuples apart at once, by column."""

from libc.stdint cimport int16_t, uint8_t
from tusk._types cimport Datum
from tusk.access._tupdesc cimport TupleDescData
from tusk.access._tuple cimport HeapTupleHeaderData

# Fill cols[k][i] and nulls[k][i] with attribute attnums[k] (from 1, ascending, each once) of tuples[i]. By-reference
# values point into the tuples. nulls[k] may not be NULL. ntuples is at most DEFORM_MAX.
cdef enum:
    DEFORM_MAX = 1024

cdef void deform_columns(const TupleDescData *desc, HeapTupleHeaderData **tuples, int ntuples, const int16_t *attnums,
                         int ncols, Datum **cols, uint8_t **nulls) noexcept nogil
