"""Datums and Python values (see _kernel_datum.pxd).

The common types are converted here directly; every other type goes through its codec, which sees the payload of a
varlena or the bytes of a fixed-width value.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_AsUTF8String, PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset, strlen
from tusk._types cimport ItemPointerData, tid_block, tid_offset, tid_set
from tusk.access._compare cimport detoast_malloc_hook
from tusk.access._tuple cimport fetch_att
from tusk.access._varlena cimport (
    VARHDRSZ, set_varsize, vardata_any, varatt_is_compressed, varatt_is_external, varatt_needs_detoast, varsize_any,
    varsize_any_exhdr)

from libc.stdlib cimport free

from tusk.errors import feature_not_supported
from tusk.types.codec import codec_for
from tusk.types.registry import services
from tusk.types.values import Tid

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    int PyUnicode_IS_ASCII(object text)

_KINDS = {
    16: KIND_BOOL, 20: KIND_INT, 21: KIND_INT, 23: KIND_INT, 1082: KIND_INT, 1083: KIND_INT, 1114: KIND_INT,
    1184: KIND_INT, 790: KIND_INT, 26: KIND_UINT32, 28: KIND_UINT32, 29: KIND_UINT32, 24: KIND_UINT32,
    2202: KIND_UINT32, 2203: KIND_UINT32, 2204: KIND_UINT32, 2205: KIND_UINT32, 2206: KIND_UINT32, 4096: KIND_UINT32,
    4089: KIND_UINT32, 4191: KIND_UINT32, 3734: KIND_UINT32, 3769: KIND_UINT32, 5069: KIND_UINT64, 3220: KIND_UINT64,
    700: KIND_FLOAT4, 701: KIND_FLOAT8, 25: KIND_TEXT, 1043: KIND_TEXT, 1042: KIND_TEXT, 114: KIND_TEXT,
    142: KIND_TEXT, 194: KIND_TEXT, 1790: KIND_TEXT, 17: KIND_BYTEA, 19: KIND_NAME, 2275: KIND_CSTRING,
    705: KIND_CSTRING, 2950: KIND_UUID, 27: KIND_TID, 2278: KIND_VOID, 2281: KIND_INTERNAL, 1700: KIND_NUMERIC,
}

cdef dict _types = {}


cdef class DatumType:
    """What is needed to handle Datums of one type; see datum_type."""

    cdef object codec(self):
        if self._codec is None:
            self._codec = codec_for(self.oid)
        return self._codec

    @property
    def codec_object(self):
        """The type's codec."""
        return self.codec()

    def __repr__(self):
        return f"<DatumType {self.typname}>"


cdef DatumType datum_type(Oid oid):
    """The description of a type (cached for the process)."""
    cdef DatumType found = _types.get(oid)
    if found is not None:
        return found
    info = services.type_info(oid)
    if info is None:
        # Pseudo-types without a codec are carried like int4.
        info = services.type_info(2276)
    found = DatumType.__new__(DatumType)
    found.oid = oid
    found.base = oid
    while info.typtype == "d":
        found.base = info.typbasetype
        info = services.type_info(info.typbasetype)
    found.typlen = info.typlen
    found.typbyval = info.typbyval
    found.typalign = info.typalign
    found.typname = info.typname
    found.kind = _KINDS.get(found.base, KIND_CODEC)
    _types[oid] = found
    return found


def type_of(Oid oid):
    """The DatumType of a type, for Python callers."""
    return datum_type(oid)


def forget_types():
    """Drop what is cached about types that are not built in; called when pg_type changes."""
    for oid in [oid for oid in _types if oid >= 16384]:
        del _types[oid]


cdef void *detoast_malloc(const void *value) except NULL:
    """A plain malloc'd varlena of a compressed or external one."""
    if detoast_malloc_hook == NULL:
        raise feature_not_supported("compressed or external values without access.toast loaded")
    return detoast_malloc_hook(value)


cdef size_t datum_length(Datum value, int typlen) noexcept nogil:
    """Bytes a by-reference value occupies."""
    if typlen > 0:
        return <size_t> typlen
    if typlen == -1:
        return varsize_any(<void *> value)
    return strlen(<char *> value) + 1


cdef Datum copy_datum(Datum value, int typlen, bint typbyval, MemoryContext context) except? 0:
    if typbyval:
        return value
    return <Datum> context.copy_bytes(<void *> value, datum_length(value, typlen))


cdef Datum detoast(Datum value, MemoryContext context) except? 0:
    """value if its bytes are at hand, else a plain copy of what it stands for."""
    cdef void *plain
    cdef Datum copied
    if not varatt_needs_detoast(<void *> value):
        return value
    plain = detoast_malloc(<void *> value)
    try:
        copied = <Datum> context.copy_bytes(plain, varsize_any(plain))
    finally:
        free(plain)
    return copied


cdef object _varlena_to_python(const void *v, DatumType type):
    cdef const char *data = vardata_any(v)
    cdef Py_ssize_t size = varsize_any_exhdr(v)
    if type.kind == KIND_TEXT:
        return PyUnicode_DecodeUTF8(data, size, "surrogateescape")
    if type.kind == KIND_BYTEA:
        return PyBytes_FromStringAndSize(data, size)
    return type.codec().from_disk(PyBytes_FromStringAndSize(data, size))


cdef object datum_to_python(Datum value, DatumType type):
    """The Python value (docs/interfaces.md) of a Datum that is not null."""
    cdef int kind = type.kind
    cdef void *plain
    cdef const ItemPointerData *tid
    cdef int64_t held
    if kind == KIND_INT:
        if type.typlen == 4:
            return <int32_t> value
        if type.typlen == 2:
            return <int16_t> value
        return <int64_t> value
    if kind == KIND_BOOL:
        return (value & 0xFF) != 0
    if type.typlen == -1:
        if varatt_needs_detoast(<void *> value):
            plain = detoast_malloc(<void *> value)
            try:
                return _varlena_to_python(plain, type)
            finally:
                free(plain)
        return _varlena_to_python(<void *> value, type)
    if kind == KIND_UINT32:
        return <uint32_t> value
    if kind == KIND_UINT64:
        return <uint64_t> value
    if kind == KIND_FLOAT8:
        return datum_float8(value)
    if kind == KIND_FLOAT4:
        return datum_float4(value)
    if kind == KIND_NAME or kind == KIND_CSTRING:
        return PyUnicode_DecodeUTF8(<char *> value, strlen(<char *> value), "surrogateescape")
    if kind == KIND_UUID:
        return PyBytes_FromStringAndSize(<char *> value, 16)
    if kind == KIND_TID:
        tid = <const ItemPointerData *> value
        return Tid(tid_block(tid), tid_offset(tid))
    if kind == KIND_VOID:
        return None
    if kind == KIND_INTERNAL:
        return <object> <void *> value
    if type.typbyval:
        held = <int64_t> value
        return type.codec().from_disk(PyBytes_FromStringAndSize(<char *> &held, type.typlen))
    if type.typlen == -2:
        return type.codec().from_disk(PyBytes_FromStringAndSize(<char *> value, strlen(<char *> value)))
    return type.codec().from_disk(PyBytes_FromStringAndSize(<char *> value, type.typlen))


cdef Datum varlena_datum(const char *data, Py_ssize_t size, MemoryContext context) except? 0:
    """A plain varlena holding these bytes."""
    cdef char *room = <char *> context.alloc(size + VARHDRSZ)
    set_varsize(room, <uint32_t> (size + VARHDRSZ))
    memcpy(room + VARHDRSZ, data, size)
    return <Datum> room


cdef Datum python_to_datum(object value, DatumType type, MemoryContext context) except? 0:
    """The Datum of a Python value; what it refers to is allocated in context. None is not a value."""
    cdef int kind = type.kind
    cdef Py_ssize_t size
    cdef const char *data
    cdef char *room
    cdef bytes encoded
    cdef ItemPointerData *tid
    cdef Datum held
    if kind == KIND_INT:
        return <Datum> <int64_t> value
    if kind == KIND_BOOL:
        return 1 if value else 0
    if kind == KIND_TEXT:
        if PyUnicode_IS_ASCII(value):
            data = PyUnicode_AsUTF8AndSize(value, &size)
            return varlena_datum(data, size, context)
        encoded = (<str?> value).encode("utf-8", "surrogateescape")
        return varlena_datum(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded), context)
    if kind == KIND_UINT32:
        return <Datum> <int64_t> <int32_t> <uint32_t> <int64_t> value
    if kind == KIND_UINT64:
        return <Datum> <uint64_t> value
    if kind == KIND_FLOAT8:
        return float8_datum(value)
    if kind == KIND_FLOAT4:
        return float4_datum(value)
    if kind == KIND_VOID:
        return 0
    if kind == KIND_INTERNAL:
        context.hold(value)
        return <Datum> <void *> value
    if kind == KIND_TID:
        tid = <ItemPointerData *> context.alloc(8)
        tid_set(tid, <uint32_t> value[0], <uint16_t> value[1])
        return <Datum> tid
    if kind == KIND_CSTRING or kind == KIND_NAME:
        encoded = (<str?> value).encode("utf-8", "surrogateescape")
        size = PyBytes_GET_SIZE(encoded)
        if kind == KIND_NAME:
            room = <char *> context.alloc_zero(64)
            if size > 63:
                encoded = type.codec().to_disk(value)
                size = 63
            memcpy(room, PyBytes_AS_STRING(encoded), size)
            return <Datum> room
        return <Datum> context.copy_bytes(PyBytes_AS_STRING(encoded), size + 1)
    if kind == KIND_BYTEA or kind == KIND_UUID:
        encoded = bytes(value)
    else:
        encoded = type.codec().to_disk(value)
    if type.typlen == -1:
        return varlena_datum(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded), context)
    if type.typbyval:
        return fetch_att(PyBytes_AS_STRING(encoded), True, type.typlen)
    size = PyBytes_GET_SIZE(encoded)
    if type.typlen == -2:
        size += 1
    # A by-reference value of fixed length is copied whole; codecs give exactly typlen bytes.
    return <Datum> context.copy_bytes(PyBytes_AS_STRING(encoded), size)


def roundtrip(object value, Oid oid):
    """A value through its Datum and back; for tests."""
    cdef MemoryContext context = MemoryContext("roundtrip")
    cdef DatumType type = datum_type(oid)
    cdef Datum datum = python_to_datum(value, type, context)
    result = datum_to_python(datum, type)
    context.delete()
    return result

