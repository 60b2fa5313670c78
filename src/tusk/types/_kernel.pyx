"""The registry of vector kernels (see _kernel.pxd), keyed by the prosrc names of the functions they compute."""

from tusk.errors import SqlError, errcode
from tusk.types.collate import is_bytewise, locale_of

cdef dict _kernels = {}


cdef class Kernel:
    """A native vector form of a built-in function."""

    def __repr__(self):
        return f"<kernel {self.prosrc}>"


cdef Kernel register_kernel(str prosrc, int nargs, kernel_fn fn, int room_bytes=0, int flags=0):
    """Make fn the vector form of the function with this prosrc."""
    cdef Kernel kernel = Kernel.__new__(Kernel)
    kernel.prosrc = prosrc
    kernel.nargs = nargs
    kernel.fn = fn
    kernel.room_bytes = room_bytes
    kernel.flags = flags
    _kernels[prosrc] = kernel
    return kernel


cdef Kernel find_kernel(str prosrc):
    return _kernels.get(prosrc)


def registered_kernels():
    """Names of all functions that have a kernel."""
    return sorted(_kernels)


_ERRORS = {
    KERNEL_INT2_RANGE: (errcode.NUMERIC_VALUE_OUT_OF_RANGE, "smallint out of range"),
    KERNEL_INT4_RANGE: (errcode.NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"),
    KERNEL_INT8_RANGE: (errcode.NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range"),
    KERNEL_DIVISION_BY_ZERO: (errcode.DIVISION_BY_ZERO, "division by zero"),
    KERNEL_FLOAT_OVERFLOW: (errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"),
    KERNEL_FLOAT_UNDERFLOW: (errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"),
    KERNEL_TIMESTAMP_RANGE: (errcode.DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range"),
    KERNEL_DATE_RANGE: (errcode.DATETIME_VALUE_OUT_OF_RANGE, "date out of range"),
}


cdef int raise_kernel_error(int code) except -1:
    """Raise the SQL error that a kernel reported."""
    state, message = _ERRORS[code]
    raise SqlError(state, message)


def kernel_for(str prosrc, int nargs, Oid collation):
    """The kernel of a function for calls with this many arguments and this input collation, or None."""
    cdef Kernel kernel = find_kernel(prosrc)
    if kernel is None or kernel.nargs != nargs:
        return None
    if kernel.flags & KERNEL_C_COLLATION and (collation == 0 or not is_bytewise(collation)):
        return None
    if kernel.flags & KERNEL_DETERMINISTIC and not _is_deterministic(collation):
        return None
    return kernel


def _is_deterministic(Oid collation):
    return collation in (100, 950, 951) or (collation != 0 and locale_of(collation)[2])
