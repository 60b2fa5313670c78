"""pglz and lz4 for single values.

The compressed form: 4-byte header with bit 1 set, the raw size and method in the next 4 bytes, then the data.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk.access._varlena cimport (
    TOAST_LZ4_COMPRESSION_ID, TOAST_PGLZ_COMPRESSION_ID, VARHDRSZ_COMPRESSED, VARLENA_EXTSIZE_BITS, load_u32,
    set_varsize_compressed, vardata_any, vardata_compressed_method, vardata_compressed_rawsize, varsize_4b,
    varsize_any_exhdr,
)
from tusk.errors import SqlError, errcode
from tusk.wal._pglz cimport pglz_compress, pglz_decompress

import lz4.block

_default_method = None


def set_default_method(function):
    """Name the function that gives default_toast_compression ("pglz" or "lz4")."""
    global _default_method
    _default_method = function


cdef char *toast_compress(const void *value, char method) except? NULL:
    cdef int32_t raw = <int32_t> varsize_any_exhdr(value)
    cdef const char *data = vardata_any(value)
    cdef char *out
    cdef int32_t n
    cdef uint32_t info
    cdef bytes packed
    if method == 0:
        method = c'l' if _default_method is not None and _default_method() == "lz4" else c'p'
    if method == c'p':
        if raw < 32:
            return NULL
        out = <char *> malloc(raw + 4 + VARHDRSZ_COMPRESSED)
        if out == NULL:
            raise MemoryError
        n = pglz_compress(data, raw, out + VARHDRSZ_COMPRESSED)
        info = <uint32_t> raw | (<uint32_t> TOAST_PGLZ_COMPRESSION_ID << VARLENA_EXTSIZE_BITS)
        if n < 0:
            free(out)
            return NULL
    else:
        packed = lz4.block.compress(data[:raw], store_size=False)
        n = <int32_t> len(packed)
        if n > raw:
            return NULL
        out = <char *> malloc(n + VARHDRSZ_COMPRESSED)
        if out == NULL:
            raise MemoryError
        memcpy(out + VARHDRSZ_COMPRESSED, <const char *> packed, n)
        info = <uint32_t> raw | (<uint32_t> TOAST_LZ4_COMPRESSION_ID << VARLENA_EXTSIZE_BITS)
    set_varsize_compressed(out, n + VARHDRSZ_COMPRESSED)
    memcpy(out + 4, &info, 4)
    # It must save more than two bytes, or alignment may eat what it saves.
    if n + VARHDRSZ_COMPRESSED >= raw - 2:
        free(out)
        return NULL
    return out


cdef int32_t decompress_prefix(const uint8_t *p, const uint8_t *end, uint8_t *out, int32_t wanted) noexcept nogil:
    """The first `wanted` bytes of pglz data; how many there were."""
    cdef int32_t done = 0
    cdef uint8_t control
    cdef int bit
    cdef int32_t length, offset, i
    while p < end and done < wanted:
        control = p[0]
        p += 1
        for bit in range(8):
            if p >= end or done >= wanted:
                break
            if not (control >> bit) & 1:
                out[done] = p[0]
                done += 1
                p += 1
                continue
            if end - p < 2:
                return -1
            length = (p[0] & 0x0F) + 3
            offset = ((p[0] & 0xF0) << 4) | p[1]
            p += 2
            if length == 18:
                if p >= end:
                    return -1
                length += p[0]
                p += 1
            if offset == 0 or offset > done:
                return -1
            if length > wanted - done:
                length = wanted - done
            for i in range(length):
                out[done] = out[done - offset]
                done += 1
    return done


cdef int toast_decompress_into(const void *value, char *out, int32_t wanted) except -1:
    cdef const char *data = <const char *> value + VARHDRSZ_COMPRESSED
    cdef int32_t stored = <int32_t> varsize_4b(value) - VARHDRSZ_COMPRESSED
    cdef int32_t raw = <int32_t> vardata_compressed_rawsize(value)
    cdef uint32_t method = vardata_compressed_method(value)
    cdef bytes plain
    cdef int32_t n
    if method == TOAST_PGLZ_COMPRESSION_ID:
        if wanted >= raw:
            n = pglz_decompress(data, stored, out, raw)
        else:
            n = decompress_prefix(<const uint8_t *> data, <const uint8_t *> data + stored, <uint8_t *> out, wanted)
        if n < 0 or n < (wanted if wanted < raw else raw):
            raise SqlError(errcode.DATA_CORRUPTED, "compressed pglz data is corrupt")
        return 0
    if method != TOAST_LZ4_COMPRESSION_ID:
        raise SqlError(errcode.INTERNAL_ERROR, f"invalid compression method id {method}")
    try:
        plain = lz4.block.decompress(data[:stored], uncompressed_size=raw)
    except lz4.block.LZ4BlockError as error:
        raise SqlError(errcode.DATA_CORRUPTED, "compressed lz4 data is corrupt") from error
    memcpy(out, <const char *> plain, wanted if wanted < len(plain) else len(plain))
    return 0


cdef int32_t pglz_maximum_compressed_size(int32_t wanted, int32_t total) noexcept nogil:
    """Nine bits for each literal at worst, and the last item may be a match of two bytes more."""
    cdef long long n = (<long long> wanted * 9 + 7) // 8 + 2
    return <int32_t> n if n < total else total


def compress_value(bytes data, str method="pglz"):
    """The in-line compressed form of some bytes, or None when it does not pay; for tests and tools."""
    cdef bytes value = (((len(data) + 4) << 2)).to_bytes(4, "little") + data
    cdef char *out = toast_compress(<const char *> value, c'p' if method == "pglz" else c'l')
    if out == NULL:
        return None
    try:
        return out[:varsize_4b(out)]
    finally:
        free(out)


def decompress_value(bytes value, wanted=None):
    """The raw bytes (the first `wanted` of them) of an in-line compressed value."""
    cdef int32_t raw = <int32_t> vardata_compressed_rawsize(<const char *> value)
    cdef int32_t n = raw if wanted is None or wanted > raw else wanted
    cdef char *out = <char *> malloc(n + 1)
    try:
        toast_decompress_into(<const char *> value, out, n)
        return out[:n]
    finally:
        free(out)
