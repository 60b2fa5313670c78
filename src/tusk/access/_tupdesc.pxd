# cython: language_level=3
"""Descriptors of row types."""

from libc.stdint cimport int16_t, int32_t, uint8_t
from tusk._types cimport Datum, Oid

cdef struct Attribute:
    Oid atttypid
    int32_t atttypmod
    Oid attcollation
    int32_t attcacheoff         # offset in the data area of a tuple without nulls, or -1
    int16_t attlen              # -1 varlena, -2 cstring
    int16_t attnum              # from 1
    int16_t attndims
    uint8_t attalignby          # 1, 2, 4 or 8
    uint8_t attbyval
    uint8_t attispackable       # varlena that may get a 1-byte header
    uint8_t attnotnull
    uint8_t attisdropped
    uint8_t atthasmissing
    uint8_t atthasdef
    char attalign               # c s i d
    char attstorage             # p e m x
    char attcompression         # 0, p, l
    char attgenerated           # 0, s, v
    char attidentity            # 0, a, d

cdef struct TupleDescData:
    int natts
    int nfixed                  # leading attributes whose attcacheoff is known
    int has_missing
    Attribute *attrs
    Datum *missing              # NULL, or per attribute; see missing_present
    uint8_t *missing_present

cdef class TupleDesc:
    cdef TupleDescData c                # what kernels take (&desc.c): no Python object in it
    cdef readonly int natts
    cdef Attribute *attrs
    cdef public Oid tdtypeid
    cdef public int32_t tdtypmod
    cdef readonly tuple names
    cdef public object constr           # whatever relcache hangs here: defaults, checks, generated columns
    cdef list missing_held              # bytes objects the missing datums point into

    cpdef int set_missing(self, int attnum, object value) except -1
    cdef int freeze(self) except -1

cpdef TupleDesc make_tupdesc(object rows, Oid typeid=*, int32_t typmod=*)
