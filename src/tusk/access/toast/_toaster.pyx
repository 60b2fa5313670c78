"""The rules by which a row becomes small enough for a page.

A row longer than toast_tuple_target has its widest attributes compressed (storage extended), then moved out
(extended and external), then those with storage main compressed, and only if it would not fit a page at all moved out
too. What moves out is cut into chunks of 1996 bytes, which are rows of the toast table with a value id and a number.
"""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset
from tusk._types cimport CommandId, Datum, ItemPointerData, Oid, maxalign
from tusk.access._index cimport (
    BTEqualStrategyNumber, BTGreaterEqualStrategyNumber, BTLessEqualStrategyNumber, UNIQUE_CHECK_NO,
    UNIQUE_CHECK_YES, IndexScan, ScanKeyData, index_beginscan, index_endscan, index_getnext, index_insert,
    index_rescan, init_scan_key,
)
from tusk.access._relation cimport Relation, indexes_of, toast_relation_of
from tusk.access._tuple cimport (
    HEAP_HASEXTERNAL, HEAP_HASNULL, HEAP_HASVARWIDTH, HEAP_NATTS_MASK, HEAP_XACT_MASK, MaxTupleAttributeNumber,
    SizeofHeapTupleHeader, HeapTupleData, HeapTupleHeaderData, heap_compute_data_size, heap_deform_tuple,
    heap_fill_tuple, heap_form_tuple_malloc, heap_getattr,
)
from tusk.access._tupdesc cimport Attribute, TupleDescData
from tusk.access._varlena cimport (
    TOAST_POINTER_SIZE, VARHDRSZ, VARLENA_EXTSIZE_BITS, VARTAG_ONDISK, set_varsize, varatt_external,
    varatt_external_extsize, varatt_external_get, varatt_is_4b_u, varatt_is_compressed, varatt_is_external,
    varatt_is_short, vardata_any, vardata_compressed_method, vardata_compressed_rawsize, varsize_4b, varsize_any,
    varsize_any_exhdr, varsize_short,
)
from tusk.access.heap cimport _heap
from tusk.access.heap._heap cimport (
    HEAP_INSERT_SPECULATIVE, heap_abort_speculative, heap_insert, simple_heap_delete,
)
from tusk.access.toast cimport _detoast
from tusk.access.toast._compression cimport toast_compress
from tusk.access.toast._detoast cimport detoast_external_malloc, detoast_malloc
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.transaction cimport _snapshot
from tusk.transaction._varsup cimport get_new_object_id
from tusk.transaction._xact cimport get_current_command_id

cdef enum:
    TOAST_MAX_CHUNK_SIZE = 1996
    TOAST_TUPLE_TARGET_MAIN = 8160

cdef enum:                          # what is known of a column
    COLUMN_IGNORE = 1               # may not be changed (any more)
    COLUMN_INCOMPRESSIBLE = 2
    COLUMN_DELETE_OLD = 4
    COLUMN_OWNED = 8                # values[i] is malloc'ed

cdef struct Toasting:
    const TupleDescData *desc
    Datum *values
    uint8_t *nulls
    uint8_t flags[1664]
    uint32_t sizes[1664]
    bint changed
    bint has_nulls
    bint delete_old

_open_toast = None


def set_toast_opener(function):
    """Name the function that opens a toast table by oid: (oid) -> Relation; set by `catalog`."""
    global _open_toast
    _open_toast = function


cdef Relation valid_index(Relation toastrel):
    for index in indexes_of(toastrel):
        if (<Relation> index).indisvalid:
            return <Relation> index
    raise SqlError(errcode.INTERNAL_ERROR, f"no valid index found for toast relation with Oid {toastrel.rd_id}")


# -- Fetching --

cdef int fetch_chunks(const varatt_external *pointer, int32_t offset, int32_t length, char *out) except -1:
    """Read part of a stored value, its chunks in order through the toast table's index."""
    cdef Relation toastrel
    cdef int32_t size = <int32_t> varatt_external_extsize(pointer)
    cdef int32_t first = offset // TOAST_MAX_CHUNK_SIZE
    cdef int32_t last = (offset + length - 1) // TOAST_MAX_CHUNK_SIZE
    cdef int32_t last_of_value = (size - 1) // TOAST_MAX_CHUNK_SIZE
    cdef int32_t expected = first
    cdef int32_t seq, n, wanted, start, stop
    cdef ScanKeyData keys[3]
    cdef int nkeys = 1
    cdef IndexScan scan
    cdef HeapTupleData *tup
    cdef uint8_t isnull = 0
    cdef const char *chunk
    if length == 0:
        return 0
    if _open_toast is None:
        raise feature_not_supported("fetching external values before catalog.relcache is loaded")
    toastrel = _open_toast(pointer.va_toastrelid)
    index = valid_index(toastrel)
    init_scan_key(&keys[0], index, 1, BTEqualStrategyNumber, pointer.va_valueid)
    if first == last and last_of_value > 0:
        init_scan_key(&keys[1], index, 2, BTEqualStrategyNumber, <Datum> first)
        nkeys = 2
    elif first > 0 or last < last_of_value:
        init_scan_key(&keys[1], index, 2, BTGreaterEqualStrategyNumber, <Datum> first)
        init_scan_key(&keys[2], index, 2, BTLessEqualStrategyNumber, <Datum> last)
        nkeys = 3
    scan = index_beginscan(toastrel, index, _snapshot.SnapshotToast)
    try:
        index_rescan(scan, keys, nkeys)
        while expected <= last:
            tup = index_getnext(scan, False)
            if tup == NULL:
                break
            seq = <int32_t> heap_getattr(tup.t_data, 2, &toastrel.desc.c, &isnull)
            chunk = <const char *> heap_getattr(tup.t_data, 3, &toastrel.desc.c, &isnull)
            if seq != expected:
                raise SqlError(errcode.DATA_CORRUPTED,
                               f"unexpected chunk number {seq} (expected {expected}) for toast value "
                               f"{pointer.va_valueid} in {toastrel.name}")
            if isnull or varatt_is_external(chunk) or varatt_is_compressed(chunk):
                raise SqlError(errcode.DATA_CORRUPTED,
                               f"found toasted toast chunk for toast value {pointer.va_valueid} in {toastrel.name}")
            n = <int32_t> varsize_any_exhdr(chunk)
            wanted = TOAST_MAX_CHUNK_SIZE if seq < last_of_value else size - last_of_value * TOAST_MAX_CHUNK_SIZE
            if n != wanted:
                raise SqlError(errcode.DATA_CORRUPTED,
                               f"unexpected chunk size {n} (expected {wanted}) in chunk {seq} of {last_of_value + 1} "
                               f"for toast value {pointer.va_valueid} in {toastrel.name}")
            start = offset - seq * TOAST_MAX_CHUNK_SIZE
            if start < 0:
                start = 0
            stop = offset + length - seq * TOAST_MAX_CHUNK_SIZE
            if stop > n:
                stop = n
            memcpy(out + seq * TOAST_MAX_CHUNK_SIZE + start - offset, vardata_any(chunk) + start, stop - start)
            expected += 1
    finally:
        index_endscan(scan)
    if expected <= last:
        raise SqlError(errcode.DATA_CORRUPTED,
                       f"missing chunk number {expected} for toast value {pointer.va_valueid} in {toastrel.name}")
    return 0


# -- Storing --

cdef Oid new_value_id(Relation toastrel, Relation index) except 0:
    """An oid no value of the table has, dead ones included (GetNewOidWithIndex)."""
    cdef Oid oid
    cdef ScanKeyData key
    cdef IndexScan scan
    cdef bint taken
    while True:
        oid = get_new_object_id()
        init_scan_key(&key, index, 1, BTEqualStrategyNumber, oid)
        scan = index_beginscan(toastrel, index, _snapshot.SnapshotAny)
        index_rescan(scan, &key, 1)
        taken = index_getnext(scan, False) != NULL
        index_endscan(scan)
        if not taken:
            return oid


cdef char *save_value(Relation rel, const char *value, int options) except NULL:
    """Store a value's chunks; a malloc'ed toast pointer (toast_save_datum)."""
    cdef Relation toastrel = toast_relation_of(rel)
    cdef Relation index = valid_index(toastrel)
    cdef CommandId cid = get_current_command_id(True)
    cdef varatt_external pointer
    cdef const char *data
    cdef int32_t todo, n
    cdef int32_t seq = 0
    cdef Datum values[3]
    cdef uint8_t nulls[3]
    cdef char room[TOAST_MAX_CHUNK_SIZE + VARHDRSZ]
    cdef HeapTupleData *chunk
    cdef char *out
    if varatt_is_short(value):
        data = value + 1
        todo = <int32_t> varsize_short(value) - 1
        pointer.va_rawsize = todo + VARHDRSZ
        pointer.va_extinfo = <uint32_t> todo
    elif varatt_is_compressed(value):
        data = value + VARHDRSZ
        todo = <int32_t> varsize_4b(value) - VARHDRSZ
        pointer.va_rawsize = <int32_t> vardata_compressed_rawsize(value) + VARHDRSZ
        pointer.va_extinfo = <uint32_t> todo | (vardata_compressed_method(value) << VARLENA_EXTSIZE_BITS)
    else:
        data = value + VARHDRSZ
        todo = <int32_t> varsize_4b(value) - VARHDRSZ
        pointer.va_rawsize = todo + VARHDRSZ
        pointer.va_extinfo = <uint32_t> todo
    pointer.va_toastrelid = toastrel.rd_id
    pointer.va_valueid = new_value_id(toastrel, index)
    memset(nulls, 0, 3)
    values[0] = pointer.va_valueid
    values[2] = <Datum> room
    while todo > 0:
        n = todo if todo < TOAST_MAX_CHUNK_SIZE else TOAST_MAX_CHUNK_SIZE
        values[1] = <Datum> seq
        set_varsize(room, n + VARHDRSZ)
        memcpy(room + VARHDRSZ, data, n)
        chunk = heap_form_tuple_malloc(toastrel.desc, values, nulls)
        try:
            heap_insert(toastrel, chunk, cid, options, None)
            for each in indexes_of(toastrel):
                if (<Relation> each).indisready:
                    index_insert(<Relation> each, values, nulls, &chunk.t_self, toastrel,
                                 UNIQUE_CHECK_YES if (<Relation> each).indisunique else UNIQUE_CHECK_NO, False)
        finally:
            free(chunk)
        data += n
        todo -= n
        seq += 1
    out = <char *> malloc(TOAST_POINTER_SIZE)
    if out == NULL:
        raise MemoryError
    out[0] = 0x01
    out[1] = VARTAG_ONDISK
    memcpy(out + 2, &pointer, sizeof(varatt_external))
    return out


cdef int delete_value(const char *value, bint is_speculative) except -1:
    """Delete the chunks of an external value (toast_delete_datum)."""
    cdef varatt_external pointer
    cdef Relation toastrel
    cdef Relation index
    cdef ScanKeyData key
    cdef IndexScan scan
    cdef HeapTupleData *tup
    cdef ItemPointerData tid
    if value[1] != VARTAG_ONDISK:
        return 0
    varatt_external_get(value, &pointer)
    if _open_toast is None:
        raise feature_not_supported("deleting external values before catalog.relcache is loaded")
    toastrel = _open_toast(pointer.va_toastrelid)
    index = valid_index(toastrel)
    init_scan_key(&key, index, 1, BTEqualStrategyNumber, pointer.va_valueid)
    scan = index_beginscan(toastrel, index, _snapshot.SnapshotToast)
    try:
        index_rescan(scan, &key, 1)
        while True:
            tup = index_getnext(scan, False)
            if tup == NULL:
                break
            tid = tup.t_self
            if is_speculative:
                heap_abort_speculative(toastrel, &tid)
            else:
                simple_heap_delete(toastrel, &tid)
    finally:
        index_endscan(scan)
    return 0


# -- The rules --

cdef int replace_value(Toasting *t, int i, char *value, uint8_t more_flags) except -1:
    if t.flags[i] & COLUMN_OWNED:
        free(<char *> t.values[i])
    t.values[i] = <Datum> value
    t.flags[i] |= COLUMN_OWNED | more_flags
    t.sizes[i] = varsize_any(value)
    t.changed = True
    return 0


cdef int begin(Toasting *t, Datum *old_values, uint8_t *old_nulls) except -1:
    """See which columns may be touched; values from other rows' toast are fetched, to be stored anew."""
    cdef int i
    cdef const Attribute *att
    cdef const char *new
    cdef const char *old
    for i in range(t.desc.natts):
        att = &t.desc.attrs[i]
        t.flags[i] = 0
        if old_values != NULL and att.attlen == -1 and not old_nulls[i]:
            old = <const char *> old_values[i]
            if varatt_is_external(old):
                new = <const char *> t.values[i]
                if t.nulls[i] or not varatt_is_external(new) or memcmp(old, new, TOAST_POINTER_SIZE) != 0:
                    t.flags[i] |= COLUMN_DELETE_OLD
                    t.delete_old = True
                else:
                    t.flags[i] |= COLUMN_IGNORE     # the same value: it stays where it is
                    continue
        if t.nulls[i]:
            t.flags[i] |= COLUMN_IGNORE
            t.has_nulls = True
            continue
        if att.attlen != -1:
            t.flags[i] |= COLUMN_IGNORE
            continue
        new = <const char *> t.values[i]
        if att.attstorage == c'p':
            t.flags[i] |= COLUMN_IGNORE
        if varatt_is_external(new):
            replace_value(t, i, detoast_malloc(new) if att.attstorage == c'p' else detoast_external_malloc(new), 0)
            new = <const char *> t.values[i]
        t.sizes[i] = varsize_any(new)
    return 0


cdef int find_biggest(Toasting *t, bint for_compression, bint main) noexcept:
    """The widest column that may still be compressed or moved, -1 when there is none."""
    cdef int i
    cdef int biggest = -1
    cdef uint32_t size = 24             # a toast pointer's size: smaller ones are not worth it
    cdef uint8_t skip = COLUMN_IGNORE | COLUMN_INCOMPRESSIBLE if for_compression else COLUMN_IGNORE
    cdef const char *v
    cdef char storage
    for i in range(t.desc.natts):
        if t.flags[i] & skip:
            continue
        v = <const char *> t.values[i]
        if varatt_is_external(v) or (for_compression and varatt_is_compressed(v)):
            continue
        storage = t.desc.attrs[i].attstorage
        if main and storage != c'm':
            continue
        if not main and storage != c'x' and storage != c'e':
            continue
        if t.sizes[i] > size:
            biggest = i
            size = t.sizes[i]
    return biggest


cdef int try_compression(Toasting *t, int i) except -1:
    cdef char *out = toast_compress(<const char *> t.values[i], t.desc.attrs[i].attcompression)
    if out == NULL:
        t.flags[i] |= COLUMN_INCOMPRESSIBLE
        return 0
    return replace_value(t, i, out, 0)


cdef int externalize(Toasting *t, Relation rel, int i, int options) except -1:
    t.flags[i] |= COLUMN_IGNORE
    return replace_value(t, i, save_value(rel, <const char *> t.values[i], options), 0)


cdef int shrink(Toasting *t, Relation rel, int options) except -1:
    """The four passes."""
    cdef size_t hoff = SizeofHeapTupleHeader
    cdef size_t target
    cdef bint has_toast = rel.reltoastrelid != 0
    cdef int i
    if t.has_nulls:
        hoff += (t.desc.natts + 7) // 8
    hoff = maxalign(hoff)
    target = rel.toast_tuple_target - hoff
    while heap_compute_data_size(t.desc, t.values, t.nulls) > target:
        i = find_biggest(t, True, False)
        if i < 0:
            break
        if t.desc.attrs[i].attstorage == c'x':
            try_compression(t, i)
        else:
            t.flags[i] |= COLUMN_INCOMPRESSIBLE
        # One that is too wide even so goes at once, before others are compressed in vain.
        if t.sizes[i] > target and has_toast:
            externalize(t, rel, i, options)
    while has_toast and heap_compute_data_size(t.desc, t.values, t.nulls) > target:
        i = find_biggest(t, False, False)
        if i < 0:
            break
        externalize(t, rel, i, options)
    while heap_compute_data_size(t.desc, t.values, t.nulls) > target:
        i = find_biggest(t, True, True)
        if i < 0:
            break
        try_compression(t, i)
    target = TOAST_TUPLE_TARGET_MAIN - hoff
    while has_toast and heap_compute_data_size(t.desc, t.values, t.nulls) > target:
        i = find_biggest(t, False, True)
        if i < 0:
            break
        externalize(t, rel, i, options)
    return 0


cdef HeapTupleData *rebuild(Toasting *t, const HeapTupleData *tup) except NULL:
    """A tuple with the old one's header and the new values."""
    cdef size_t hoff = SizeofHeapTupleHeader
    cdef size_t size
    cdef HeapTupleData *out
    cdef uint16_t mask
    if t.has_nulls:
        hoff += (t.desc.natts + 7) // 8
    hoff = maxalign(hoff)
    size = hoff + heap_compute_data_size(t.desc, t.values, t.nulls)
    out = <HeapTupleData *> malloc(sizeof(HeapTupleData) + size)
    if out == NULL:
        raise MemoryError
    memset(out, 0, sizeof(HeapTupleData) + size)
    out.t_len = <uint32_t> size
    out.t_self = tup.t_self
    out.t_tableOid = tup.t_tableOid
    out.t_data = <HeapTupleHeaderData *> (<char *> out + sizeof(HeapTupleData))
    memcpy(out.t_data, tup.t_data, SizeofHeapTupleHeader)
    out.t_data.t_infomask2 = (out.t_data.t_infomask2 & <uint16_t> (~HEAP_NATTS_MASK & 0xFFFF)) | \
        <uint16_t> t.desc.natts
    out.t_data.t_hoff = <uint8_t> hoff
    mask = out.t_data.t_infomask
    heap_fill_tuple(t.desc, t.values, t.nulls, <char *> out.t_data + hoff, &mask,
                    <uint8_t *> out.t_data + SizeofHeapTupleHeader if t.has_nulls else NULL)
    out.t_data.t_infomask = mask
    return out


cdef HeapTupleData *toast_insert_or_update(
    Relation rel, HeapTupleData *tup, HeapTupleData *old, int options,
) except NULL:
    cdef Toasting t
    cdef int natts = rel.desc.natts
    cdef int i
    cdef HeapTupleData *out = tup
    cdef Datum *room = <Datum *> malloc(2 * natts * (sizeof(Datum) + 1) + 16)
    cdef Datum *old_values = NULL
    cdef uint8_t *old_nulls = NULL
    if room == NULL:
        raise MemoryError
    t.desc = &rel.desc.c
    t.values = room
    t.nulls = <uint8_t *> (room + 2 * natts)
    t.changed = t.has_nulls = t.delete_old = False
    memset(t.flags, 0, natts)
    try:
        heap_deform_tuple(tup.t_data, t.desc, natts, t.values, t.nulls)
        if old != NULL:
            old_values = room + natts
            old_nulls = t.nulls + natts
            heap_deform_tuple(old.t_data, t.desc, natts, old_values, old_nulls)
        begin(&t, old_values, old_nulls)
        shrink(&t, rel, options & ~HEAP_INSERT_SPECULATIVE)
        if t.changed:
            out = rebuild(&t, tup)
        if t.delete_old:
            for i in range(natts):
                if t.flags[i] & COLUMN_DELETE_OLD:
                    delete_value(<const char *> old_values[i], False)
    finally:
        for i in range(natts):
            if t.flags[i] & COLUMN_OWNED:
                free(<char *> t.values[i])
        free(room)
    return out


cdef int toast_delete(Relation rel, HeapTupleData *old, bint is_speculative) except -1:
    """Delete what a deleted row had out of line."""
    cdef int natts = rel.desc.natts
    cdef int i
    cdef Datum *values = <Datum *> malloc(natts * (sizeof(Datum) + 1) + 16)
    cdef uint8_t *nulls = <uint8_t *> (values + natts)
    if values == NULL:
        raise MemoryError
    try:
        heap_deform_tuple(old.t_data, &rel.desc.c, natts, values, nulls)
        for i in range(natts):
            if rel.desc.attrs[i].attlen == -1 and not nulls[i] and varatt_is_external(<const char *> values[i]):
                delete_value(<const char *> values[i], is_speculative)
    finally:
        free(values)
    return 0


cdef HeapTupleData *toast_flatten_tuple(Relation rel, const HeapTupleData *tup) except NULL:
    cdef Toasting t
    cdef int natts = rel.desc.natts
    cdef int i
    cdef Datum *room = <Datum *> malloc(natts * (sizeof(Datum) + 1) + 16)
    if room == NULL:
        raise MemoryError
    t.desc = &rel.desc.c
    t.values = room
    t.nulls = <uint8_t *> (room + natts)
    t.changed = t.has_nulls = False
    memset(t.flags, 0, natts)
    try:
        heap_deform_tuple(tup.t_data, t.desc, natts, t.values, t.nulls)
        for i in range(natts):
            if t.nulls[i]:
                t.has_nulls = True
            elif t.desc.attrs[i].attlen == -1 and (varatt_is_external(<const char *> t.values[i])
                                                   or varatt_is_compressed(<const char *> t.values[i])):
                replace_value(&t, i, detoast_malloc(<const char *> t.values[i]), 0)
        return rebuild(&t, tup)
    finally:
        for i in range(natts):
            if t.flags[i] & COLUMN_OWNED:
                free(<char *> t.values[i])
        free(room)


_heap.toast_insert_hook = toast_insert_or_update
_heap.toast_delete_hook = toast_delete
_detoast.fetch_chunks_hook = fetch_chunks
