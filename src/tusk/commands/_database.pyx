"""The files of databases: copying them, and the WAL records about them (commands/dbcommands_xlog.h)."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy
from tusk._types cimport (
    BLCKSZ, INIT_FORK, MAIN_FORK, BlockNumber, ForkNumber, Oid, RelFileLocator)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport HeapTupleData
from tusk.access.heap._scan cimport HeapScan, begin_heap_scan
from tusk.catalog._codec cimport RowCodec, codec_of
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.storage._buffer cimport (
    BAS_BULKREAD, BAS_BULKWRITE, BUFFER_LOCK_SHARE, RBM_NORMAL, RBM_ZERO_AND_LOCK, BufferAccessStrategy, buffer_page,
    drop_database_buffers, flush_database_buffers, free_access_strategy, get_access_strategy, lock_buffer,
    mark_buffer_dirty, read_buffer, unlock_release_buffer)
from tusk.storage._smgr cimport SMgrRelation, smgr_create, smgr_exists, smgr_nblocks, smgr_open, smgr_zero_extend
from tusk.transaction._pending cimport log_smgr_create
from tusk.transaction._snapshot cimport Snapshot, get_latest_snapshot, register_snapshot, unregister_snapshot
from tusk.wal._insert cimport log_newpage_buffer, xlog_begin_insert, xlog_insert, xlog_register_data
from tusk.wal._record cimport RM_DBASE_ID, XLR_SPECIAL_REL_UPDATE
from tusk.wal._redo cimport DecodedRecord, register_redo, xlog_drop_database
from tusk.wal._xlog cimport xlog_flush, xlog_is_needed

import os
import shutil

from tusk.catalog.relmap import RELMAPPER_FILENAME, database_path, read_map_file
from tusk.errors import Panic, errcode
from tusk.storage._sync import forget_database_sync_requests

cdef enum:
    XLOG_DBASE_CREATE_FILE_COPY = 0x00
    XLOG_DBASE_CREATE_WAL_LOG = 0x10
    XLOG_DBASE_DROP = 0x20

cdef struct xl_dbase_create_file_copy_rec:
    Oid db_id
    Oid tablespace_id
    Oid src_db_id
    Oid src_tablespace_id

cdef struct xl_dbase_create_wal_log_rec:
    Oid db_id
    Oid tablespace_id

PG_VERSION = b"18\n"


def log_file_copy(database, tablespace, source, source_tablespace):
    """Log that a database directory was copied."""
    cdef xl_dbase_create_file_copy_rec rec
    rec.db_id = database
    rec.tablespace_id = tablespace
    rec.src_db_id = source
    rec.src_tablespace_id = source_tablespace
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_insert(RM_DBASE_ID, XLOG_DBASE_CREATE_FILE_COPY | XLR_SPECIAL_REL_UPDATE)


def create_directory_logged(database, tablespace):
    """Make a database directory with its version file, logged (CreateDirAndVersionFile)."""
    cdef xl_dbase_create_wal_log_rec rec
    path = database_path(database, tablespace)
    critical_start()
    _make_directory(path, False)
    rec.db_id = database
    rec.tablespace_id = tablespace
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    lsn = xlog_insert(RM_DBASE_ID, XLOG_DBASE_CREATE_WAL_LOG)
    xlog_flush(lsn)
    critical_end()


def _make_directory(path, is_redo):
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not is_redo:
            raise
    fd = os.open(path / "PG_VERSION", os.O_WRONLY | os.O_CREAT | (0 if is_redo else os.O_EXCL), 0o600)
    try:
        os.write(fd, PG_VERSION)
        os.fsync(fd)
    finally:
        os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def log_drop(database, tablespaces):
    """Log that a database's directories are removed."""
    cdef bytes data = int(database).to_bytes(4, "little") + len(tablespaces).to_bytes(4, "little") + b"".join(
        [int(oid).to_bytes(4, "little") for oid in tablespaces])
    xlog_begin_insert()
    xlog_register_data(<const char *> data, <uint32_t> len(data))
    xlog_insert(RM_DBASE_ID, XLOG_DBASE_DROP | XLR_SPECIAL_REL_UPDATE)


def drop_buffers(database):
    """Forget all buffers of a database without writing them."""
    drop_database_buffers(database)


def flush_buffers(database):
    """Write all dirty buffers of a database."""
    flush_database_buffers(database)


def stored_relations(database, tablespace):
    """(file number, tablespace, persistence) of every relation of another database that has a file."""
    cdef RowCodec codec = codec_of("pg_class")
    cdef Relation rel
    cdef HeapScan scan
    cdef HeapTupleData *tup
    cdef Snapshot snapshot
    mapping = read_map_file(database_path(database, tablespace) / RELMAPPER_FILENAME)
    rel = Relation(1259, (tablespace, database, mapping[1259]), "pg_class", codec.desc, "r", "p", 11)
    rel.is_catalog = True
    result = []
    snapshot = register_snapshot(get_latest_snapshot())
    scan = begin_heap_scan(rel, snapshot)
    try:
        while True:
            tup = scan.next_tuple()
            if tup == NULL:
                break
            row = codec.decode(tup.t_data, &tup.t_self)
            # Temporary relations of other sessions stay behind.
            if row.reltablespace == 1664 or row.relpersistence == "t" or row.relkind not in "rmtiS":
                continue
            number = row.relfilenode or mapping.get(row.oid, 0)
            if number:
                result.append((number, row.reltablespace or tablespace, row.relpersistence))
    finally:
        scan.end()
        unregister_snapshot(snapshot)
    return result


def copy_relation(source, destination, persistence):
    """Copy all forks of a relation through the buffer pool, logging every page (CreateAndCopyRelationData)."""
    cdef RelFileLocator src, dst
    cdef SMgrRelation from_rel, to_rel
    cdef ForkNumber fork
    cdef char kind = <char> ord(persistence)
    src.spcOid, src.dbOid, src.relNumber = source
    dst.spcOid, dst.dbOid, dst.relNumber = destination
    from_rel = smgr_open(&src, -1)
    to_rel = smgr_open(&dst, -1)
    for fork in range(MAIN_FORK, INIT_FORK + 1):
        if not smgr_exists(from_rel, fork):
            continue
        smgr_create(to_rel, fork, False)
        if kind == c'p' or fork == INIT_FORK:
            log_smgr_create(&dst, fork)
        _copy_fork(&src, &dst, kind, fork)


cdef int _copy_fork(const RelFileLocator *src, const RelFileLocator *dst, char persistence, ForkNumber fork) except -1:
    cdef long long nblocks = smgr_nblocks(smgr_open(src, -1), fork)
    cdef BlockNumber block
    cdef int from_buf, to_buf
    cdef bint use_wal = xlog_is_needed() and (persistence == c'p' or fork == INIT_FORK)
    cdef BufferAccessStrategy reading, writing
    if nblocks == 0:
        return 0
    smgr_zero_extend(smgr_open(dst, -1), fork, 0, <int> nblocks, True)
    reading = get_access_strategy(BAS_BULKREAD)
    writing = get_access_strategy(BAS_BULKWRITE)
    try:
        for block in range(<BlockNumber> nblocks):
            check_for_interrupts()
            from_buf = read_buffer(src, persistence, fork, block, RBM_NORMAL, reading)
            lock_buffer(from_buf, BUFFER_LOCK_SHARE)
            to_buf = read_buffer(dst, persistence, fork, block, RBM_ZERO_AND_LOCK, writing)
            critical_start()
            memcpy(buffer_page(to_buf), buffer_page(from_buf), BLCKSZ)
            mark_buffer_dirty(to_buf)
            if use_wal:
                # Free space and visibility maps keep their content where other pages have the hole.
                log_newpage_buffer(to_buf, fork == MAIN_FORK or fork == INIT_FORK)
            critical_end()
            unlock_release_buffer(to_buf)
            unlock_release_buffer(from_buf)
    finally:
        free_access_strategy(reading)
        free_access_strategy(writing)
    return 0


def copy_directory(source, destination):
    """Copy the files of a database directory and make them durable (copydir)."""
    os.mkdir(destination, 0o700)
    for entry in os.scandir(source):
        if entry.is_file():
            shutil.copyfile(entry.path, destination / entry.name)
            os.chmod(destination / entry.name, 0o600)
    for entry in [*os.scandir(destination)]:
        fd = os.open(entry.path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    fd = os.open(destination, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


cdef int _redo(DecodedRecord record) except -1:
    cdef xl_dbase_create_file_copy_rec copied
    cdef xl_dbase_create_wal_log_rec made
    cdef bytes data
    if record.info() == XLOG_DBASE_CREATE_FILE_COPY:
        memcpy(&copied, record.main_data, sizeof(copied))
        source = database_path(copied.src_db_id, copied.src_tablespace_id)
        destination = database_path(copied.db_id, copied.tablespace_id)
        if destination.exists():
            shutil.rmtree(destination)
        if not source.exists():
            # It was dropped later on; so will be the copy.
            destination.mkdir(0o700, parents=True)
            return 0
        flush_database_buffers(copied.src_db_id)
        copy_directory(source, destination)
    elif record.info() == XLOG_DBASE_CREATE_WAL_LOG:
        memcpy(&made, record.main_data, sizeof(made))
        path = database_path(made.db_id, made.tablespace_id)
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        _make_directory(path, True)
    elif record.info() == XLOG_DBASE_DROP:
        data = record.main_data[:record.main_data_len]
        database = int.from_bytes(data[:4], "little")
        drop_database_buffers(database)
        forget_database_sync_requests(database)
        xlog_drop_database(database)
        for i in range(int.from_bytes(data[4:8], "little")):
            tablespace = int.from_bytes(data[8 + 4 * i:12 + 4 * i], "little")
            shutil.rmtree(database_path(database, tablespace), ignore_errors=True)
    else:
        raise Panic(errcode.INTERNAL_ERROR, f"dbase_redo: unknown op code {record.info()}")
    return 0


register_redo(RM_DBASE_ID, _redo, NULL)
