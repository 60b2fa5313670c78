# cython: language_level=3
"""The commit log: two bits for each transaction id (access/clog.h)."""

from tusk._types cimport Lsn, Oid, TransactionId

cdef enum:
    TRANSACTION_STATUS_IN_PROGRESS = 0
    TRANSACTION_STATUS_COMMITTED = 1
    TRANSACTION_STATUS_ABORTED = 2
    TRANSACTION_STATUS_SUB_COMMITTED = 3

cdef int clog_set_tree_status(TransactionId xid, int nsubxids, const TransactionId *subxids, int status,
                              Lsn lsn) except -1 nogil
cdef int clog_get_status(TransactionId xid, Lsn *lsn) except -1 nogil
cdef int extend_clog(TransactionId newest) except -1 nogil
cdef int truncate_clog(TransactionId oldest_xact, Oid oldest_xact_db) except -1

# access/transam.c: what the rest of the server asks.
cdef int transaction_id_did_commit(TransactionId xid) except -1 nogil
cdef int transaction_id_did_abort(TransactionId xid) except -1 nogil
cdef int transaction_id_commit_tree(TransactionId xid, int nsubxids, const TransactionId *subxids) except -1
cdef int transaction_id_async_commit_tree(TransactionId xid, int nsubxids, const TransactionId *subxids,
                                          Lsn lsn) except -1
cdef int transaction_id_abort_tree(TransactionId xid, int nsubxids, const TransactionId *subxids) except -1
cdef TransactionId transaction_id_latest(TransactionId xid, int nsubxids, const TransactionId *subxids) noexcept nogil
cdef Lsn transaction_id_get_commit_lsn(TransactionId xid) except? 0xffffffffffffffff nogil
cdef int advance_oldest_clog_xid(TransactionId oldest) except -1
