# cython: language_level=3
"""Comparison of Datums by the prosrc names of b-tree support functions.

A comparator is a C function and a state pointer; the state stays alive as long as the object that the look-up returns
(None for most). Comparators written in Python raise; native ones hardly ever do (values to detoast aside).
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from tusk._types cimport Datum, Oid

ctypedef int (*compare_fn)(Datum a, Datum b, void *state) except? -2

cdef struct Comparator:
    compare_fn fn
    void *state

cdef enum:
    C_COLLATION_OID = 950
    DEFAULT_COLLATION_OID = 100
    POSIX_COLLATION_OID = 951

# What a factory (register_comparator) may return instead of a Python callable: its state is the object itself.
cdef class NativeComparator:
    cdef compare_fn fn
    cdef void *data

# Look up by prosrc ("btint4cmp"); fills *out, returns the object that keeps out.state alive (None when there is no
# state). collation matters for text types; raises 42P22 when it is needed and 0. Unknown names: feature_not_supported.
cdef object lookup_comparator(str prosrc, Oid collation, Comparator *out)

# True when the collation orders strings by their bytes.
cdef bint collation_is_c(Oid collation) except -1

# For kernels that know their types.
cdef int compare_numeric(Datum a, Datum b) noexcept nogil       # both detoasted (1- or 4-byte header)
cdef int compare_bytes(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen) noexcept nogil
cdef int compare_strings(const char *a, Py_ssize_t alen, const char *b, Py_ssize_t blen, Oid collation) except? -2
cdef int compare_float8(double a, double b) noexcept nogil

# A malloc'ed plain copy (4-byte header) of a compressed or external value; set by access.toast.
ctypedef char *(*detoast_malloc_fn)(const void *value) except NULL
cdef detoast_malloc_fn detoast_malloc_hook
