# cython: language_level=3
"""Commit times of transactions, kept when track_commit_timestamp is on (access/commit_ts.h)."""

from tusk._types cimport TransactionId, int64_t, uint16_t

cdef int extend_commit_ts(TransactionId newest) except -1 nogil
cdef int commit_ts_set_tree(TransactionId xid, int nsubxids, const TransactionId *subxids, int64_t timestamp,
                            uint16_t origin) except -1
