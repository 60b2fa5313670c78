# cython: language_level=3
"""CRC-32C (Castagnoli), the checksum of WAL records and of the control file."""

from libc.stdint cimport uint32_t

cdef enum:
    CRC32C_INIT = 0xFFFFFFFF

# Feed bytes into a running value: start with CRC32C_INIT, finish by inverting all bits.
cdef uint32_t crc32c_update(uint32_t crc, const void *data, size_t nbytes) noexcept nogil
