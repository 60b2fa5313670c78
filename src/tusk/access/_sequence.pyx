"""Sequences: the page, drawing values, and their WAL (rmgr Sequence).

The page holds one frozen tuple (last_value, log_cnt, is_called), changed in place under the buffer's lock: sequences
are not transactional. To spare WAL a record promises 32 values more than are drawn; after a crash the sequence goes on
behind them. log_cnt counts what is left of the promise, which a checkpoint voids.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset
from tusk._types cimport (
    BLCKSZ, INIT_FORK, MAIN_FORK, Datum, FrozenTransactionId, InvalidTransactionId, Lsn, RelFileLocator, tid_set,
)
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport (
    HEAP_XMAX_INVALID, HEAP_XMIN_FROZEN, HeapTupleHeaderData, heap_form_tuple_into, heap_tuple_size,
)
from tusk.access._tupdesc cimport TupleDesc
from tusk.errors import Panic, SqlError, errcode
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_SHARE, EB_LOCK_FIRST, EB_SKIP_EXTENSION_LOCK, RBM_NORMAL, buffer_page,
    extend_relation, lock_buffer, mark_buffer_dirty, read_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_normal, page_add_item, page_get_item, page_get_item_id, page_get_lsn,
    page_get_special_pointer, page_get_special_size, page_init, page_set_lsn,
)
from tusk.transaction._xact cimport get_top_transaction_id
from tusk.wal._insert cimport REGBUF_WILL_INIT, xlog_begin_insert, xlog_insert, xlog_register_buffer, xlog_register_data
from tusk.wal._record cimport RM_SEQ_ID
from tusk.wal._redo cimport DecodedRecord, register_redo
from tusk.wal._xlog cimport get_redo_rec_ptr
from tusk.access._tupdesc import AttributeRow

cdef enum:
    SEQ_MAGIC = 0x1717
    SEQ_LOG_VALS = 32
    XLOG_SEQ_LOG = 0x00

cdef TupleDesc descriptor = TupleDesc([
    AttributeRow("last_value", 20, 8, True, "d", attnotnull=True),
    AttributeRow("log_cnt", 20, 8, True, "d", attnotnull=True),
    AttributeRow("is_called", 16, 1, True, "c", attnotnull=True),
])

cdef packed struct SequenceData:        # FormData_pg_sequence_data
    int64_t last_value
    int64_t log_cnt
    uint8_t is_called


cdef int log_sequence(Relation rel, int buf, const void *tup, uint32_t size) except -1:
    """Write the whole tuple; in a critical section. Replay rebuilds the page from it."""
    cdef RelFileLocator locator = rel.rd_locator
    cdef Lsn lsn
    xlog_begin_insert()
    xlog_register_buffer(0, buf, REGBUF_WILL_INIT)
    xlog_register_data(&locator, sizeof(RelFileLocator))
    xlog_register_data(tup, size)
    lsn = xlog_insert(RM_SEQ_ID, XLOG_SEQ_LOG)
    page_set_lsn(buffer_page(buf), lsn)
    return 0


cdef int fill_fork(Relation rel, int64_t last_value, bint is_called, int fork, bint log) except -1:
    cdef Datum values[3]
    cdef uint8_t nulls[3]
    cdef char room[64]
    cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> room
    cdef uint32_t size
    cdef char *page
    cdef int buf
    memset(nulls, 0, 3)
    values[0] = <Datum> last_value
    values[1] = 0
    values[2] = is_called
    size = heap_tuple_size(&descriptor.c, values, nulls)
    heap_form_tuple_into(descriptor, values, nulls, tup, size)
    tup.t_xmin = FrozenTransactionId
    tup.t_xmax = InvalidTransactionId
    tup.t_cid = 0
    tup.t_infomask |= HEAP_XMIN_FROZEN | HEAP_XMAX_INVALID
    tid_set(&tup.t_ctid, 0, 1)
    if log:
        get_top_transaction_id()        # its commit will wait for this record
    buf = extend_relation(&rel.rd_locator, rel.relpersistence, fork, NULL, EB_LOCK_FIRST | EB_SKIP_EXTENSION_LOCK)
    page = buffer_page(buf)
    critical_start()
    page_init(page, BLCKSZ, sizeof(uint32_t))
    (<uint32_t *> page_get_special_pointer(page))[0] = SEQ_MAGIC
    mark_buffer_dirty(buf)
    if page_add_item(page, tup, size, 0, 0) != 1:
        raise Panic(errcode.INTERNAL_ERROR, "failed to add sequence tuple to page")
    if log:
        log_sequence(rel, buf, tup, size)
    critical_end()
    unlock_release_buffer(buf)
    return 0


cdef int sequence_create(Relation rel, int64_t last_value, bint is_called) except -1:
    """Fill the empty file of a new sequence (fill_seq_with_data)."""
    fill_fork(rel, last_value, is_called, MAIN_FORK, relation_needs_wal(rel))
    if rel.relpersistence == c'u':
        fill_fork(rel, last_value, is_called, INIT_FORK, True)
    return 0


cdef HeapTupleHeaderData *open_tuple(Relation rel, int mode, int *buf, uint32_t *size) except NULL:
    """The sequence's tuple in its pinned and locked page."""
    cdef char *page
    cdef ItemIdData *lp
    cdef uint32_t magic
    buf[0] = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, 0, RBM_NORMAL, NULL)
    lock_buffer(buf[0], mode)
    page = buffer_page(buf[0])
    magic = (<uint32_t *> page_get_special_pointer(page))[0] if page_get_special_size(page) >= 4 else 0
    if magic != SEQ_MAGIC:
        raise SqlError(errcode.DATA_CORRUPTED, f'bad magic number in sequence "{rel.name}": {magic:08X}')
    lp = page_get_item_id(page, 1)
    if not item_id_is_normal(lp):
        raise SqlError(errcode.DATA_CORRUPTED, f'bad tuple in sequence "{rel.name}"')
    size[0] = item_id_get_length(lp)
    return <HeapTupleHeaderData *> page_get_item(page, lp)


cdef inline SequenceData *data_of(HeapTupleHeaderData *tup) noexcept:
    return <SequenceData *> (<char *> tup + tup.t_hoff)


cdef int sequence_read(Relation rel, SequenceState *out) except -1:
    cdef int buf = 0
    cdef uint32_t size = 0
    cdef SequenceData *seq = data_of(open_tuple(rel, BUFFER_LOCK_SHARE, &buf, &size))
    out.last_value = seq.last_value
    out.log_cnt = seq.log_cnt
    out.is_called = seq.is_called
    unlock_release_buffer(buf)
    return 0


cdef bint past_end(int64_t value, const SequenceBounds *b) noexcept nogil:
    """Whether another step leaves the bounds; without overflow."""
    if b.increment > 0:
        return (b.maximum >= 0 and value > b.maximum - b.increment) or \
            (b.maximum < 0 and value + b.increment > b.maximum)
    return (b.minimum < 0 and value < b.minimum - b.increment) or \
        (b.minimum >= 0 and value + b.increment < b.minimum)


cdef int sequence_nextval(
    Relation rel, const SequenceBounds *bounds, int64_t *result, int64_t *cached_until,
) except -1:
    cdef int buf = 0
    cdef uint32_t size = 0
    cdef HeapTupleHeaderData *tup = open_tuple(rel, BUFFER_LOCK_EXCLUSIVE, &buf, &size)
    cdef SequenceData *seq = data_of(tup)
    cdef int64_t next_value = seq.last_value
    cdef int64_t last = seq.last_value
    cdef int64_t log = seq.log_cnt
    cdef int64_t fetch = bounds.cache
    cdef int64_t drawn = 0
    cdef bint logit = False
    result[0] = seq.last_value
    if not seq.is_called:
        drawn = 1
        fetch -= 1
    if log < fetch or not seq.is_called or page_get_lsn(buffer_page(buf)) <= get_redo_rec_ptr():
        fetch += SEQ_LOG_VALS
        log = fetch
        logit = True
    while fetch:
        if past_end(next_value, bounds):
            if drawn:
                break
            if not bounds.cycle:
                unlock_release_buffer(buf)
                which = "maximum" if bounds.increment > 0 else "minimum"
                limit = bounds.maximum if bounds.increment > 0 else bounds.minimum
                raise SqlError(errcode.SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
                               f'nextval: reached {which} value of sequence "{rel.name}" ({limit})')
            next_value = bounds.minimum if bounds.increment > 0 else bounds.maximum
        else:
            next_value += bounds.increment
        fetch -= 1
        if drawn < bounds.cache:
            log -= 1
            drawn += 1
            last = next_value
            if drawn == 1:
                result[0] = next_value
    log -= fetch
    cached_until[0] = last
    if logit and relation_needs_wal(rel):
        get_top_transaction_id()
    critical_start()
    mark_buffer_dirty(buf)
    if logit and relation_needs_wal(rel):
        seq.last_value = next_value
        seq.is_called = 1
        seq.log_cnt = 0
        log_sequence(rel, buf, tup, size)
    seq.last_value = last
    seq.is_called = 1
    seq.log_cnt = log
    critical_end()
    unlock_release_buffer(buf)
    return 0


cdef int sequence_setval(Relation rel, int64_t value, bint is_called) except -1:
    cdef int buf = 0
    cdef uint32_t size = 0
    cdef HeapTupleHeaderData *tup
    cdef SequenceData *seq
    cdef bint log = relation_needs_wal(rel)
    if log:
        get_top_transaction_id()
    tup = open_tuple(rel, BUFFER_LOCK_EXCLUSIVE, &buf, &size)
    seq = data_of(tup)
    critical_start()
    seq.last_value = value
    seq.is_called = is_called
    seq.log_cnt = 0
    mark_buffer_dirty(buf)
    if log:
        log_sequence(rel, buf, tup, size)
    critical_end()
    unlock_release_buffer(buf)
    return 0


cdef int seq_redo(DecodedRecord record) except -1:
    cdef int buf = record.init_buffer_for_redo(0)
    cdef char page[BLCKSZ]
    cdef uint32_t head = sizeof(RelFileLocator)
    if record.info() != XLOG_SEQ_LOG:
        raise Panic(errcode.DATA_CORRUPTED, f"seq_redo: unknown op code {record.info()}")
    # Built aside and copied over at once: readers of a standby may look at the buffer without a lock.
    page_init(page, BLCKSZ, sizeof(uint32_t))
    (<uint32_t *> page_get_special_pointer(page))[0] = SEQ_MAGIC
    if page_add_item(page, record.main_data + head, record.main_data_len - head, 1, 0) == 0:
        raise Panic(errcode.DATA_CORRUPTED, "failed to add item to page")
    page_set_lsn(page, record.end_lsn)
    memcpy(buffer_page(buf), page, BLCKSZ)
    mark_buffer_dirty(buf)
    unlock_release_buffer(buf)
    return 0


register_redo(RM_SEQ_ID, seq_redo, NULL)


def create(Relation rel, last_value=1, bint is_called=False):
    """Fill a new sequence."""
    sequence_create(rel, last_value, is_called)


def read(Relation rel):
    """(last_value, log_cnt, is_called)."""
    cdef SequenceState state
    sequence_read(rel, &state)
    return state.last_value, state.log_cnt, bool(state.is_called)


def nextval(Relation rel, increment=1, minimum=1, maximum=9223372036854775807, cache=1, bint cycle=False):
    """(value, last value that the caller may give out without asking again)."""
    cdef SequenceBounds bounds
    cdef int64_t result = 0
    cdef int64_t until = 0
    bounds.increment = increment
    bounds.minimum = minimum
    bounds.maximum = maximum
    bounds.cache = cache
    bounds.cycle = cycle
    sequence_nextval(rel, &bounds, &result, &until)
    return result, until


def setval(Relation rel, value, bint is_called=True):
    """Set the sequence's state."""
    sequence_setval(rel, value, is_called)
