"""Rows of the catalogs' row classes to and from heap tuples.

The columns of system catalogs have few types, so each has its own few lines here and nothing needs type functions.
Encoded values live in the codec's arena until the next encode; a codec is used by one caller at a time, which the
single thread of a process makes true as long as nobody holds Datums across another use of the same catalog.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from tusk._types cimport Datum, ItemPointerData, maxalign, tid_block, tid_offset
from tusk.access._tupdesc cimport TupleDesc, make_tupdesc
from tusk.access._tuple cimport HeapTupleHeaderData, heap_deform_tuple, heap_form_tuple_into, heap_getattr, heap_tuple_size
from tusk.access._varlena cimport set_varsize, vardata_any, varatt_needs_detoast, varsize_any_exhdr

from tusk.access._tupdesc import AttributeRow
from tusk.catalog.rowbase import AclItem
from tusk.catalog.rows import ROW_CLASSES
from tusk.catalog.schema import schemas

cdef enum:
    K_BOOL = 1
    K_CHAR = 2
    K_INT2 = 3
    K_INT4 = 4
    K_UINT4 = 5
    K_INT8 = 6
    K_UINT8 = 7
    K_FLOAT4 = 8
    K_NAME = 9
    K_TEXT = 10
    K_BYTES = 11
    K_INT2VECTOR = 12
    K_OIDVECTOR = 13
    K_OID_ARRAY = 14
    K_INT2_ARRAY = 15
    K_FLOAT4_ARRAY = 16
    K_CHAR_ARRAY = 17
    K_TEXT_ARRAY = 18
    K_ACL_ARRAY = 19

KINDS = {
    "bool": K_BOOL, "char": K_CHAR, "int2": K_INT2, "int4": K_INT4, "oid": K_UINT4, "regproc": K_UINT4,
    "xid": K_UINT4, "int8": K_INT8, "pg_lsn": K_UINT8, "timestamptz": K_INT8, "float4": K_FLOAT4, "name": K_NAME,
    "text": K_TEXT, "pg_node_tree": K_TEXT, "bytea": K_BYTES, "pg_ndistinct": K_BYTES, "pg_dependencies": K_BYTES,
    "pg_mcv_list": K_BYTES, "anyarray": K_BYTES, "_pg_statistic": K_BYTES, "int2vector": K_INT2VECTOR,
    "oidvector": K_OIDVECTOR, "_oid": K_OID_ARRAY, "_int2": K_INT2_ARRAY, "_float4": K_FLOAT4_ARRAY,
    "_char": K_CHAR_ARRAY, "_text": K_TEXT_ARRAY, "_aclitem": K_ACL_ARRAY,
}
cdef extern from "<string.h>" nogil:
    size_t strnlen(const char *s, size_t maxlen)

cdef dict _codecs = {}
cdef object _AclItem = AclItem
detoast_hook = NULL

cdef enum:
    INT2OID = 21
    OIDOID = 26
    CHAROID = 18
    TEXTOID = 25
    FLOAT4OID = 700
    ACLITEMOID = 1033
    ARENA = 16384


cdef inline void put_array_header(char *p, uint32_t size, int32_t ndim, uint32_t element, int32_t n,
                                  int32_t lower) noexcept nogil:
    cdef int32_t *words = <int32_t *> p
    set_varsize(p, size)
    words[1] = ndim
    words[2] = 0
    words[3] = <int32_t> element
    if ndim:
        words[4] = n
        words[5] = lower


cdef class RowCodec:
    """Converts rows of one catalog."""

    def __cinit__(self, str catalog):
        schema = schemas()[catalog]
        self.catalog = catalog
        self.row_class = ROW_CLASSES[catalog]
        self.slots = self.row_class.__slots__
        self.natts = len(self.slots)
        self.spilled = []
        rows = []
        self.kinds = <uint8_t *> calloc(self.natts, 1)
        self.values = <Datum *> calloc(self.natts, sizeof(Datum))
        self.nulls = <uint8_t *> calloc(self.natts, 1)
        self.arena = <char *> malloc(ARENA)
        self.arena_size = ARENA
        if self.kinds == NULL or self.values == NULL or self.nulls == NULL or self.arena == NULL:
            raise MemoryError
        for i, column in enumerate(schema.columns):
            self.kinds[i] = KINDS[column.type_name]
            collation = 950 if column.type_name in ("name", "text", "_text", "pg_node_tree") else 0
            rows.append(AttributeRow(column.name, column.type_oid, column.length, column.by_value, column.align,
                                     column.storage, attnotnull=column.not_null, attcollation=collation))
        self.desc = make_tupdesc(rows, schema.rowtype_oid or 2249)

    def __dealloc__(self):
        free(self.kinds)
        free(self.values)
        free(self.nulls)
        free(self.arena)

    cdef void reset_arena(self) noexcept:
        self.arena_used = 0
        if self.spilled:
            self.spilled = []

    cdef char *room(self, size_t nbytes) except NULL:
        """Zeroed, 8-byte aligned room that lives until reset_arena."""
        cdef char *p
        cdef bytearray large
        nbytes = maxalign(nbytes)
        if self.arena_used + nbytes > self.arena_size:
            large = bytearray(nbytes)
            self.spilled.append(large)
            return large
        p = self.arena + self.arena_used
        self.arena_used += nbytes
        memset(p, 0, nbytes)
        return p

    cdef int encode_value(self, int attnum, object value, Datum *datum) except -1:
        cdef int kind = self.kinds[attnum - 1]
        cdef bytes data
        cdef char *p
        cdef const char *s
        cdef Py_ssize_t n, i
        cdef size_t size
        cdef float f4
        cdef uint32_t bits
        cdef list parts
        if kind == K_UINT4:
            datum[0] = <Datum> <uint32_t> value
        elif kind == K_BOOL:
            datum[0] = 1 if value else 0
        elif kind == K_CHAR:
            datum[0] = <Datum> <int64_t> <signed char> ord(value) if value else 0
        elif kind == K_INT2:
            datum[0] = <Datum> <int64_t> <int16_t> value
        elif kind == K_INT4:
            datum[0] = <Datum> <int64_t> <int32_t> value
        elif kind == K_INT8:
            datum[0] = <Datum> <int64_t> value
        elif kind == K_UINT8:
            datum[0] = <Datum> <uint64_t> value
        elif kind == K_FLOAT4:
            f4 = <float> value
            memcpy(&bits, &f4, 4)
            datum[0] = <Datum> <int64_t> <int32_t> bits
        elif kind == K_NAME:
            data = (<str> value).encode()
            n = len(data)
            if n > 63:
                raise ValueError(f"name too long: {value}")
            p = self.room(64)
            memcpy(p, <const char *> data, n)
            datum[0] = <Datum> p
        elif kind == K_TEXT or kind == K_BYTES:
            data = (<str> value).encode() if kind == K_TEXT else value
            n = len(data)
            p = self.room(n + 4)
            set_varsize(p, <uint32_t> (n + 4))
            memcpy(p + 4, <const char *> data, n)
            datum[0] = <Datum> p
        elif kind == K_INT2VECTOR:
            n = len(value)
            p = self.room(24 + 2 * n)
            put_array_header(p, <uint32_t> (24 + 2 * n), 1, INT2OID, <int32_t> n, 0)
            for i in range(n):
                (<int16_t *> (p + 24))[i] = value[i]
            datum[0] = <Datum> p
        elif kind == K_OIDVECTOR:
            n = len(value)
            p = self.room(24 + 4 * n)
            put_array_header(p, <uint32_t> (24 + 4 * n), 1, OIDOID, <int32_t> n, 0)
            for i in range(n):
                (<uint32_t *> (p + 24))[i] = value[i]
            datum[0] = <Datum> p
        else:
            datum[0] = <Datum> self.encode_array(kind, value)
        return 0

    cdef char *encode_array(self, int kind, object value) except NULL:
        """A one-dimensional array without nulls, from subscript 1."""
        cdef Py_ssize_t n = len(value), i
        cdef char *p
        cdef size_t size
        cdef uint32_t length
        cdef list parts
        cdef bytes part
        if n == 0:
            p = self.room(16)
            put_array_header(p, 16, 0, INT2OID if kind == K_INT2_ARRAY else OIDOID if kind == K_OID_ARRAY else
                             CHAROID if kind == K_CHAR_ARRAY else TEXTOID if kind == K_TEXT_ARRAY else
                             FLOAT4OID if kind == K_FLOAT4_ARRAY else ACLITEMOID, 0, 0)
            return p
        if kind == K_OID_ARRAY:
            p = self.room(24 + 4 * n)
            put_array_header(p, <uint32_t> (24 + 4 * n), 1, OIDOID, <int32_t> n, 1)
            for i in range(n):
                (<uint32_t *> (p + 24))[i] = value[i]
        elif kind == K_INT2_ARRAY:
            p = self.room(24 + 2 * n)
            put_array_header(p, <uint32_t> (24 + 2 * n), 1, INT2OID, <int32_t> n, 1)
            for i in range(n):
                (<int16_t *> (p + 24))[i] = value[i]
        elif kind == K_FLOAT4_ARRAY:
            p = self.room(24 + 4 * n)
            put_array_header(p, <uint32_t> (24 + 4 * n), 1, FLOAT4OID, <int32_t> n, 1)
            for i in range(n):
                (<float *> (p + 24))[i] = value[i]
        elif kind == K_CHAR_ARRAY:
            p = self.room(24 + n)
            put_array_header(p, <uint32_t> (24 + n), 1, CHAROID, <int32_t> n, 1)
            for i in range(n):
                p[24 + i] = <char> ord(value[i])
        elif kind == K_ACL_ARRAY:
            p = self.room(24 + 16 * n)
            put_array_header(p, <uint32_t> (24 + 16 * n), 1, ACLITEMOID, <int32_t> n, 1)
            for i in range(n):
                item = value[i]
                (<uint32_t *> (p + 24 + 16 * i))[0] = item[0]
                (<uint32_t *> (p + 24 + 16 * i))[1] = item[1]
                (<uint64_t *> (p + 24 + 16 * i))[1] = item[2]
        else:
            parts = [(<str> item).encode() for item in value]
            size = 24
            for part in parts:
                size += (4 + <size_t> len(part) + 3) & ~(<size_t> 3)
            p = self.room(size)
            put_array_header(p, <uint32_t> size, 1, TEXTOID, <int32_t> n, 1)
            size = 24
            for part in parts:
                length = <uint32_t> len(part)
                set_varsize(p + size, length + 4)
                memcpy(p + size + 4, <const char *> part, length)
                size += (4 + length + 3) & ~(<uint32_t> 3)
        return p

    cdef int encode(self, object row) except -1:
        cdef int i
        cdef object value
        self.reset_arena()
        for i in range(self.natts):
            value = getattr(row, <str> self.slots[i])
            if value is None:
                self.nulls[i] = 1
                self.values[i] = 0
                if self.desc.attrs[i].attnotnull:
                    raise ValueError(f"null in {self.catalog}.{self.slots[i]}")
            else:
                self.nulls[i] = 0
                try:
                    self.encode_value(i + 1, value, &self.values[i])
                except (TypeError, OverflowError, AttributeError) as error:
                    raise TypeError(f"{self.catalog}.{self.slots[i]}: {value!r}") from error
        return 0

    cpdef bytes form(self, object row):
        """The row as a heap tuple: header (all transaction fields zero) and data."""
        cdef uint32_t size
        cdef bytearray out
        self.encode(row)
        size = heap_tuple_size(&self.desc.c, self.values, self.nulls)
        out = bytearray(size)
        heap_form_tuple_into(self.desc, self.values, self.nulls, <HeapTupleHeaderData *> <char *> out, size)
        return bytes(out)

    cpdef object parse(self, bytes tup):
        """The row in a heap tuple."""
        return self.decode(<HeapTupleHeaderData *> <char *> tup, NULL)

    cdef object decode(self, HeapTupleHeaderData *tup, const ItemPointerData *tid):
        cdef Datum values[64]
        cdef uint8_t nulls[64]
        cdef int i
        cdef object row = self.row_class.__new__(self.row_class)
        heap_deform_tuple(tup, &self.desc.c, self.natts, values, nulls)
        for i in range(self.natts):
            setattr(row, <str> self.slots[i], None if nulls[i] else self.decode_value(i + 1, values[i]))
        row.t_self = None if tid == NULL else (tid_block(tid), tid_offset(tid))
        return row

    cdef object decode_some(self, HeapTupleHeaderData *tup, tuple attnums):
        """A row with only these columns set; the others are not there at all."""
        cdef uint8_t isnull
        cdef Datum datum
        cdef object row = self.row_class.__new__(self.row_class)
        for attnum in attnums:
            datum = heap_getattr(tup, attnum, &self.desc.c, &isnull)
            setattr(row, <str> self.slots[<int> attnum - 1], None if isnull else self.decode_value(attnum, datum))
        return row

    cdef object decode_value(self, int attnum, Datum datum):
        cdef int kind = self.kinds[attnum - 1]
        cdef const char *p
        cdef uint32_t bits
        cdef float f4
        cdef object detoasted = None
        if kind == K_UINT4:
            return <uint32_t> datum
        if kind == K_BOOL:
            return (<uint8_t> datum) != 0
        if kind == K_CHAR:
            return chr(<uint8_t> datum) if <uint8_t> datum else ""
        if kind == K_INT2:
            return <int16_t> datum
        if kind == K_INT4:
            return <int32_t> datum
        if kind == K_INT8:
            return <int64_t> datum
        if kind == K_UINT8:
            return <uint64_t> datum
        if kind == K_FLOAT4:
            bits = <uint32_t> datum
            memcpy(&f4, &bits, 4)
            return <double> f4
        if kind == K_NAME:
            p = <const char *> datum
            return p[:strnlen(p, 64)].decode()
        if kind == K_INT2VECTOR or kind == K_OIDVECTOR:
            return decode_array(kind, <const char *> datum + 4)
        if varatt_needs_detoast(<const void *> datum):
            if detoast_hook == NULL:
                raise RuntimeError("toasted catalog value and no detoaster")
            detoasted = detoast_hook(<const void *> datum)
            datum = <Datum> <const char *> (<bytes> detoasted)
        p = vardata_any(<const void *> datum)
        if kind == K_TEXT:
            return p[:varsize_any_exhdr(<const void *> datum)].decode()
        if kind == K_BYTES:
            return <bytes> p[:varsize_any_exhdr(<const void *> datum)]
        return decode_array(kind, p)


cdef inline int32_t get_int32(const char *p) noexcept nogil:
    cdef int32_t value
    memcpy(&value, p, 4)
    return value


cdef object decode_array(int kind, const char *p):
    """The elements of a one-dimensional array as a tuple; p is after the varlena header, at any alignment."""
    cdef int32_t ndim = get_int32(p), dataoffset = get_int32(p + 4), n = 1, i
    cdef const char *bitmap = NULL
    cdef size_t offset
    cdef uint32_t length
    cdef int16_t i2
    cdef float f4
    cdef uint64_t u8
    cdef list out = []
    if ndim == 0:
        return ()
    for i in range(ndim):
        n *= get_int32(p + 12 + 4 * i)
    if dataoffset:
        bitmap = p + 12 + 8 * ndim
        offset = dataoffset - 4
    else:
        offset = maxalign(16 + 8 * ndim) - 4
    for i in range(n):
        if bitmap != NULL and not (bitmap[i >> 3] & (1 << (i & 7))):
            out.append(None)
        elif kind == K_OIDVECTOR or kind == K_OID_ARRAY:
            out.append(<uint32_t> get_int32(p + offset))
            offset += 4
        elif kind == K_INT2VECTOR or kind == K_INT2_ARRAY:
            memcpy(&i2, p + offset, 2)
            out.append(i2)
            offset += 2
        elif kind == K_FLOAT4_ARRAY:
            memcpy(&f4, p + offset, 4)
            out.append(<double> f4)
            offset += 4
        elif kind == K_CHAR_ARRAY:
            out.append(chr(<uint8_t> p[offset]) if p[offset] else "")
            offset += 1
        elif kind == K_ACL_ARRAY:
            memcpy(&u8, p + offset + 8, 8)
            out.append(_AclItem(<uint32_t> get_int32(p + offset), <uint32_t> get_int32(p + offset + 4), u8))
            offset += 16
        else:
            # Elements of a text array may have short headers only when something else than this codec wrote them.
            if not p[offset] & 1:
                offset = ((offset + 4 + 3) & ~(<size_t> 3)) - 4
            length = varsize_any_exhdr(p + offset)
            out.append(vardata_any(p + offset)[:length].decode())
            offset += length + (1 if p[offset] & 1 else 4)
    return tuple(out)


cpdef RowCodec codec_of(str catalog):
    """The codec of a catalog; made once per process."""
    cdef object codec = _codecs.get(catalog)
    if codec is None:
        codec = _codecs[catalog] = RowCodec(catalog)
    return codec
