"""The columnar deform kernel: wanted attributes of up to 1024 tuples into column vectors.

It walks attribute by attribute over all tuples, not tuple by tuple, so that type, length and alignment are decided
once per attribute and the inner loops are straight. Attributes at fixed offsets need no walking at all: a scan that
wants only those touches one place per tuple. Tuples with nulls or fewer attributes than wanted take slower loops,
but only they do: the tuples are sorted into two groups first.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset, strlen
from tusk._types cimport Datum
from tusk.access._tupdesc cimport Attribute, TupleDesc, TupleDescData
from tusk.access._tuple cimport (
    HEAP_HASNULL, HeapTupleHeaderData, att_isnull, datum_size, fetch_att, tuple_bits, tuple_natts,
)
from tusk.access._varlena cimport varsize_any


cdef inline uint32_t align_up(uint32_t off, uint32_t by) noexcept nogil:
    return (off + by - 1) & ~(by - 1)


cdef void take_fixed(
    const Attribute *att, const char **base, const uint16_t *rows, int n, Datum *col,
) noexcept nogil:
    """An attribute at its cached offset, of tuples without nulls before it."""
    cdef int i
    cdef int32_t off = att.attcacheoff
    if not att.attbyval:
        for i in range(n):
            col[rows[i]] = <Datum> (base[i] + off)
    elif att.attlen == 4:
        for i in range(n):
            col[rows[i]] = <Datum> <int64_t> (<const int32_t *> (base[i] + off))[0]
    elif att.attlen == 8:
        for i in range(n):
            col[rows[i]] = (<const Datum *> (base[i] + off))[0]
    elif att.attlen == 2:
        for i in range(n):
            col[rows[i]] = <Datum> <int64_t> (<const int16_t *> (base[i] + off))[0]
    else:
        for i in range(n):
            col[rows[i]] = <Datum> <int64_t> (<const signed char *> (base[i] + off))[0]


cdef void step(
    const Attribute *att, const char **base, uint32_t *off, const uint16_t *rows, int n, Datum *col,
) noexcept nogil:
    """Move every tuple's offset over an attribute that none of them has null, storing it when col is not NULL."""
    cdef int i
    cdef uint32_t by = att.attalignby
    cdef uint32_t o
    cdef const char *p
    cdef int length = att.attlen
    if length > 0:
        for i in range(n):
            o = align_up(off[i], by)
            off[i] = o + length
            if col != NULL:
                col[rows[i]] = fetch_att(base[i] + o, att.attbyval, length)
    elif length == -1:
        for i in range(n):
            o = off[i]
            if base[i][o] == 0:
                o = align_up(o, by)
            p = base[i] + o
            off[i] = o + varsize_any(p)
            if col != NULL:
                col[rows[i]] = <Datum> p
    else:
        for i in range(n):
            o = align_up(off[i], by)
            p = base[i] + o
            off[i] = o + <uint32_t> strlen(p) + 1
            if col != NULL:
                col[rows[i]] = <Datum> p


cdef void deform_plain(
    const TupleDescData *desc, const char **base, const uint16_t *rows, int n, const int16_t *attnums, int ncols,
    Datum **cols,
) noexcept nogil:
    """Tuples without nulls that have all wanted attributes."""
    cdef uint32_t off[DEFORM_MAX]
    cdef int k = 0
    cdef int i
    cdef int att
    while k < ncols and attnums[k] <= desc.nfixed:
        take_fixed(&desc.attrs[attnums[k] - 1], base, rows, n, cols[k])
        k += 1
    if k == ncols:
        return
    att = desc.nfixed - 1 if desc.nfixed > 0 else 0
    for i in range(n):
        off[i] = desc.attrs[att].attcacheoff if desc.nfixed > 0 else 0
    while k < ncols:
        if att == attnums[k] - 1:
            step(&desc.attrs[att], base, off, rows, n, cols[k])
            k += 1
        else:
            step(&desc.attrs[att], base, off, rows, n, NULL)
        att += 1


cdef void deform_one(
    const TupleDescData *desc, const HeapTupleHeaderData *tup, int row, const int16_t *attnums, int ncols,
    Datum **cols, uint8_t **nulls,
) noexcept nogil:
    """One tuple that has nulls, or is older than some wanted column."""
    cdef const char *base = <const char *> tup + tup.t_hoff
    cdef const uint8_t *bits = tuple_bits(tup) if tup.t_infomask & HEAP_HASNULL else NULL
    cdef int present = tuple_natts(tup)
    cdef uint32_t off = 0
    cdef int att = 0
    cdef int k = 0
    cdef const Attribute *a
    while k < ncols:
        if att >= present:
            att = attnums[k] - 1
            if desc.has_missing and desc.missing_present[att]:
                cols[k][row] = desc.missing[att]
                nulls[k][row] = 0
            else:
                cols[k][row] = 0
                nulls[k][row] = 1
            k += 1
            continue
        if bits != NULL and att_isnull(att, bits):
            if att == attnums[k] - 1:
                cols[k][row] = 0
                nulls[k][row] = 1
                k += 1
            att += 1
            continue
        a = &desc.attrs[att]
        if a.attlen != -1 or base[off] == 0:
            off = align_up(off, a.attalignby)
        if att == attnums[k] - 1:
            cols[k][row] = fetch_att(base + off, a.attbyval, a.attlen)
            nulls[k][row] = 0
            k += 1
        if a.attlen > 0:
            off += a.attlen
        elif a.attlen == -1:
            off += varsize_any(base + off)
        else:
            off += <uint32_t> strlen(base + off) + 1
        att += 1


cdef void deform_columns(
    const TupleDescData *desc, HeapTupleHeaderData **tuples, int ntuples, const int16_t *attnums, int ncols,
    Datum **cols, uint8_t **nulls,
) noexcept nogil:
    cdef const char *base[DEFORM_MAX]
    cdef uint16_t rows[DEFORM_MAX]
    cdef int n = 0
    cdef int i, k
    cdef int last
    cdef const HeapTupleHeaderData *tup
    if ncols == 0:
        return
    last = attnums[ncols - 1]
    for k in range(ncols):
        memset(nulls[k], 0, ntuples)
    for i in range(ntuples):
        tup = tuples[i]
        if tup.t_infomask & HEAP_HASNULL or tuple_natts(tup) < last:
            deform_one(desc, tup, i, attnums, ncols, cols, nulls)
        else:
            base[n] = <const char *> tup + tup.t_hoff
            rows[n] = <uint16_t> i
            n += 1
    if n:
        deform_plain(desc, base, rows, n, attnums, ncols, cols)


def deform_tuples(TupleDesc desc, list tuples, list attnums):
    """Columns (lists of raw datums) of wanted attributes of tuples given as bytes; for tests and benchmarks."""
    cdef int n = len(tuples)
    cdef int ncols = len(attnums)
    cdef int i, k
    cdef HeapTupleHeaderData *headers[DEFORM_MAX]
    cdef int16_t wanted[1664]
    cdef Datum **cols
    cdef uint8_t **nulls
    cdef Attribute *att
    if n > DEFORM_MAX:
        raise ValueError("too many tuples")
    cols = <Datum **> malloc(ncols * sizeof(Datum *))
    nulls = <uint8_t **> malloc(ncols * sizeof(uint8_t *))
    for k in range(ncols):
        wanted[k] = attnums[k]
        cols[k] = <Datum *> malloc(n * sizeof(Datum) + 1)
        nulls[k] = <uint8_t *> malloc(n + 1)
    for i in range(n):
        headers[i] = <HeapTupleHeaderData *> <char *> (<bytes> tuples[i])
    deform_columns(&desc.c, headers, n, wanted, ncols, cols, nulls)
    out = []
    for k in range(ncols):
        att = &desc.attrs[wanted[k] - 1]
        column = []
        for i in range(n):
            if nulls[k][i]:
                column.append(None)
            elif att.attbyval:
                column.append(<int64_t> cols[k][i])
            else:
                column.append((<const char *> cols[k][i])[:datum_size(cols[k][i], False, att.attlen)])
        out.append(column)
        free(cols[k])
        free(nulls[k])
    free(cols)
    free(nulls)
    return out
