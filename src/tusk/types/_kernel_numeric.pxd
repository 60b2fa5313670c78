# cython: language_level=3
"""numeric values in 128-bit integers."""

from tusk._types cimport Datum

cdef extern from *:
    """
    #ifndef TUSK_INT128
    #define TUSK_INT128
    typedef __int128 tusk_int128;
    #endif
    """
    ctypedef long long int128 "tusk_int128"

cdef enum:
    NUMERIC_ROOM = 40               # bytes that numeric_pack may write

cdef int128 POWERS[39]              # of ten

cdef bint numeric_unpack(Datum value, int128 *coefficient, int *dscale) noexcept nogil
cdef int numeric_pack(int128 value, int dscale, char *room) noexcept nogil
