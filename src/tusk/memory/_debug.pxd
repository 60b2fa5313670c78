# cython: language_level=3
"""TUSK_DEBUG: 1 in debug builds, else 0, so that the compiler removes what it guards."""

cdef extern from *:
    """
    #ifndef TUSK_DEBUG
    #define TUSK_DEBUG 0
    #endif
    """
    const bint TUSK_DEBUG
