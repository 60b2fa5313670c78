"""In-place updates: pg_class's relpages and the like, written over the tuple outside of any transaction.

Readers without a lock may see either version; the length stays the same. A heavyweight tuple lock keeps ordinary
updates of the row out meanwhile. The invalidation messages go out with the change, not with a commit.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset
from tusk._types cimport MAIN_FORK, ItemPointerData, Lsn, TransactionId, tid_block, tid_offset
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport HEAP_XMAX_IS_MULTI, HeapTupleData, HeapTupleHeaderData
from tusk.access.heap._heap cimport (
    LockTupleNoKeyExclusive, TM_BeingModified, TM_Invisible, TM_Ok, TM_SelfModified,
)
from tusk.access.heap._records cimport XLOG_HEAP_INPLACE, xl_heap_inplace
from tusk.access.heap._visibility cimport tuple_satisfies_update
from tusk.access.heap._xmax cimport multixact_conflicts, multixact_wait, xmax_is_keyshr_locked
from tusk.errors import SqlError, errcode
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_page, lock_buffer, mark_buffer_dirty, read_buffer,
    release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_normal, page_get_item, page_get_item_id, page_get_max_offset,
    page_set_lsn,
)
from tusk.transaction._lock cimport ExclusiveLock, XLTW_Update, lock_tuple, unlock_tuple, xact_lock_table_wait
from tusk.transaction._multixact cimport MultiXactStatusNoKeyUpdate
from tusk.transaction._xact cimport get_current_command_id, transaction_id_is_current
from tusk.wal._insert cimport (
    REGBUF_STANDARD, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer, xlog_register_data,
)
from tusk.wal._record cimport RM_HEAP_ID

_messages_for = None
_send = None


def set_invalidation(messages_for, send):
    """Name the functions of `catalog`: messages_for(rel, tuple bytes) -> (messages as bytes, init file, db, ts), and
    send(messages, init file), called after the change while the tuple is still locked."""
    global _messages_for, _send
    _messages_for, _send = messages_for, send


cdef int heap_inplace_lock(Relation rel, HeapTupleData *old, int *buf) except -1:
    cdef ItemPointerData tid = old.t_self
    cdef char *page
    cdef ItemIdData *lp
    cdef TransactionId xwait
    cdef uint16_t infomask
    cdef int result
    lock_tuple(rel.lock_db(), rel.rd_id, &tid, ExclusiveLock)
    buf[0] = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, tid_block(&tid), RBM_NORMAL, NULL)
    lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
    page = buffer_page(buf[0])
    lp = page_get_item_id(page, tid_offset(&tid))
    if tid_offset(&tid) > page_get_max_offset(page) or not item_id_is_normal(lp):
        heap_inplace_unlock(rel, old, buf[0])
        return 0
    old.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
    old.t_len = item_id_get_length(lp)
    old.t_tableOid = rel.rd_id
    result = tuple_satisfies_update(old, get_current_command_id(False), buf[0])
    if result == TM_Ok:
        return 1
    if result == TM_Invisible:
        heap_inplace_unlock(rel, old, buf[0])
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "attempted to overwrite invisible tuple")
    if result == TM_SelfModified:
        heap_inplace_unlock(rel, old, buf[0])
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "tuple to be updated was already modified by an "
                                                                 "operation triggered by the current command")
    if result == TM_BeingModified:
        xwait = old.t_data.t_xmax
        infomask = old.t_data.t_infomask
        if infomask & HEAP_XMAX_IS_MULTI:
            if not multixact_conflicts(xwait, infomask, LockTupleNoKeyExclusive, NULL):
                return 1
            lock_buffer(buf[0], BUFFER_LOCK_UNLOCK)
            multixact_wait(xwait, MultiXactStatusNoKeyUpdate, infomask, False, rel, &tid, XLTW_Update, NULL)
            lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
        elif transaction_id_is_current(xwait) or xmax_is_keyshr_locked(infomask):
            return 1
        else:
            lock_buffer(buf[0], BUFFER_LOCK_UNLOCK)
            xact_lock_table_wait(xwait, rel.name, &tid, XLTW_Update)
            lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
    heap_inplace_unlock(rel, old, buf[0])
    return 0


cdef int heap_inplace_update_and_unlock(Relation rel, HeapTupleData *old, const HeapTupleData *new, int buf) except -1:
    cdef uint32_t size = old.t_len - old.t_data.t_hoff
    cdef char *src = <char *> new.t_data + new.t_data.t_hoff
    cdef xl_heap_inplace rec
    cdef bytes messages = b""
    cdef bint init_file = False
    cdef Lsn lsn
    if size != new.t_len - new.t_data.t_hoff or old.t_data.t_hoff != new.t_data.t_hoff:
        heap_inplace_unlock(rel, old, buf)
        raise SqlError(errcode.INTERNAL_ERROR, "wrong tuple length")
    memset(&rec, 0, sizeof(rec))
    rec.offnum = tid_offset(&old.t_self)
    if _messages_for is not None:
        messages, init_file, rec.dbId, rec.tsId = _messages_for(rel, (<char *> new.t_data)[:new.t_len])
    rec.relcacheInitFileInval = init_file
    rec.nmsgs = len(messages) // 16
    critical_start()
    memcpy(<char *> old.t_data + old.t_data.t_hoff, src, size)
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        if rec.nmsgs:
            xlog_register_data(<const char *> messages, <uint32_t> len(messages))
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        xlog_register_buf_data(0, src, size)
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_INPLACE)
        page_set_lsn(buffer_page(buf), lsn)
    if _send is not None:
        _send(messages, init_file)
    critical_end()
    return heap_inplace_unlock(rel, old, buf)


cdef int heap_inplace_unlock(Relation rel, const HeapTupleData *old, int buf) except -1:
    unlock_release_buffer(buf)
    return unlock_tuple(rel.lock_db(), rel.rd_id, &old.t_self, ExclusiveLock)


def update_in_place(Relation rel, tuple tid, bytes new_tuple):
    """Overwrite the tuple at tid with one of the same length; False when it was changed meanwhile."""
    cdef HeapTupleData old
    cdef HeapTupleData new
    cdef int buf = 0
    old.t_self.bi_hi = <uint16_t> (<uint32_t> tid[0] >> 16)
    old.t_self.bi_lo = <uint16_t> (<uint32_t> tid[0] & 0xFFFF)
    old.t_self.ip_posid = tid[1]
    new.t_len = <uint32_t> len(new_tuple)
    new.t_data = <HeapTupleHeaderData *> <char *> new_tuple
    if not heap_inplace_lock(rel, &old, &buf):
        return False
    heap_inplace_update_and_unlock(rel, &old, &new, buf)
    return True
