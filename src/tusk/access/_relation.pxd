# cython: language_level=3
"""An open relation: what access methods need to know of a table, index, sequence or toast table (utils/rel.h)."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t, uint64_t
from tusk._types cimport BlockNumber, Oid, RelFileLocator
from tusk.access._compare cimport Comparator
from tusk.access._tupdesc cimport TupleDesc
from tusk.stats._pending cimport RelationCounts

cdef enum:                          # IndexedAttribute.kinds
    ATTR_HOT_BLOCKING = 1           # in an index that needs an entry for each new value
    ATTR_SUMMARIZED = 2             # only in summarizing indexes
    ATTR_KEY = 4                    # in a unique, usable index: what foreign keys may refer to
    ATTR_IDENTITY = 8               # in the replica identity

cdef struct IndexedAttribute:
    int16_t attnum
    uint8_t kinds

cdef struct IndexKey:               # one key column of an index
    Oid opfamily
    Oid opcintype
    Oid collation
    int16_t indoption               # INDOPTION_DESC 1, INDOPTION_NULLS_FIRST 2
    int16_t attnum                  # heap attribute; 0 for an expression
    Comparator cmp                  # support function 1 for (opcintype, opcintype)

cdef class Relation:
    cdef RelationCounts *counts             # of this relation and process; never NULL
    cdef public Oid rd_id
    cdef RelFileLocator rd_locator
    cdef public int rd_backend              # -1, or the owner's number when temporary
    cdef public str name
    cdef public Oid namespace
    cdef char relkind                       # r i S t v m c f p I
    cdef char relpersistence                # p u t
    cdef char relreplident                  # d n f i
    cdef public TupleDesc desc
    cdef public object form                 # pg_class row, None in tests
    cdef public object extra                # whatever else relcache keeps: rules, triggers, policies
    cdef public bint is_shared
    cdef public bint is_catalog             # in pg_catalog (or its toast table)
    cdef public bint is_user_catalog        # user_catalog_table
    cdef public bint is_toast               # relkind t
    cdef public bint is_mapped
    cdef public bint is_nailed
    cdef public bint valid
    cdef public int refcount
    cdef public uint32_t create_subid       # rd_createSubid
    cdef public uint32_t new_locator_subid  # rd_newRelfilelocatorSubid
    cdef public uint32_t first_locator_subid
    cdef public uint32_t relfrozenxid
    cdef public uint32_t relminmxid
    cdef BlockNumber target_block           # smgr_targblock: where the last insertion found room
    # reloptions
    cdef public int fillfactor
    cdef public int toast_tuple_target
    cdef public int parallel_workers
    # toast
    cdef public Oid reltoastrelid
    cdef public object toast_relation       # callable() -> Relation, or Relation; set by relcache and tests
    # indexes of a table
    cdef public list index_oids
    cdef public object indexes              # callable() -> list[Relation], set by relcache; or a list
    cdef IndexedAttribute *indexed_attrs    # sorted by attnum, each once
    cdef int n_indexed_attrs
    cdef public bint indexed_attrs_valid
    cdef public object load_indexed_attrs   # callable(rel): fills them through set_indexed_attrs
    # of an index
    cdef public Oid heap_oid
    cdef public Oid am_oid
    cdef public str am_name
    cdef public int indnatts
    cdef public int indnkeyatts
    cdef IndexKey *keys                     # indnkeyatts
    cdef list comparator_states
    cdef public list indkey                 # heap attribute numbers, all indnatts of them
    cdef public bint indisunique
    cdef public bint indnullsnotdistinct
    cdef public bint indisprimary
    cdef public bint indisexclusion
    cdef public bint indimmediate
    cdef public bint indisvalid
    cdef public bint indisready
    cdef public bint indislive
    cdef public bint indcheckxmin
    cdef public bint deduplicate_items
    cdef public list index_expressions      # node trees, [] for none
    cdef public list index_predicate
    cdef public object index_form           # pg_index row
    cdef public object am_cache             # what the access method wants to remember
    cdef BlockNumber am_block               # nbtree: fast root
    cdef uint32_t am_level

    cdef inline Oid lock_db(self) noexcept:
        """The database of lock tags: 0 for shared relations."""
        return 0 if self.is_shared else self.rd_locator.dbOid

    cdef inline bint permanent(self) noexcept:
        return self.relpersistence == c'p'

    cdef inline bint is_temp(self) noexcept:
        return self.relpersistence == c't'

cdef bint relation_needs_wal(Relation rel) noexcept
cdef bint relation_is_logically_logged(Relation rel) noexcept
cdef bint relation_is_accessible_in_logical_decoding(Relation rel) noexcept
cdef Relation toast_relation_of(Relation rel)
cdef list indexes_of(Relation rel)
