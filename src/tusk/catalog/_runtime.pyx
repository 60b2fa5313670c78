"""Joining the catalogs to the rest of a server process: transaction events, locks, WAL, an open database.

Importing this module registers everything; `open_database` then switches the caches from built-in facts to the real
catalogs. Tools and the analyzer's tests never import it.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy
from tusk._types cimport MAIN_FORK, Lsn, Oid, RelFileLocator
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap cimport _heap
from tusk.catalog._codec cimport RowCodec, codec_of
from tusk.catalog._relcache cimport end_relations_of_transaction
from tusk.catalog._sinval cimport accept_invalidation_messages
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._lwlock cimport LW_EXCLUSIVE, LW_SHARED, RelationMappingLock, lwlock_acquire, lwlock_release, main_lock
from tusk.memory._process cimport MyProc, MyProcNumber
from tusk.storage._buffer cimport relation_nblocks
from tusk.storage._smgr cimport smgr_release_all, smgr_release_locator
from tusk.transaction cimport _lock as locks
from tusk.transaction cimport _xact as xact
from tusk.transaction._lock cimport LOCKTAG, lock_acquire, lock_release, tag_object
from tusk.transaction._snapshot cimport invalidate_catalog_snapshot
from tusk.transaction._xact cimport (
    SUBXACT_EVENT_ABORT, SUBXACT_EVENT_COMMIT, XACT_EVENT_ABORT, XACT_EVENT_COMMAND_END, XACT_EVENT_COMMIT,
    XACT_EVENT_PRE_RECORD, SubTransactionId, register_subxact_hook, register_xact_hook)
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_RELMAP_ID
from tusk.wal._redo cimport DecodedRecord, register_redo
from tusk.wal._xlog cimport recovery_in_progress, xlog_flush

from tusk.access.heap._inplace import set_invalidation
from tusk.access._compare import forget_collation, set_collation_finder, set_default_collation
from tusk.catalog import _relcache, _sinval, _tuples, acl, dependency, index, inval, namespace, relmap, tempschema
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._cachehash import key_hash
from tusk.catalog.cache import lookup, set_reader
from tusk.catalog.relmapfile import unpack_relation_map
from tusk.catalog.schema import schemas_by_oid
from tusk.catalog.session import session
from tusk.errors import Panic, SqlError, errcode
from tusk.memory import _procsignal
from tusk.transaction import _pending, _state
from tusk.transaction import _xact as xact_functions
from tusk.wal import hooks

cdef enum:
    XLOG_RELMAP_UPDATE = 0x00

cdef struct xl_relmap_update:
    Oid dbid
    Oid tsid
    int32_t nbytes

cdef bytes _commit_messages = b""
cdef list _messages = inval.levels  # of this transaction, by nest level
cdef set _map_changes = relmap.changes


# Transactions


cdef int _on_transaction(int event) except -1:
    if event == XACT_EVENT_COMMAND_END:
        if _map_changes and relmap.end_command():
            _relcache.follow_map()
        if _messages:
            inval.end_command()
    elif event == XACT_EVENT_PRE_RECORD:
        if _map_changes:
            relmap.end_transaction(True)
    elif event == XACT_EVENT_COMMIT:
        end_relations_of_transaction(True)
        if tempschema.pending_subid:
            tempschema.end_transaction(True)
        if _messages:
            inval.end_transaction(True)
    elif event == XACT_EVENT_ABORT:
        moved = relmap.has_pending_updates()
        relmap.end_transaction(False)
        if moved:
            _relcache.follow_map()
        end_relations_of_transaction(False)
        tempschema.end_transaction(False)
        inval.end_transaction(False)
    return 0


cdef int _on_subtransaction(int event, SubTransactionId mysubid, SubTransactionId parent) except -1:
    if event == SUBXACT_EVENT_COMMIT:
        _relcache.end_subtransaction(True, mysubid, parent)
        tempschema.end_subtransaction(True, mysubid, parent)
        inval.end_subtransaction(True)
    elif event == SUBXACT_EVENT_ABORT:
        _relcache.end_subtransaction(False, mysubid, parent)
        tempschema.end_subtransaction(False, mysubid, parent)
        inval.end_subtransaction(False)
    return 0


cdef int _committed_messages(char **messages, bint *init_file) except -1:
    global _commit_messages
    if not _messages:
        return 0
    _commit_messages, stale = inval.committed_messages()
    messages[0] = _commit_messages
    init_file[0] = stale
    return <int> (len(_commit_messages) // 16)


cdef int _process_committed(const char *messages, int n, bint init_file, Oid db, Oid spc) except -1:
    inval.execute_all(<bytes> messages[:n * 16])
    return 0


register_xact_hook(_on_transaction)
register_subxact_hook(_on_subtransaction)
xact.invalidation_hooks.committed_messages = _committed_messages
xact.invalidation_hooks.process_committed = _process_committed
locks.accept_invalidations_hook = accept_invalidation_messages
inval.set_nest_level_source(xact_functions.nest_level)


# Invalidation


def _release_smgr(locator, backend):
    cdef RelFileLocator loc
    loc.spcOid, loc.dbOid, loc.relNumber = locator
    smgr_release_locator(&loc, -1 if backend == 0xFFFFFF else backend)


def _forget_snapshot():
    invalidate_catalog_snapshot()


def _relation_map_changed(shared):
    relmap.invalidate(shared)
    _relcache.invalidate_mapped(shared)


inval.release_smgr = _release_smgr
inval.invalidate_catalog_snapshot = _forget_snapshot
inval.invalidate_relation = _relcache.invalidate
inval.invalidate_relation_map = _relation_map_changed
_pending.set_smgr_invalidation(lambda spc, db, rel, backend: inval.send_smgr((spc, db, rel), backend & 0xFFFFFF))


@_procsignal.on_proc_signal(_procsignal.CATCHUP_INTERRUPT)
def _catch_up():
    """Somebody waits for us to read the queue."""
    _sinval.accept_invalidations()


cdef dict _needed = {}


cdef int _on_changed_tuple(Relation rel, HeapTupleData *tup, HeapTupleData *newtup) except -1:
    """A tuple of a catalog was inserted, deleted or updated, by whatever means."""
    cdef RowCodec codec
    needed = _needed.get(rel.rd_id)
    if needed is None:
        schema = schemas_by_oid().get(rel.rd_id)
        needed = _needed[rel.rd_id] = () if schema is None else inval.needed_columns(schema.name)
    if not needed:
        if rel.rd_id in inval.SNAPSHOT_ONLY:
            inval.register_snapshot(0 if rel.is_shared else session.database_id, rel.rd_id)
        return 0
    codec = codec_of(schemas_by_oid()[rel.rd_id].name)
    old = codec.decode_some(tup.t_data, needed)
    inval.invalidate_heap_row(old, None if newtup == NULL else codec.decode_some(newtup.t_data, needed))
    return 0


_heap.invalidate_heap_tuple_hook = _on_changed_tuple


def _inplace_messages(Relation rel, data):
    """What `access` asks before it logs an in-place update: (messages, init file, database, tablespace)."""
    messages, init_file = inval.inplace_messages(codec_of(rel.name).parse(data))
    return messages, init_file, session.database_id, session.database_tablespace


set_invalidation(_inplace_messages, inval.send_inplace)


inval.on_syscache_change(c.NAMESPACEOID, namespace.forget_search_path)
inval.on_syscache_change(c.AUTHOID, namespace.forget_search_path)
inval.on_syscache_change(c.DATABASEOID, namespace.forget_search_path)
for _cache in (c.AUTHOID, c.AUTHMEMMEMROLE, c.DATABASEOID):
    inval.on_syscache_change(_cache, lambda _hash: acl.forget_membership())


# Locks


def lock_object(classid, objid, subid, mode, dont_wait=False):
    """Lock an object of this database that is not a relation (LockDatabaseObject); False if not available."""
    cdef LOCKTAG tag = tag_object(session.database_id, classid, objid, subid)
    if lock_acquire(&tag, mode, False, dont_wait) == 0:
        return False
    accept_invalidation_messages()
    return True


def lock_shared_object(classid, objid, subid, mode, dont_wait=False, session_lock=False):
    """Lock a shared object: a role, a database, a tablespace (LockSharedObject); False if not available."""
    cdef LOCKTAG tag = tag_object(0, classid, objid, subid)
    if lock_acquire(&tag, mode, session_lock, dont_wait) == 0:
        return False
    accept_invalidation_messages()
    return True


def unlock_object(classid, objid, subid, mode):
    """Give back a lock of `lock_object`."""
    cdef LOCKTAG tag = tag_object(session.database_id, classid, objid, subid)
    lock_release(&tag, mode, False)


def unlock_shared_object(classid, objid, subid, mode, session_lock=False):
    """Give back a lock of `lock_shared_object`."""
    cdef LOCKTAG tag = tag_object(0, classid, objid, subid)
    lock_release(&tag, mode, session_lock)


def _lock_for_deletion(address, flags):
    if address.classid == oa.CLASS:
        _relcache.lock_relation(address.objid, 4 if flags & dependency.DELETION_CONCURRENTLY else 8)
    elif address.classid == oa.AUTH_MEMBERS:
        lock_shared_object(address.classid, address.objid, 0, 8)
    else:
        lock_object(address.classid, address.objid, 0, 8)


def _unlock_after_all(address):
    if address.classid == oa.CLASS:
        _relcache.unlock_relation(address.objid, 8)
    else:
        unlock_object(address.classid, address.objid, 0, 8)


dependency.lock_for_deletion = _lock_for_deletion
dependency.unlock_after_all = _unlock_after_all
namespace.lock_relation = _relcache.lock_relation
namespace.unlock_relation = _relcache.unlock_relation
namespace.invalidation_counter = _sinval.message_counter
_relcache.set_environment(xact_functions.in_transaction, lambda: int(MyProcNumber))


def _announce_temp_namespace(oid):
    MyProc.tempNamespaceId = oid


tempschema.my_proc_number = lambda: int(MyProcNumber)
tempschema.in_recovery = lambda: bool(recovery_in_progress())
tempschema.announce = _announce_temp_namespace
_at_exit = []
tempschema.at_exit = _at_exit.append


def end_session():
    """What must be undone in the catalogs before a backend exits: its temporary tables. Called while it still may commit."""
    while _at_exit:
        _at_exit.pop()()


def _count_blocks(Relation rel):
    return int(relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK))


index.count_blocks = _count_blocks


# The relation map


def _write_map_logged(database, tablespace, data, write_file):
    """Log a new relation map and write it while nobody else does."""
    cdef xl_relmap_update rec
    cdef bytes body = data
    cdef Lsn lsn
    lwlock_acquire(main_lock(RelationMappingLock), LW_EXCLUSIVE)
    try:
        critical_start()
        rec.dbid = database
        rec.tsid = tablespace
        rec.nbytes = <int32_t> len(body)
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        xlog_register_data(<const char *> body, <uint32_t> len(body))
        lsn = xlog_insert(RM_RELMAP_ID, XLOG_RELMAP_UPDATE)
        xlog_flush(lsn)
        write_file()
        critical_end()
    finally:
        lwlock_release(main_lock(RelationMappingLock))
    # Nobody may look into the old files once we are committed: tell them now.
    inval.send_relation_map(database)
    for relation, number in unpack_relation_map(body, "").items():
        _pending.preserve_storage((rec.tsid, database, number), False)


cdef int _redo(DecodedRecord record) except -1:
    cdef xl_relmap_update rec
    if record.info() != XLOG_RELMAP_UPDATE:
        raise Panic(errcode.INTERNAL_ERROR, f"relmap_redo: unknown op code {record.info()}")
    memcpy(&rec, record.main_data, sizeof(rec))
    data = <bytes> record.main_data[sizeof(rec):sizeof(rec) + rec.nbytes]
    path = relmap.database_path(rec.dbid, rec.tsid) / relmap.RELMAPPER_FILENAME
    unpack_relation_map(data, str(path))
    lwlock_acquire(main_lock(RelationMappingLock), LW_EXCLUSIVE)
    try:
        relmap.write_map_file(path, data)
    finally:
        lwlock_release(main_lock(RelationMappingLock))
    inval.send_relation_map(rec.dbid)
    return 0


register_redo(RM_RELMAP_ID, _redo, NULL)
relmap.write_logged = _write_map_logged


def checkpoint_relation_map(*_arguments):
    """Wait until no map is being written (CheckPointRelationMap)."""
    lwlock_acquire(main_lock(RelationMappingLock), LW_SHARED)
    lwlock_release(main_lock(RelationMappingLock))


hooks.register("checkpoint.relation_map", checkpoint_relation_map)


# Databases


def _find_collation(oid):
    row = lookup(c.COLLOID, oid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for collation {oid}")
    if row.collprovider == "b":
        return "builtin", row.colllocale
    if row.collprovider == "c":
        return ("c" if row.collcollate in ("C", "POSIX") else "libc"), row.collcollate
    return {"d": "libc", "i": "icu"}[row.collprovider], row.colllocale


_found_collations = set()


def _remember_collation(oid):
    _found_collations.add(oid)
    return _find_collation(oid)


def _collations_changed(_hash):
    for oid in _found_collations:
        forget_collation(oid)
    _found_collations.clear()


set_collation_finder(_remember_collation)
inval.on_syscache_change(c.COLLOID, _collations_changed)


def attach_process(send_only=False, resume_at=-1):
    """Take part in invalidation, once the process slot is there; auxiliary processes that only redo set send_only.

    A process that inherited caches resumes where their former owner left, and applies what was queued since then.
    """
    _sinval.backend_init(send_only, resume_at)
    if resume_at >= 0:
        accept_invalidation_messages()


def detach_process():
    """Stop taking part, before the process slot is given back; returns the place for ``resume_at``."""
    return _sinval.backend_exit()


def start_catalog_access(data_directory="."):
    """Read shared catalogs from now on: who connects, and to which database, can be looked up in a transaction."""
    relmap.set_data_directory(data_directory)
    relmap.forget_all()
    _relcache.reset()
    set_reader(_tuples.read_rows, key_hash)


def open_database(oid, tablespace):
    """Make a database this process's own; the caller has checked that it exists and holds a lock on it."""
    session.database_id = oid
    session.database_tablespace = tablespace
    _state.set_my_database(oid, tablespace)
    relmap.forget_all()
    _relcache.reset()
    set_reader(_tuples.read_rows, key_hash)


def set_database_collation():
    """Settle what the default collation means; in a transaction, after `open_database`."""
    row = lookup(c.DATABASEOID, session.database_id)
    session.encoding = row.encoding
    if row.datlocprovider == "b":
        set_default_collation("builtin", row.datlocale)
    elif row.datcollate in ("C", "POSIX"):
        set_default_collation("c", row.datcollate)
    else:
        set_default_collation("libc", row.datcollate)
