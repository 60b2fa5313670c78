# cython: language_level=3
"""The parent of each running subtransaction (access/subtrans.h)."""

from tusk._types cimport TransactionId

cdef int sub_trans_set_parent(TransactionId xid, TransactionId parent) except -1 nogil
cdef TransactionId sub_trans_get_parent(TransactionId xid) except? 0xffffffff nogil
cdef TransactionId sub_trans_get_topmost_transaction(TransactionId xid) except? 0xffffffff nogil
cdef int extend_subtrans(TransactionId newest) except -1 nogil
