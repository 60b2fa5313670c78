# cython: language_level=3
"""Text and binary protocol forms of Datums, written straight into a growing buffer."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from tusk._types cimport Datum
from tusk.types._kernel_datum cimport DatumType

cdef struct OutBuffer:
    char *data
    size_t size
    size_t room

# Appends the form of a value that is not null; answers 1, or 0 when only the codec can do it (nothing is written).
ctypedef int (*output_fn)(Datum value, OutBuffer *out) except -1

cdef int out_grow(OutBuffer *out, size_t more) except -1
cdef void out_free(OutBuffer *out) noexcept

cdef inline int out_reserve(OutBuffer *out, size_t more) except -1:
    """Make room for so many more bytes."""
    if out.size + more > out.room:
        return out_grow(out, more)
    return 0

cdef inline void put_u32(char *p, uint32_t value) noexcept nogil:
    """Big-endian."""
    p[0] = <char> (value >> 24)
    p[1] = <char> (value >> 16)
    p[2] = <char> (value >> 8)
    p[3] = <char> value

# NULL: through the codec. The choice holds for the present settings (DateStyle, extra_float_digits).
cdef output_fn text_output(DatumType type)
cdef output_fn binary_output(DatumType type)
