# cython: language_level=3
"""The counters: next transaction id, next object id, and how far the oldest may lag (access/transam.h)."""

from tusk._types cimport FullTransactionId, MultiXactId, Oid, TransactionId, uint32_t, uint64_t
from tusk.transaction._state cimport TransamVariables, TransamVariablesData

cdef FullTransactionId get_new_transaction_id(bint is_sub_xact) except 0
cdef Oid get_new_object_id() except 0
cdef FullTransactionId read_next_full_transaction_id() noexcept
cdef int advance_next_full_transaction_id_past_xid(TransactionId xid) except -1
cdef int set_transaction_id_limit(TransactionId oldest_datfrozenxid, Oid oldest_datoid) except -1

# Set by catalog: the name of a database for messages. Set by auxiliary: wake the autovacuum launcher.
ctypedef object (*database_name_fn)(Oid oid)
cdef database_name_fn database_name_hook
