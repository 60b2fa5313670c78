# cython: language_level=3
"""The relation cache."""

from tusk._types cimport Oid
from tusk.access._relation cimport Relation

# An open relation, its refcount raised; lockmode 0 takes no lock. Raises 42P01 if it does not exist.
cpdef Relation relation_open(Oid oid, int lockmode)
cpdef Relation try_relation_open(Oid oid, int lockmode)
# Without a lock and without raising the refcount; None if it does not exist.
cpdef Relation relation_by_oid(Oid oid)
cpdef int relation_close(Relation rel, int lockmode) except -1
# Lock a relation that may not be open; what others changed has been heard of then.
cdef int lock_relation_by_oid(Oid oid, int lockmode) except -1
cdef int end_relations_of_transaction(bint is_commit) except -1
# A system catalog (or an index of one) for reading catalogs themselves: needs no other catalog but pg_class.
cdef Relation catalog_relation(Oid oid)
