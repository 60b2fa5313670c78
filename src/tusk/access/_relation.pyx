"""The relation descriptor that access methods work on (utils/rel.h).

catalog.relcache fills it from the catalogs; tests make one by hand. Descriptors are per process and never shared.
"""

from libc.stdint cimport int16_t, uint8_t
from libc.stdlib cimport calloc, free
from tusk._types cimport InvalidBlockNumber, Oid
from tusk.access._compare cimport Comparator, lookup_comparator
from tusk.access._tupdesc cimport TupleDesc
from tusk.stats._pending cimport (
    discarded_counts, leave_relation_counts, set_counts_locator, use_relation_counts)
from tusk.wal._xlog cimport xlog_is_needed, xlog_logical_info_active


cdef class Relation:
    """``Relation(oid, (spc, db, relnumber), name, desc, relkind="r", relpersistence="p", ...)``."""

    def __cinit__(self):
        self.counts = &discarded_counts
        self.rd_backend = -1
        self.target_block = InvalidBlockNumber
        self.am_block = InvalidBlockNumber
        self.fillfactor = 100
        self.toast_tuple_target = 2032
        self.parallel_workers = -1
        self.index_oids = []
        self.indexes = []
        self.comparator_states = []
        self.indkey = []
        self.index_expressions = []
        self.index_predicate = []
        self.valid = True
        self.indimmediate = True
        self.indisvalid = True
        self.indisready = True
        self.indislive = True
        self.deduplicate_items = True

    def __init__(self, Oid oid, tuple locator, str name, TupleDesc desc, str relkind="r", str relpersistence="p",
                 Oid namespace=0, object form=None):
        self.rd_id = oid
        self.rd_locator.spcOid, self.rd_locator.dbOid, self.rd_locator.relNumber = locator
        self.name = name
        self.desc = desc
        self.namespace = namespace
        self.relkind = <char> ord(relkind)
        self.relpersistence = <char> ord(relpersistence)
        self.relreplident = c'd'
        self.is_toast = relkind == "t"
        self.is_shared = self.rd_locator.dbOid == 0
        self.form = form
        if relkind == "i":
            self.fillfactor = 90
        if self.rd_locator.relNumber != 0 or relkind == "p":
            self.counts = use_relation_counts(oid, self.is_shared, &self.rd_locator)

    def __dealloc__(self):
        leave_relation_counts(self.counts)
        free(self.indexed_attrs)
        free(self.keys)

    @property
    def locator(self):
        """(tablespace, database, relation number)."""
        return (self.rd_locator.spcOid, self.rd_locator.dbOid, self.rd_locator.relNumber)

    def set_locator(self, Oid spc, Oid db, Oid relnumber):
        """Point to another file (a new relfilenode); forgets where there was room."""
        self.rd_locator.spcOid = spc
        self.rd_locator.dbOid = db
        self.rd_locator.relNumber = relnumber
        set_counts_locator(self.counts, &self.rd_locator)
        self.target_block = InvalidBlockNumber
        self.am_block = InvalidBlockNumber
        self.am_cache = None

    @property
    def kind(self):
        """relkind as a string."""
        return chr(self.relkind)

    @property
    def persistence(self):
        """relpersistence as a string."""
        return chr(self.relpersistence)

    @persistence.setter
    def persistence(self, str value):
        self.relpersistence = <char> ord(value)

    @property
    def replica_identity(self):
        """relreplident as a string."""
        return chr(self.relreplident)

    @replica_identity.setter
    def replica_identity(self, str value):
        self.relreplident = <char> ord(value)

    @property
    def needs_wal(self):
        """Whether changes are logged."""
        return relation_needs_wal(self)

    def set_indexed_attrs(self, object hot=(), object summarized=(), object key=(), object identity=()):
        """Tell which attributes (numbers from 1) updates must compare: RelationGetIndexAttrBitmap's four sets."""
        cdef int i = 0
        kinds = {}
        for attrs, bit in ((hot, <int> ATTR_HOT_BLOCKING), (summarized, <int> ATTR_SUMMARIZED),
                           (key, <int> ATTR_KEY), (identity, <int> ATTR_IDENTITY)):
            for attnum in attrs:
                kinds[attnum] = kinds.get(attnum, 0) | bit
        free(self.indexed_attrs)
        self.indexed_attrs = NULL
        self.indexed_attrs = <IndexedAttribute *> calloc(max(len(kinds), 1), sizeof(IndexedAttribute))
        if self.indexed_attrs == NULL:
            raise MemoryError
        for attnum in sorted(kinds):
            self.indexed_attrs[i].attnum = attnum
            self.indexed_attrs[i].kinds = kinds[attnum]
            i += 1
        self.n_indexed_attrs = i
        self.indexed_attrs_valid = True

    def set_index_keys(self, object keys, object indkey, Oid heap_oid=0, Oid am_oid=403, str am_name="btree"):
        """Describe an index: keys are (opfamily, opcintype, collation, indoption, comparator prosrc or None) for each
        key column; indkey are the heap attribute numbers of all columns, 0 for an expression."""
        cdef int i
        cdef Comparator cmp
        keys = list(keys)
        self.indkey = list(indkey)
        self.indnatts = len(self.indkey)
        self.indnkeyatts = len(keys)
        self.heap_oid = heap_oid
        self.am_oid = am_oid
        self.am_name = am_name
        free(self.keys)
        self.keys = NULL
        self.keys = <IndexKey *> calloc(max(len(keys), 1), sizeof(IndexKey))
        if self.keys == NULL:
            raise MemoryError
        self.comparator_states = []
        for i in range(self.indnkeyatts):
            opfamily, opcintype, collation, indoption, prosrc = keys[i]
            self.keys[i].opfamily = opfamily
            self.keys[i].opcintype = opcintype
            self.keys[i].collation = collation
            self.keys[i].indoption = indoption
            self.keys[i].attnum = self.indkey[i]
            if prosrc is not None:
                cmp.fn = NULL
                cmp.state = NULL
                self.comparator_states.append(lookup_comparator(prosrc, collation, &cmp))
                self.keys[i].cmp = cmp

    def key_column(self, int i):
        """(opfamily, opcintype, collation, indoption, heap attribute) of key column i (from 0)."""
        if not 0 <= i < self.indnkeyatts:
            raise IndexError(i)
        cdef IndexKey key = self.keys[i]
        return (key.opfamily, key.opcintype, key.collation, key.indoption, key.attnum)

    def __repr__(self):
        return f"<Relation {self.name} {self.rd_id}>"


cdef bint relation_needs_wal(Relation rel) noexcept:
    """RelationNeedsWAL: permanent, and not a file made in this transaction when wal_level is minimal."""
    if rel.relpersistence != c'p':
        return False
    return xlog_is_needed() or (rel.create_subid == 0 and rel.first_locator_subid == 0)


cdef bint relation_is_logically_logged(Relation rel) noexcept:
    return xlog_logical_info_active() and relation_needs_wal(rel) and rel.relkind != c'f' and not rel.is_catalog


cdef bint relation_is_accessible_in_logical_decoding(Relation rel) noexcept:
    return xlog_logical_info_active() and relation_needs_wal(rel) and (rel.is_catalog or rel.is_user_catalog)


cdef Relation toast_relation_of(Relation rel):
    """The table's toast table, opened without a lock of its own."""
    if isinstance(rel.toast_relation, Relation):
        return <Relation> rel.toast_relation
    return <Relation?> rel.toast_relation()


cdef list indexes_of(Relation rel):
    """The table's indexes."""
    if isinstance(rel.indexes, list):
        return <list> rel.indexes
    return list(rel.indexes())
