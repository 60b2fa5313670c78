"""Forming tuples from Datums and taking them apart (htup_details.h, itup.h, tupmacs.h).

Attributes lie one after another, each at a multiple of its type's alignment, null ones left out and marked in a
bitmap (1 is not null). A varlena with a 1-byte header is not aligned; when a tuple is formed, short values with
4-byte headers get 1-byte ones, unless the column's storage is plain. Padding is zero.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset, strlen
from tusk._types cimport Datum, Oid
from tusk.access._tupdesc cimport Attribute, TupleDesc, TupleDescData
from tusk.access._varlena cimport (
    VARATT_SHORT_MAX, VARHDRSZ, VARHDRSZ_SHORT, set_varsize_short, varatt_can_make_short, varatt_is_external,
    varatt_is_short, varsize_4b, varsize_any,
)
from tusk.errors import SqlError, errcode


cdef inline size_t align_up(size_t off, unsigned int by) noexcept nogil:
    return (off + by - 1) & ~(<size_t> by - 1)


cdef size_t heap_compute_data_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil:
    """Bytes of the data area that heap_fill_tuple will write."""
    cdef size_t off = 0
    cdef int i
    cdef const Attribute *att
    cdef const char *p
    for i in range(desc.natts):
        if nulls[i]:
            continue
        att = &desc.attrs[i]
        if att.attlen > 0:
            off = align_up(off, att.attalignby) + att.attlen
            continue
        p = <const char *> values[i]
        if att.attlen == -1:
            if att.attispackable and varatt_can_make_short(p):
                off += varsize_4b(p) - VARHDRSZ + VARHDRSZ_SHORT
            else:
                if not varatt_is_short(p):
                    off = align_up(off, att.attalignby)
                off += varsize_any(p)
        else:
            off = align_up(off, att.attalignby) + strlen(p) + 1
    return off


cdef void heap_fill_tuple(
    const TupleDescData *desc, const Datum *values, const uint8_t *nulls, char *data, uint16_t *infomask,
    uint8_t *bits,
) noexcept nogil:
    """Write the data area (which the caller zeroed) and the null bitmap, if bits is not NULL; set the HAS bits."""
    cdef size_t off = 0
    cdef size_t size
    cdef int i
    cdef const Attribute *att
    cdef const char *p
    cdef uint16_t mask = infomask[0] & ~(HEAP_HASNULL | HEAP_HASVARWIDTH | HEAP_HASEXTERNAL)
    if bits != NULL:
        memset(bits, 0, (desc.natts + 7) // 8)
    for i in range(desc.natts):
        if nulls[i]:
            mask |= HEAP_HASNULL
            continue
        if bits != NULL:
            bits[i >> 3] |= <uint8_t> (1 << (i & 7))
        att = &desc.attrs[i]
        if att.attlen > 0:
            off = align_up(off, att.attalignby)
            if att.attbyval:
                if att.attlen == 4:
                    (<uint32_t *> (data + off))[0] = <uint32_t> values[i]
                elif att.attlen == 8:
                    (<uint64_t *> (data + off))[0] = values[i]
                elif att.attlen == 2:
                    (<uint16_t *> (data + off))[0] = <uint16_t> values[i]
                else:
                    data[off] = <char> values[i]
            else:
                memcpy(data + off, <const char *> values[i], att.attlen)
            off += att.attlen
            continue
        p = <const char *> values[i]
        mask |= HEAP_HASVARWIDTH
        if att.attlen == -1:
            if varatt_is_external(p):
                mask |= HEAP_HASEXTERNAL
                size = varsize_any(p)
                memcpy(data + off, p, size)
            elif varatt_is_short(p):
                size = varsize_any(p)
                memcpy(data + off, p, size)
            elif att.attispackable and varatt_can_make_short(p):
                size = varsize_4b(p) - VARHDRSZ + VARHDRSZ_SHORT
                set_varsize_short(data + off, <uint32_t> size)
                memcpy(data + off + 1, p + VARHDRSZ, size - 1)
            else:
                off = align_up(off, att.attalignby)
                size = varsize_4b(p)
                memcpy(data + off, p, size)
        else:
            off = align_up(off, att.attalignby)
            size = strlen(p) + 1
            memcpy(data + off, p, size)
        off += size
    infomask[0] = mask


cdef inline bint any_null(const TupleDescData *desc, const uint8_t *nulls) noexcept nogil:
    cdef int i
    for i in range(desc.natts):
        if nulls[i]:
            return True
    return False


cdef inline uint32_t header_size(const TupleDescData *desc, const uint8_t *nulls) noexcept nogil:
    """t_hoff."""
    cdef uint32_t size = SizeofHeapTupleHeader
    if any_null(desc, nulls):
        size += (desc.natts + 7) // 8
    return <uint32_t> align_up(size, 8)


cdef uint32_t heap_tuple_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil:
    """t_len of the tuple that heap_form_tuple_into will write."""
    return header_size(desc, nulls) + <uint32_t> heap_compute_data_size(desc, values, nulls)


cdef void heap_form_tuple_into(
    TupleDesc desc, const Datum *values, const uint8_t *nulls, HeapTupleHeaderData *out, uint32_t size,
) noexcept:
    """Write a whole tuple (heap_form_tuple), labelled as a composite Datum of the descriptor's type."""
    cdef uint32_t hoff = header_size(&desc.c, nulls)
    cdef bint hasnull = any_null(&desc.c, nulls)
    cdef uint16_t mask = 0
    memset(out, 0, size)
    out.t_xmin = size << 2
    out.t_xmax = <uint32_t> desc.tdtypmod
    out.t_cid = desc.tdtypeid
    out.t_ctid.bi_hi = 0xFFFF
    out.t_ctid.bi_lo = 0xFFFF
    out.t_infomask2 = <uint16_t> desc.natts
    out.t_hoff = <uint8_t> hoff
    heap_fill_tuple(&desc.c, values, nulls, <char *> out + hoff, &mask,
                    <uint8_t *> out + SizeofHeapTupleHeader if hasnull else NULL)
    out.t_infomask = mask


cdef uint32_t minimal_tuple_size(const TupleDescData *desc, const Datum *values, const uint8_t *nulls) noexcept nogil:
    """t_len of a minimal tuple: a heap tuple's length less the 8 bytes that are left out in front."""
    return heap_tuple_size(desc, values, nulls) - MINIMAL_TUPLE_OFFSET


cdef void heap_form_minimal_tuple_into(
    const TupleDescData *desc, const Datum *values, const uint8_t *nulls, MinimalTupleData *out, uint32_t size,
) noexcept nogil:
    """Write a minimal tuple; its t_hoff counts from where a heap tuple would begin."""
    cdef uint32_t hoff = header_size(desc, nulls)
    cdef bint hasnull = any_null(desc, nulls)
    cdef uint16_t mask = 0
    memset(out, 0, size)
    out.t_len = size
    out.t_infomask2 = <uint16_t> desc.natts
    out.t_hoff = <uint8_t> hoff
    heap_fill_tuple(desc, values, nulls, <char *> out - MINIMAL_TUPLE_OFFSET + hoff, &mask,
                    <uint8_t *> out + SizeofMinimalTupleHeader if hasnull else NULL)
    out.t_infomask = mask


cdef uint32_t index_tuple_form_size(
    const TupleDescData *desc, const Datum *values, const uint8_t *nulls,
) noexcept nogil:
    """Bytes of the index tuple, a multiple of 8. External values must have been fetched before."""
    cdef size_t size = heap_compute_data_size(desc, values, nulls)
    return <uint32_t> align_up(size + (16 if any_null(desc, nulls) else 8), 8)


cdef int index_form_tuple_into(
    const TupleDescData *desc, const Datum *values, const uint8_t *nulls, IndexTupleData *out, uint32_t size,
) except -1:
    """Write an index tuple; t_tid is left for the caller (54000 when the size does not fit in t_info)."""
    cdef bint hasnull = any_null(desc, nulls)
    cdef uint16_t mask = 0
    cdef uint16_t info
    if size & INDEX_SIZE_MASK != size:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                       f"index row requires {size} bytes, maximum size is {<int> INDEX_SIZE_MASK}")
    memset(out, 0, size)
    heap_fill_tuple(desc, values, nulls, <char *> out + (16 if hasnull else 8), &mask,
                    <uint8_t *> out + 8 if hasnull else NULL)
    info = <uint16_t> size
    if hasnull:
        info |= INDEX_NULL_MASK
    if mask & HEAP_HASVARWIDTH:
        info |= INDEX_VAR_MASK
    out.t_info = info
    return 0


cdef HeapTupleData *heap_form_tuple_malloc(TupleDesc desc, const Datum *values, const uint8_t *nulls) except NULL:
    cdef uint32_t size = heap_tuple_size(&desc.c, values, nulls)
    cdef HeapTupleData *tup = <HeapTupleData *> malloc(sizeof(HeapTupleData) + size)
    if tup == NULL:
        raise MemoryError
    tup.t_len = size
    tup.t_self.bi_hi = 0xFFFF
    tup.t_self.bi_lo = 0xFFFF
    tup.t_self.ip_posid = 0
    tup.t_tableOid = 0
    tup.t_data = <HeapTupleHeaderData *> (<char *> tup + sizeof(HeapTupleData))
    heap_form_tuple_into(desc, values, nulls, tup.t_data, size)
    return tup


cdef HeapTupleData *heap_copy_tuple_malloc(const HeapTupleData *tup) except NULL:
    cdef HeapTupleData *copy = <HeapTupleData *> malloc(sizeof(HeapTupleData) + tup.t_len)
    if copy == NULL:
        raise MemoryError
    copy[0] = tup[0]
    copy.t_data = <HeapTupleHeaderData *> (<char *> copy + sizeof(HeapTupleData))
    memcpy(copy.t_data, tup.t_data, tup.t_len)
    return copy


cdef IndexTupleData *index_form_tuple_malloc(TupleDesc desc, const Datum *values, const uint8_t *nulls) except NULL:
    cdef uint32_t size = index_tuple_form_size(&desc.c, values, nulls)
    cdef IndexTupleData *itup = <IndexTupleData *> malloc(size)
    if itup == NULL:
        raise MemoryError
    try:
        index_form_tuple_into(&desc.c, values, nulls, itup, size)
    except BaseException:
        free(itup)
        raise
    return itup


cdef inline size_t walk(const Attribute *att, const char *base, size_t off, size_t *begins) noexcept nogil:
    """Align off for the attribute, say where it begins, return where it ends."""
    if att.attlen > 0:
        off = align_up(off, att.attalignby)
        begins[0] = off
        return off + att.attlen
    if att.attlen == -1:
        if base[off] == 0:
            off = align_up(off, att.attalignby)     # padding, or the first byte of an aligned length word
        begins[0] = off
        return off + varsize_any(base + off)
    off = align_up(off, att.attalignby)
    begins[0] = off
    return off + strlen(base + off) + 1


cdef inline Datum missing_value(const TupleDescData *desc, int i, uint8_t *isnull) noexcept nogil:
    """What attribute i (from 0) is in a tuple made before the column was added."""
    if desc.has_missing and desc.missing_present[i]:
        isnull[0] = 0
        return desc.missing[i]
    isnull[0] = 1
    return 0


cdef void heap_deform_tuple(
    const HeapTupleHeaderData *tup, const TupleDescData *desc, int natts, Datum *values, uint8_t *nulls,
) noexcept nogil:
    """The first natts attributes of a tuple; those it is too short for come as their missing values."""
    cdef int present = tuple_natts(tup)
    cdef const char *base = <const char *> tup + tup.t_hoff
    cdef const uint8_t *bits = tuple_bits(tup) if tup.t_infomask & HEAP_HASNULL else NULL
    cdef size_t off = 0
    cdef size_t begins = 0
    cdef int i
    cdef const Attribute *att
    if present > natts:
        present = natts
    for i in range(present):
        if bits != NULL and att_isnull(i, bits):
            values[i] = 0
            nulls[i] = 1
            continue
        att = &desc.attrs[i]
        off = walk(att, base, off, &begins)
        nulls[i] = 0
        values[i] = fetch_att(base + begins, att.attbyval, att.attlen)
    for i in range(present, natts):
        values[i] = missing_value(desc, i, &nulls[i])


cdef Datum attribute_at(
    const char *base, const uint8_t *bits, const TupleDescData *desc, int index,
) noexcept nogil:
    """Attribute index (from 0), present and not null; bits is NULL when the tuple has no nulls."""
    cdef const Attribute *att = &desc.attrs[index]
    cdef size_t off = 0
    cdef size_t begins = 0
    cdef int i = 0
    cdef bint before_null = False
    if bits != NULL:
        for i in range(index):
            if att_isnull(i, bits):
                before_null = True
                break
    if not before_null and att.attcacheoff >= 0:
        return fetch_att(base + att.attcacheoff, att.attbyval, att.attlen)
    i = 0
    if not before_null and desc.nfixed > 1:
        i = desc.nfixed - 1                 # index lies beyond it
        off = desc.attrs[i].attcacheoff
    while True:
        if bits == NULL or not att_isnull(i, bits):
            off = walk(&desc.attrs[i], base, off, &begins)
            if i == index:
                return fetch_att(base + begins, att.attbyval, att.attlen)
        i += 1


cdef Datum heap_getattr(
    const HeapTupleHeaderData *tup, int attnum, const TupleDescData *desc, uint8_t *isnull,
) noexcept nogil:
    """Attribute attnum (from 1; not a system attribute)."""
    cdef const uint8_t *bits = NULL
    if attnum > tuple_natts(tup):
        return missing_value(desc, attnum - 1, isnull)
    if tup.t_infomask & HEAP_HASNULL:
        bits = tuple_bits(tup)
        if att_isnull(attnum - 1, bits):
            isnull[0] = 1
            return 0
    isnull[0] = 0
    return attribute_at(<const char *> tup + tup.t_hoff, bits, desc, attnum - 1)


cdef Datum heap_getsysattr(const HeapTupleData *tup, int attnum, uint8_t *isnull) noexcept nogil:
    """ctid (a pointer into *tup), xmin, cmin, xmax, cmax (both raw: perhaps a combo command id), tableoid."""
    isnull[0] = 0
    if attnum == SelfItemPointerAttributeNumber:
        return <Datum> &tup.t_self
    if attnum == MinTransactionIdAttributeNumber:
        return tup.t_data.t_xmin
    if attnum == MaxTransactionIdAttributeNumber:
        return tup.t_data.t_xmax
    if attnum == MinCommandIdAttributeNumber or attnum == MaxCommandIdAttributeNumber:
        return tup.t_data.t_cid
    return tup.t_tableOid


cdef bint heap_attisnull(const HeapTupleHeaderData *tup, int attnum, const TupleDescData *desc) noexcept nogil:
    cdef uint8_t isnull
    if attnum <= 0:
        return False
    if attnum > tuple_natts(tup):
        missing_value(desc, attnum - 1, &isnull)
        return isnull
    return (tup.t_infomask & HEAP_HASNULL) != 0 and att_isnull(attnum - 1, tuple_bits(tup))


cdef Datum index_getattr(
    const IndexTupleData *itup, int attnum, const TupleDescData *desc, uint8_t *isnull,
) noexcept nogil:
    """Key attnum (from 1) of an index tuple that has it."""
    cdef const uint8_t *bits = NULL
    cdef const char *base = <const char *> itup + index_data_offset(itup.t_info)
    cdef const Attribute *att = &desc.attrs[attnum - 1]
    if itup.t_info & INDEX_NULL_MASK:
        bits = <const uint8_t *> itup + 8
        if att_isnull(attnum - 1, bits):
            isnull[0] = 1
            return 0
        isnull[0] = 0
        return attribute_at(base, bits, desc, attnum - 1)
    isnull[0] = 0
    if att.attcacheoff >= 0:
        return fetch_att(base + att.attcacheoff, att.attbyval, att.attlen)
    return attribute_at(base, NULL, desc, attnum - 1)


cdef void index_deform_tuple(
    const IndexTupleData *itup, const TupleDescData *desc, Datum *values, uint8_t *nulls,
) noexcept nogil:
    """All attributes the descriptor has."""
    cdef const uint8_t *bits = <const uint8_t *> itup + 8 if itup.t_info & INDEX_NULL_MASK else NULL
    cdef const char *base = <const char *> itup + index_data_offset(itup.t_info)
    cdef size_t off = 0
    cdef size_t begins = 0
    cdef int i
    for i in range(desc.natts):
        if bits != NULL and att_isnull(i, bits):
            values[i] = 0
            nulls[i] = 1
            continue
        off = walk(&desc.attrs[i], base, off, &begins)
        nulls[i] = 0
        values[i] = fetch_att(base + begins, desc.attrs[i].attbyval, desc.attrs[i].attlen)


cdef size_t datum_size(Datum value, bint byval, int attlen) noexcept nogil:
    """Bytes of a by-reference value as it stands (datumGetSize)."""
    if attlen > 0:
        return attlen
    if attlen == -1:
        return varsize_any(<const char *> value)
    return strlen(<const char *> value) + 1


cdef bint datum_is_equal(Datum a, Datum b, bint byval, int attlen) noexcept nogil:
    """Bytewise equality of the stored forms (datumIsEqual): 1-byte and 4-byte headers differ."""
    cdef size_t size
    if byval:
        if attlen == 4:
            return <uint32_t> a == <uint32_t> b
        if attlen == 2:
            return <uint16_t> a == <uint16_t> b
        if attlen == 1:
            return <uint8_t> a == <uint8_t> b
        return a == b
    size = datum_size(a, byval, attlen)
    return size == datum_size(b, byval, attlen) and memcmp(<const char *> a, <const char *> b, size) == 0


cdef int load_values(TupleDesc desc, object values, Datum *datums, uint8_t *nulls) except -1:
    """Raw Python datums (None, int, bytes that stay alive in `values`) into Datums."""
    cdef int i
    if len(values) != desc.natts:
        raise ValueError(f"{len(values)} values for {desc.natts} attributes")
    for i in range(desc.natts):
        value = values[i]
        datums[i] = 0
        nulls[i] = value is None
        if value is None:
            continue
        if desc.attrs[i].attbyval:
            datums[i] = <Datum> <int64_t> value
        else:
            datums[i] = <Datum> <const char *> (<bytes> value)
    return 0


cdef list store_values(const TupleDescData *desc, const Datum *datums, const uint8_t *nulls):
    """Datums as raw Python datums, copied."""
    cdef int i
    cdef list out = []
    for i in range(desc.natts):
        if nulls[i]:
            out.append(None)
        elif desc.attrs[i].attbyval:
            out.append(<int64_t> datums[i])
        else:
            out.append((<const char *> datums[i])[:datum_size(datums[i], False, desc.attrs[i].attlen)])
    return out


cpdef bytes form_heap_tuple(TupleDesc desc, object values):
    """A heap tuple from raw datums: None, int for by-value types, bytes as in memory (varlena header included)."""
    cdef Datum datums[MaxTupleAttributeNumber]
    cdef uint8_t nulls[MaxTupleAttributeNumber]
    cdef HeapTupleData *tup
    load_values(desc, values, datums, nulls)
    tup = heap_form_tuple_malloc(desc, datums, nulls)
    try:
        return (<char *> tup.t_data)[:tup.t_len]
    finally:
        free(tup)


cpdef list deform_heap_tuple(TupleDesc desc, bytes tup):
    """The attributes of a heap tuple as raw datums; the inverse of `form_heap_tuple`."""
    cdef Datum datums[MaxTupleAttributeNumber]
    cdef uint8_t nulls[MaxTupleAttributeNumber]
    if len(tup) < SizeofHeapTupleHeader:
        raise SqlError(errcode.DATA_CORRUPTED, "tuple is shorter than its header")
    heap_deform_tuple(<const HeapTupleHeaderData *> <const char *> tup, &desc.c, desc.natts, datums, nulls)
    return store_values(&desc.c, datums, nulls)


def get_heap_attribute(TupleDesc desc, bytes tup, int attnum):
    """One attribute (from 1) of a heap tuple as a raw datum."""
    cdef uint8_t isnull
    cdef Datum value = heap_getattr(<const HeapTupleHeaderData *> <const char *> tup, attnum, &desc.c, &isnull)
    cdef Attribute *att = &desc.attrs[attnum - 1]
    if isnull:
        return None
    if att.attbyval:
        return <int64_t> value
    return (<const char *> value)[:datum_size(value, False, att.attlen)]


def form_index_tuple(TupleDesc desc, object values, tuple tid=(0, 0)):
    """An index tuple from raw datums, pointing to tid (block, offset)."""
    cdef Datum datums[INDEX_MAX_KEYS]
    cdef uint8_t nulls[INDEX_MAX_KEYS]
    cdef IndexTupleData *itup
    load_values(desc, values, datums, nulls)
    itup = index_form_tuple_malloc(desc, datums, nulls)
    itup.t_tid.bi_hi = <uint16_t> (<uint32_t> tid[0] >> 16)
    itup.t_tid.bi_lo = <uint16_t> (<uint32_t> tid[0] & 0xFFFF)
    itup.t_tid.ip_posid = tid[1]
    try:
        return (<char *> itup)[:index_tuple_size(itup)]
    finally:
        free(itup)


def deform_index_tuple(TupleDesc desc, bytes itup):
    """The keys of an index tuple as raw datums."""
    cdef Datum datums[INDEX_MAX_KEYS]
    cdef uint8_t nulls[INDEX_MAX_KEYS]
    index_deform_tuple(<const IndexTupleData *> <const char *> itup, &desc.c, datums, nulls)
    return store_values(&desc.c, datums, nulls)
