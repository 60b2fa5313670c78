# cython: language_level=3
"""The ABI of vector kernels: vectors of Datums, what a kernel is called with, and the registry by prosrc name."""

from libc.stdint cimport int32_t, uint8_t, uint16_t
from tusk._types cimport Datum, Oid

cdef enum:
    BATCH_ROWS = 1024           # most rows of a batch, hence lanes of a vector

cdef struct Vector:
    Datum *values               # 8-byte lanes; floats and by-value types as Datums, by-reference ones as addresses
    uint8_t *nulls              # 1: null. The lane's value is then undefined.

cdef enum:                      # what a kernel answers
    KERNEL_OK = 0
    KERNEL_REDO = 1             # lanes with nulls == 2 are to be computed by the scalar definition
    KERNEL_INT2_RANGE = 2       # 22003 smallint out of range
    KERNEL_INT4_RANGE = 3
    KERNEL_INT8_RANGE = 4
    KERNEL_DIVISION_BY_ZERO = 5     # 22012
    KERNEL_FLOAT_OVERFLOW = 6       # 22003 value out of range: overflow
    KERNEL_FLOAT_UNDERFLOW = 7
    KERNEL_TIMESTAMP_RANGE = 8      # 22008
    KERNEL_DATE_RANGE = 9

cdef enum:
    KERNEL_MAX_ARGS = 4

cdef struct KernelCall:
    Vector *out
    Vector *args[KERNEL_MAX_ARGS]
    const uint16_t *sel         # ascending row numbers; NULL: rows 0 .. n-1
    int n
    char *room                  # for by-reference results: the k-th selected row has room_bytes at k * room_bytes
    int room_bytes

# Strict: fills out for the selected rows, null where an argument is null.
ctypedef int (*kernel_fn)(KernelCall *call) noexcept nogil

cdef enum:                      # Kernel.flags
    KERNEL_C_COLLATION = 1      # only right under a collation that orders by bytes
    KERNEL_DETOASTED = 2        # its varlena arguments must be neither compressed nor external
    KERNEL_DETERMINISTIC = 4    # only right under a deterministic collation

cdef class Kernel:
    cdef kernel_fn fn
    cdef readonly str prosrc
    cdef readonly int nargs
    cdef readonly int room_bytes        # 0: result is by value
    cdef readonly int flags

cdef Kernel register_kernel(str prosrc, int nargs, kernel_fn fn, int room_bytes=*, int flags=*)
cdef Kernel find_kernel(str prosrc)     # or None
cdef int raise_kernel_error(int code) except -1
