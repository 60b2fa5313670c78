"""Detoasting: decompressing, and fetching external values from their toast tables."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk.access cimport _compare
from tusk.access._varlena cimport (
    TOAST_PGLZ_COMPRESSION_ID, VARHDRSZ, VARHDRSZ_EXTERNAL, VARLENA_EXTSIZE_BITS, VARTAG_ONDISK,
    set_varsize, set_varsize_compressed, varatt_external, varatt_external_extsize, varatt_external_get,
    varatt_external_is_compressed, varatt_is_4b_u, varatt_is_compressed, varatt_is_external, varatt_is_short,
    vardata_any, vardata_compressed_rawsize, varsize_any, varsize_any_exhdr,
)
from tusk.access.toast._compression cimport pglz_maximum_compressed_size, toast_decompress_into
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.memory._context cimport MemoryContext

cdef fetch_chunks_fn fetch_chunks_hook = NULL


cdef int check_pointer(const void *value) except -1:
    if (<const unsigned char *> value)[1] != VARTAG_ONDISK:
        raise SqlError(errcode.DATA_CORRUPTED, f"unexpected toast pointer tag {(<const unsigned char *> value)[1]}")
    return 0


cdef int fetch(const varatt_external *pointer, int32_t offset, int32_t length, char *out) except -1:
    if fetch_chunks_hook == NULL:
        raise feature_not_supported("fetching external values without access.toast loaded")
    return fetch_chunks_hook(pointer, offset, length, out)


cdef char *detoast_external_malloc(const void *value) except NULL:
    cdef varatt_external pointer
    cdef int32_t stored
    cdef char *out
    check_pointer(value)
    varatt_external_get(value, &pointer)
    stored = <int32_t> varatt_external_extsize(&pointer)
    out = <char *> malloc(stored + VARHDRSZ + 1)
    if out == NULL:
        raise MemoryError
    if varatt_external_is_compressed(&pointer):
        set_varsize_compressed(out, stored + VARHDRSZ)
    else:
        set_varsize(out, stored + VARHDRSZ)
    try:
        fetch(&pointer, 0, stored, out + VARHDRSZ)
    except BaseException:
        free(out)
        raise
    return out


cdef int32_t raw_size(const void *value) except -1:
    """Data bytes, header not counted."""
    cdef varatt_external pointer
    if varatt_is_external(value):
        check_pointer(value)
        varatt_external_get(value, &pointer)
        return pointer.va_rawsize - VARHDRSZ
    if varatt_is_compressed(value):
        return <int32_t> vardata_compressed_rawsize(value)
    return <int32_t> varsize_any_exhdr(value)


cdef int read_into(const void *value, char *out, int32_t raw) except -1:
    """All data bytes."""
    cdef varatt_external pointer
    cdef char *stored
    if varatt_is_external(value):
        varatt_external_get(value, &pointer)
        if not varatt_external_is_compressed(&pointer):
            return fetch(&pointer, 0, raw, out)
        stored = detoast_external_malloc(value)
        try:
            toast_decompress_into(stored, out, raw)
        finally:
            free(stored)
    elif varatt_is_compressed(value):
        toast_decompress_into(value, out, raw)
    else:
        memcpy(out, vardata_any(value), raw)
    return 0


cdef char *detoast_malloc(const void *value) except NULL:
    cdef int32_t raw = raw_size(value)
    cdef char *out = <char *> malloc(raw + VARHDRSZ + 1)
    if out == NULL:
        raise MemoryError
    set_varsize(out, raw + VARHDRSZ)
    try:
        read_into(value, out + VARHDRSZ, raw)
    except BaseException:
        free(out)
        raise
    return out


cdef char *detoast_datum(const void *value, MemoryContext context) except NULL:
    cdef int32_t raw
    cdef char *out
    if varatt_is_4b_u(value):
        return <char *> value
    raw = raw_size(value)
    out = <char *> context.alloc(raw + VARHDRSZ)
    set_varsize(out, raw + VARHDRSZ)
    read_into(value, out + VARHDRSZ, raw)
    return out


cdef char *detoast_datum_packed(const void *value, MemoryContext context) except NULL:
    if varatt_is_4b_u(value) or (varatt_is_short(value) and not varatt_is_external(value)):
        return <char *> value
    return detoast_datum(value, context)


cdef char *detoast_slice(const void *value, int32_t offset, int32_t length, MemoryContext context) except NULL:
    cdef int32_t raw = raw_size(value)
    cdef int32_t end
    cdef int32_t prefix
    cdef varatt_external pointer
    cdef char *out
    cdef char *stored = NULL
    cdef char *plain = NULL
    if offset < 0 or offset >= raw:
        offset = 0
        length = 0
    if length < 0 or length > raw - offset:
        length = raw - offset
    end = offset + length
    out = <char *> context.alloc(length + VARHDRSZ)
    set_varsize(out, length + VARHDRSZ)
    if length == 0:
        return out
    if varatt_is_external(value):
        varatt_external_get(value, &pointer)
        if not varatt_external_is_compressed(&pointer):
            fetch(&pointer, offset, length, out + VARHDRSZ)
            return out
        prefix = <int32_t> varatt_external_extsize(&pointer)
        if pointer.va_extinfo >> VARLENA_EXTSIZE_BITS == TOAST_PGLZ_COMPRESSION_ID:
            # Stored bytes begin with the raw size and method word.
            prefix = pglz_maximum_compressed_size(end, prefix - 4) + 4
        stored = <char *> malloc(prefix + VARHDRSZ)
        if stored == NULL:
            raise MemoryError
        set_varsize_compressed(stored, prefix + VARHDRSZ)
        try:
            fetch(&pointer, 0, prefix, stored + VARHDRSZ)
        except BaseException:
            free(stored)
            raise
        value = stored
    elif not varatt_is_compressed(value):
        memcpy(out + VARHDRSZ, vardata_any(value) + offset, length)
        return out
    plain = <char *> malloc(end + 1)
    if plain == NULL:
        raise MemoryError
    try:
        toast_decompress_into(value, plain, end)
        memcpy(out + VARHDRSZ, plain + offset, length)
    finally:
        free(plain)
        free(stored)
    return out


cdef size_t toast_raw_size(const void *value) noexcept nogil:
    cdef varatt_external pointer
    if varatt_is_external(value):
        varatt_external_get(value, &pointer)
        return pointer.va_rawsize - VARHDRSZ
    if varatt_is_compressed(value):
        return vardata_compressed_rawsize(value)
    return varsize_any_exhdr(value)


cdef size_t toast_stored_size(const void *value) noexcept nogil:
    cdef varatt_external pointer
    if varatt_is_external(value):
        varatt_external_get(value, &pointer)
        return varatt_external_extsize(&pointer)
    return varsize_any(value)


def detoast(bytes value):
    """The data bytes of a varlena in whatever form."""
    cdef char *out = detoast_malloc(<const char *> value)
    try:
        return out[VARHDRSZ:varsize_any(out)]
    finally:
        free(out)


_compare.detoast_malloc_hook = detoast_malloc


def slice_of(bytes value, int32_t offset, int32_t length=-1):
    """Part of the data bytes, reading only what is needed."""
    cdef MemoryContext context = MemoryContext("detoast slice")
    cdef char *out = detoast_slice(<const char *> value, offset, length, context)
    try:
        return out[VARHDRSZ:varsize_any(out)]
    finally:
        context.delete()
