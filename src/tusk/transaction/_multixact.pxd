# cython: language_level=3
"""MultiXacts: several transactions locking or updating one tuple (access/multixact.h)."""

from tusk._types cimport MultiXactId, TransactionId, uint32_t

cdef enum:
    InvalidMultiXactId = 0
    FirstMultiXactId = 1

cdef enum MultiXactStatus:
    MultiXactStatusForKeyShare = 0
    MultiXactStatusForShare = 1
    MultiXactStatusForNoKeyUpdate = 2
    MultiXactStatusForUpdate = 3
    MultiXactStatusNoKeyUpdate = 4
    MultiXactStatusUpdate = 5

cdef struct MultiXactMember:
    TransactionId xid
    int status

cdef MultiXactId multixact_id_create(TransactionId xid1, int status1, TransactionId xid2, int status2) except 0
cdef MultiXactId multixact_id_expand(MultiXactId multi, TransactionId xid, int status) except 0
cdef MultiXactId multixact_id_create_from_members(int nmembers, MultiXactMember *members) except 0
# Members of ``multi`` into a malloc'ed array (caller: libc free); -2 with *members NULL when it is too old to exist.
cdef int get_multixact_id_members(MultiXactId multi, MultiXactMember **members, bint old_value,
                                  bint only_lockers) except -1
cdef int multixact_id_is_running(MultiXactId multi, bint is_lock_only) except -1
cdef int multixact_id_set_oldest_member() except -1
cdef int multixact_id_set_oldest_visible() except -1
cdef MultiXactId read_next_multixact_id() noexcept nogil
cdef MultiXactId get_oldest_multixact_id() except 0
cdef int at_eoxact_multixact() except -1
