"""Loading a catalog of a new cluster: heap, visibility map and b-tree pages, without buffers, WAL or locks.

Every tuple is written by the bootstrap transaction and already frozen, every heap page all-visible, as after the
VACUUM FREEZE that ends PostgreSQL's initdb.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from tusk._types cimport BLCKSZ, BlockNumber, Datum, ItemPointerData, OffsetNumber, Oid, tid_set
from tusk.access._tupdesc cimport TupleDesc, make_tupdesc
from tusk.access._tuple cimport (
    HEAP_XMAX_INVALID, HEAP_XMIN_FROZEN, HeapTupleHeaderData, IndexTupleData, heap_form_tuple_into, heap_tuple_size,
    index_form_tuple_into, index_tuple_form_size)
from tusk.access._varlena cimport set_varsize, set_varsize_compressed
from tusk.access.nbtree._build cimport BTBuilder, MemorySink
from tusk.catalog._codec cimport RowCodec, codec_of
from tusk.storage._page cimport (
    PAI_IS_HEAP, PD_ALL_VISIBLE, PageHeaderData, page_add_item, page_get_item, page_get_item_id, page_init,
    page_set_checksum, page_set_flag)
from tusk.wal._pglz cimport pglz_compress

from tusk.access._tupdesc import AttributeRow

cdef enum:
    TOAST_TUPLE_THRESHOLD = 2032
    TOAST_MAX_CHUNK_SIZE = 1996
    VM_HEADER = 24
    VM_BLOCKS_PER_BYTE = 4


cdef class HeapPages:
    """The pages of a relation being filled, in order."""

    cdef public list pages
    cdef char *page
    cdef public Py_ssize_t ntuples

    def __init__(self):
        self.pages = []
        self.page = NULL

    cdef void new_page(self):
        cdef bytearray page = bytearray(BLCKSZ)
        self.pages.append(page)
        self.page = page
        page_init(self.page, BLCKSZ, 0)
        page_set_flag(self.page, PD_ALL_VISIBLE)

    cdef int add(self, TupleDesc desc, const Datum *values, const uint8_t *nulls, ItemPointerData *tid) except -1:
        cdef uint32_t size = heap_tuple_size(&desc.c, values, nulls)
        cdef char buffer[8192]
        cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> buffer
        cdef int offset
        if size > 8160:
            raise ValueError(f"row is too big: size {size}, maximum size 8160")
        memset(buffer, 0, size)
        heap_form_tuple_into(desc, values, nulls, tup, size)
        tup.t_xmin = 1
        tup.t_xmax = 0
        tup.t_cid = 0
        tup.t_infomask |= HEAP_XMIN_FROZEN | HEAP_XMAX_INVALID
        if self.page == NULL:
            self.new_page()
        offset = page_add_item(self.page, buffer, size, 0, PAI_IS_HEAP)
        if offset == 0:
            self.new_page()
            offset = page_add_item(self.page, buffer, size, 0, PAI_IS_HEAP)
        tid_set(tid, <BlockNumber> (len(self.pages) - 1), <OffsetNumber> offset)
        tup = <HeapTupleHeaderData *> page_get_item(self.page, page_get_item_id(self.page, <OffsetNumber> offset))
        tup.t_ctid = tid[0]
        self.ntuples += 1
        return 0


def index_desc(codec_desc, attnums, opclasses):
    """The descriptor of a catalog index: names are kept as cstrings."""
    rows = []
    for attnum in attnums:
        a = codec_desc.attribute(attnum)
        if a["atttypid"] == 19:
            rows.append(AttributeRow(a["attname"], 2275, -2, False, "c"))
        else:
            rows.append(AttributeRow(a["attname"], a["atttypid"], a["attlen"], a["attbyval"], a["attalign"],
                                     a["attstorage"], attcollation=a["attcollation"]))
    return make_tupdesc(rows)


def sort_key(value):
    """A Python key that sorts as the b-tree operator class does; null last."""
    if value is None:
        return (1,)
    if isinstance(value, tuple):
        return (0, len(value), value)
    return (0, value)


cdef class IndexLoad:
    """One index being gathered."""

    cdef public object index
    cdef public TupleDesc desc
    cdef public bint allequalimage
    cdef public list entries            # (sort key, tid, tuple bytes)

    def __init__(self, index, desc, allequalimage):
        self.index = index
        self.desc = desc
        self.allequalimage = allequalimage
        self.entries = []

    cdef int add(self, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid, object key) except -1:
        cdef Datum ivalues[32]
        cdef uint8_t inulls[32]
        cdef int i = 0
        cdef uint32_t size
        cdef bytearray out
        for attnum in self.index.attnums:
            ivalues[i] = values[<int> attnum - 1]
            inulls[i] = nulls[<int> attnum - 1]
            i += 1
        size = index_tuple_form_size(&self.desc.c, ivalues, inulls)
        out = bytearray(size)
        index_form_tuple_into(&self.desc.c, ivalues, inulls, <IndexTupleData *> <char *> out, size)
        (<IndexTupleData *> <char *> out).t_tid = tid[0]
        self.entries.append((key, bytes(out)))
        return 0

    def build(self):
        """The index's pages."""
        cdef MemorySink sink = MemorySink()
        cdef BTBuilder builder = BTBuilder(sink, self.desc, len(self.index.attnums), self.allequalimage,
                                           self.index.unique, index_name=self.index.name)
        cdef bytes itup
        self.entries.sort()
        for _key, itup in self.entries:
            builder.add(<const IndexTupleData *> <const char *> itup)
        builder.finish()
        return sink.pages


def compress(bytes data):
    """The varlena of data compressed with pglz, or None where that saves too little."""
    cdef Py_ssize_t n = len(data)
    cdef bytearray out = bytearray(n + 16)
    cdef char *p = out
    cdef uint32_t size
    cdef int32_t compressed = pglz_compress(<const char *> data, <int32_t> n, p + 8) if n >= 32 else -1
    if compressed < 0 or compressed + 8 >= n + 2:
        return None
    size = <uint32_t> n
    set_varsize_compressed(p, <uint32_t> compressed + 8)
    memcpy(p + 4, &size, 4)
    return bytes(out[:compressed + 8])


cdef class ToastLoad:
    """Moves values of rows that are too wide out of line, into a TOAST table of its own being loaded."""

    cdef public HeapPages heap
    cdef public IndexLoad index
    cdef Oid toastrelid
    cdef TupleDesc desc
    cdef object next_oid

    def __init__(self, toastrelid, toast_index, next_oid):
        self.toastrelid = toastrelid
        self.heap = HeapPages()
        self.desc = make_tupdesc([AttributeRow("chunk_id", 26, 4, True, "i"), AttributeRow("chunk_seq", 23, 4, True, "i"),
                                  AttributeRow("chunk_data", 17, -1, False, "i")])
        idesc = make_tupdesc([AttributeRow("chunk_id", 26, 4, True, "i"), AttributeRow("chunk_seq", 23, 4, True, "i")])
        self.index = IndexLoad(toast_index, idesc, True)
        self.next_oid = next_oid

    cdef bytes store(self, bytes value):
        """Store the content of a varlena (maybe compressed) in chunks; returns the toast pointer."""
        cdef uint32_t rawsize, extinfo, header
        cdef const char *v = value
        cdef bytes data
        cdef Datum values[3]
        cdef uint8_t nulls[3]
        cdef ItemPointerData tid
        cdef Py_ssize_t offset = 0, n
        cdef char chunk[2048]
        cdef int seq = 0
        memcpy(&header, v, 4)
        if header & 3 == 2:
            memcpy(&rawsize, v + 4, 4)
            extinfo = <uint32_t> (len(value) - 4) | (rawsize & 0xC0000000u)
            rawsize = (rawsize & 0x3FFFFFFF) + 4
        else:
            rawsize = <uint32_t> len(value)
            extinfo = rawsize - 4
        data = value[4:]
        oid = self.next_oid()
        memset(nulls, 0, 3)
        while offset < len(data):
            n = min(TOAST_MAX_CHUNK_SIZE, len(data) - offset)
            set_varsize(chunk, <uint32_t> (n + 4))
            memcpy(chunk + 4, <const char *> data + offset, n)
            values[0] = <Datum> <Oid> oid
            values[1] = <Datum> seq
            values[2] = <Datum> chunk
            self.heap.add(self.desc, values, nulls, &tid)
            self.index.add(values, nulls, &tid, (oid, seq))
            offset += n
            seq += 1
        return b"\x01\x12" + rawsize.to_bytes(4, "little") + extinfo.to_bytes(4, "little") + \
            int(oid).to_bytes(4, "little") + int(self.toastrelid).to_bytes(4, "little")

    cdef list shrink(self, RowCodec codec):
        """Make the encoded row fit: compress the widest values, then move the widest out. Returns what must live on."""
        cdef list held = []
        cdef int i, widest
        cdef uint32_t size, best
        cdef bytes value
        cdef set tried = set()
        cdef int phase
        for phase in range(2):
            tried.clear()
            while heap_tuple_size(&codec.desc.c, codec.values, codec.nulls) > TOAST_TUPLE_THRESHOLD:
                widest = -1
                best = 40
                for i in range(codec.natts):
                    if codec.nulls[i] or codec.desc.attrs[i].attlen != -1 or i in tried or \
                            codec.desc.attrs[i].attstorage == c'p':
                        continue
                    size = (<const uint32_t *> codec.values[i])[0] >> 2
                    if (<const uint8_t *> codec.values[i])[0] != 1 and size > best:
                        best = size
                        widest = i
                if widest < 0:
                    break
                tried.add(widest)
                value = (<const char *> codec.values[widest])[:best]
                if phase == 0:
                    if codec.desc.attrs[widest].attstorage != c'x':
                        continue
                    value = compress(value[4:])
                    if value is None:
                        continue
                else:
                    value = self.store(value)
                held.append(value)
                codec.values[widest] = <Datum> <const char *> value
        return held


def load_catalog(schema, rows, equal_image, next_oid):
    """Load rows (of the catalog's class) and build its indexes.

    equal_image(index) tells whether all its operator classes allow deduplication. Returns ({relation oid: [pages]},
    number of heap tuples by relation oid), TOAST table and index included.
    """
    cdef RowCodec codec = codec_of(schema.name)
    cdef HeapPages heap = HeapPages()
    cdef IndexLoad load
    cdef ToastLoad toast = None
    cdef ItemPointerData tid
    cdef list loads = []
    for index in schema.indexes:
        names = [schema.columns[attnum - 1].name for attnum in index.attnums]
        loads.append((IndexLoad(index, index_desc(codec.desc, index.attnums, index.opclasses), equal_image(index)),
                      names))
    if schema.toast_oid:
        toast = ToastLoad(schema.toast_oid, ToastIndex(schema.toast_index_oid, f"pg_toast_{schema.oid}_index"),
                          next_oid)
    for row in rows:
        codec.encode(row)
        held = None
        if toast is not None and heap_tuple_size(&codec.desc.c, codec.values, codec.nulls) > TOAST_TUPLE_THRESHOLD:
            held = toast.shrink(codec)
        heap.add(codec.desc, codec.values, codec.nulls, &tid)
        where = (len(heap.pages), tid.ip_posid)
        for load, names in loads:
            load.add(codec.values, codec.nulls, &tid,
                     (tuple([sort_key(getattr(row, name)) for name in names]), where))
    pages = {schema.oid: heap.pages}
    counts = {schema.oid: heap.ntuples}
    for load, _names in loads:
        pages[load.index.oid] = load.build()
        counts[load.index.oid] = heap.ntuples
    if toast is not None:
        pages[schema.toast_oid] = toast.heap.pages
        counts[schema.toast_oid] = toast.heap.ntuples
        pages[schema.toast_index_oid] = toast.index.build()
        counts[schema.toast_index_oid] = toast.heap.ntuples
    return pages, counts


def load_table(oid, toast_oid, toast_index_oid, kinds, rows):
    """Load a table of text and int4 columns without indexes; as `load_catalog`, its empty TOAST table included."""
    cdef TupleDesc desc = make_tupdesc([
        AttributeRow(f"c{i}", 25, -1, False, "i", "x") if kind == "text" else AttributeRow(f"c{i}", 23, 4, True, "i")
        for i, kind in enumerate(kinds)])
    cdef HeapPages heap = HeapPages()
    cdef Datum values[32]
    cdef uint8_t nulls[32]
    cdef ItemPointerData tid
    cdef int i
    cdef bytearray varlena
    for row in rows:
        held = []
        for i in range(desc.natts):
            value = row[i]
            nulls[i] = value is None
            values[i] = 0
            if isinstance(value, str):
                data = value.encode()
                varlena = bytearray(4) + data
                set_varsize(<char *> varlena, <uint32_t> len(varlena))
                held.append(varlena)
                values[i] = <Datum> <char *> varlena
            elif value is not None:
                values[i] = <Datum> <long> value
        heap.add(desc, values, nulls, &tid)
    toast = ToastLoad(toast_oid, ToastIndex(toast_index_oid, f"pg_toast_{oid}_index"), None)
    return ({oid: heap.pages, toast_oid: [], toast_index_oid: toast.index.build()},
            {oid: heap.ntuples, toast_oid: 0, toast_index_oid: 0})


class ToastIndex:
    """What `IndexLoad` wants to know of a TOAST table's index."""

    attnums = (1, 2)
    unique = True

    def __init__(self, oid, name):
        self.oid = oid
        self.name = name


def visibility_map(nblocks):
    """The pages of a visibility map that says: all of nblocks all-visible and all-frozen."""
    cdef char *p
    cdef bytearray page = bytearray(BLCKSZ)
    if nblocks > (BLCKSZ - VM_HEADER) * VM_BLOCKS_PER_BYTE:
        raise ValueError("catalog too large")
    p = page
    page_init(p, BLCKSZ, 0)
    for block in range(nblocks):
        page[VM_HEADER + block // 4] |= 3 << (2 * (block % 4))
    return [page]


def to_file(pages, checksums):
    """The bytes of a relation file, checksums set if wanted."""
    cdef bytearray page
    cdef BlockNumber block = 0
    if checksums:
        for page in pages:
            page_set_checksum(<char *> page, block)
            block += 1
    return b"".join(pages)
