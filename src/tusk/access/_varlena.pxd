# cython: language_level=3
"""Variable-length values: the headers of varatt.h, as inline readers (little-endian machines).

A varlena begins with one of: a 4-byte header (length << 2; bit 1 set when compressed in line), a 1-byte header
(length << 1 | 1, up to 126 data bytes, unaligned), or 0x01 and a tag (a pointer to a value stored elsewhere).
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.string cimport memcpy
from tusk._types cimport Datum, Oid

cdef enum:
    VARHDRSZ = 4
    VARHDRSZ_SHORT = 1
    VARHDRSZ_EXTERNAL = 2
    VARHDRSZ_COMPRESSED = 8
    VARATT_SHORT_MAX = 0x7F
    VARTAG_ONDISK = 18
    VARLENA_EXTSIZE_BITS = 30
    VARLENA_EXTSIZE_MASK = 0x3FFFFFFF
    TOAST_PGLZ_COMPRESSION_ID = 0
    TOAST_LZ4_COMPRESSION_ID = 1
    TOAST_INVALID_COMPRESSION_ID = 2
    TOAST_POINTER_SIZE = 18         # header, tag and varatt_external

cdef struct varatt_external:        # 16 bytes; unaligned in a tuple, so copied out
    int32_t va_rawsize              # original size, header included
    uint32_t va_extinfo             # stored size without header, and compression method in the top two bits
    Oid va_valueid
    Oid va_toastrelid

cdef inline uint32_t load_u32(const void *address) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, address, 4)
    return value

cdef inline bint varatt_is_4b_u(const void *v) noexcept nogil:
    return ((<const uint8_t *> v)[0] & 0x03) == 0

cdef inline bint varatt_is_compressed(const void *v) noexcept nogil:
    return ((<const uint8_t *> v)[0] & 0x03) == 0x02

cdef inline bint varatt_is_short(const void *v) noexcept nogil:
    """One-byte header; true for external pointers too, as VARATT_IS_1B is."""
    return ((<const uint8_t *> v)[0] & 0x01) != 0

cdef inline bint varatt_is_external(const void *v) noexcept nogil:
    return (<const uint8_t *> v)[0] == 0x01

cdef inline bint varatt_is_extended(const void *v) noexcept nogil:
    """Anything but a plain 4-byte header."""
    return ((<const uint8_t *> v)[0] & 0x03) != 0

cdef inline bint varatt_needs_detoast(const void *v) noexcept nogil:
    """Compressed or external: the bytes are not at hand."""
    return (<const uint8_t *> v)[0] == 0x01 or ((<const uint8_t *> v)[0] & 0x03) == 0x02

cdef inline uint32_t varsize_4b(const void *v) noexcept nogil:
    return (load_u32(v) >> 2) & 0x3FFFFFFF

cdef inline uint32_t varsize_short(const void *v) noexcept nogil:
    return (<const uint8_t *> v)[0] >> 1

cdef inline uint32_t varsize_any(const void *v) noexcept nogil:
    """Bytes of the whole varlena, header included."""
    cdef uint8_t first = (<const uint8_t *> v)[0]
    if first == 0x01:
        return TOAST_POINTER_SIZE if (<const uint8_t *> v)[1] == VARTAG_ONDISK else VARHDRSZ_EXTERNAL + 8
    if first & 0x01:
        return first >> 1
    return (load_u32(v) >> 2) & 0x3FFFFFFF

cdef inline uint32_t varsize_any_exhdr(const void *v) noexcept nogil:
    """Bytes of data; not meaningful for external values."""
    cdef uint8_t first = (<const uint8_t *> v)[0]
    if first & 0x01:
        return (first >> 1) - VARHDRSZ_SHORT if first != 0x01 else varsize_any(v) - VARHDRSZ_EXTERNAL
    return ((load_u32(v) >> 2) & 0x3FFFFFFF) - VARHDRSZ

cdef inline const char *vardata_any(const void *v) noexcept nogil:
    """Where the data begins; the value must be neither compressed nor external."""
    return <const char *> v + (1 if (<const uint8_t *> v)[0] & 0x01 else 4)

cdef inline bint varatt_can_make_short(const void *v) noexcept nogil:
    return varatt_is_4b_u(v) and varsize_4b(v) - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX

cdef inline void set_varsize(void *v, uint32_t size) noexcept nogil:
    cdef uint32_t header = size << 2
    memcpy(v, &header, 4)

cdef inline void set_varsize_compressed(void *v, uint32_t size) noexcept nogil:
    cdef uint32_t header = (size << 2) | 0x02
    memcpy(v, &header, 4)

cdef inline void set_varsize_short(void *v, uint32_t size) noexcept nogil:
    (<uint8_t *> v)[0] = <uint8_t> ((size << 1) | 0x01)

cdef inline uint32_t vardata_compressed_rawsize(const void *v) noexcept nogil:
    """Data bytes of a value compressed in line, once decompressed."""
    return load_u32(<const char *> v + 4) & VARLENA_EXTSIZE_MASK

cdef inline uint32_t vardata_compressed_method(const void *v) noexcept nogil:
    return load_u32(<const char *> v + 4) >> VARLENA_EXTSIZE_BITS

cdef inline void varatt_external_get(const void *v, varatt_external *out) noexcept nogil:
    memcpy(out, <const char *> v + VARHDRSZ_EXTERNAL, sizeof(varatt_external))

cdef inline uint32_t varatt_external_extsize(const varatt_external *p) noexcept nogil:
    return p.va_extinfo & VARLENA_EXTSIZE_MASK

cdef inline bint varatt_external_is_compressed(const varatt_external *p) noexcept nogil:
    return varatt_external_extsize(p) < <uint32_t> p.va_rawsize - VARHDRSZ
