# cython: language_level=3
"""Replay of the XLOG resource manager's own records: checkpoints, full-page images, parameter changes (xlog_redo)."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tusk._types cimport Lsn, Oid
from tusk.memory._atomics cimport spin_lock, spin_unlock
from tusk.storage._buffer cimport unlock_release_buffer
from tusk.wal._record cimport *
from tusk.wal._redo cimport BLK_RESTORED, DecodedRecord, register_redo
from tusk.wal._xlogctl cimport XLogCtl

import struct

from tusk.errors import Panic, SqlError, errcode
from tusk.wal import _control, hooks
from tusk.wal.controlfile import CheckPoint, format_lsn

cdef uint32_t replay_timeline = 1
PARAMETER_CHANGE = struct.Struct("<iiiiii??2x")


def set_replay_timeline(timeline: int) -> None:
    """The timeline being replayed."""
    global replay_timeline
    replay_timeline = timeline


cdef int xlog_redo(DecodedRecord record) except -1:
    cdef uint8_t info = record.info()
    cdef int block_id, buf = 0
    if info == XLOG_FPI or info == XLOG_FPI_FOR_HINT:
        for block_id in range(record.max_block_id + 1):
            if not record.has_block(block_id):
                continue
            if not record.has_image(block_id):
                if info == XLOG_FPI:
                    raise SqlError(errcode.DATA_CORRUPTED, "XLOG_FPI record did not contain a full-page image")
                continue
            if record.read_buffer_for_redo(<uint8_t> block_id, &buf) != BLK_RESTORED:
                raise SqlError(errcode.INTERNAL_ERROR,
                               "unexpected XLogReadBufferForRedo result when restoring backup block")
            unlock_release_buffer(buf)
        return 0
    if info == XLOG_NOOP or info == XLOG_SWITCH or info == XLOG_RESTORE_POINT or info == XLOG_CHECKPOINT_REDO:
        return 0
    redo_rare(record, info)
    return 0


cdef int redo_rare(DecodedRecord record, uint8_t info) except -1:
    cdef bytes data = record.data
    cdef Oid next_oid
    if info == XLOG_NEXTOID:
        memcpy(&next_oid, record.main_data, 4)
        hooks.run("redo.next_oid", next_oid)
    elif info == XLOG_CHECKPOINT_SHUTDOWN or info == XLOG_CHECKPOINT_ONLINE:
        redo_checkpoint(CheckPoint.unpack(data), info == XLOG_CHECKPOINT_SHUTDOWN, record)
    elif info == XLOG_END_OF_RECOVERY:
        timeline = struct.unpack_from("<qIIi", data)[1]
        if timeline != replay_timeline:
            raise Panic(errcode.DATA_CORRUPTED,
                        f"unexpected timeline ID {timeline} (should be {replay_timeline}) in end-of-recovery record")
    elif info == XLOG_PARAMETER_CHANGE:
        values = PARAMETER_CHANGE.unpack_from(data)
        _control.update(
            max_connections=values[0], max_worker_processes=values[1], max_wal_senders=values[2],
            max_prepared_xacts=values[3], max_locks_per_xact=values[4], wal_level=values[5], wal_log_hints=values[6],
            track_commit_timestamp=values[7],
        )
    elif info == XLOG_FPW_CHANGE:
        if not data[0]:
            spin_lock(&XLogCtl.info_lck)
            if XLogCtl.lastFpwDisableRecPtr < record.lsn:
                XLogCtl.lastFpwDisableRecPtr = record.lsn
            spin_unlock(&XLogCtl.info_lck)
        note_full_page_writes(bool(data[0]))
    elif info == XLOG_OVERWRITE_CONTRECORD or info == XLOG_BACKUP_END:
        pass            # the first is checked where records are read, the second matters to backups only
    else:
        raise Panic(errcode.DATA_CORRUPTED, f"xlog_redo: unknown op code {info}")
    return 0


last_full_page_writes = True


def note_full_page_writes(on: bool) -> None:
    """full_page_writes as of the last record replayed; the server continues with it."""
    global last_full_page_writes
    last_full_page_writes = on


def replayed_full_page_writes() -> bool:
    """full_page_writes as of the last record replayed."""
    return last_full_page_writes


cdef int redo_checkpoint(checkpoint, bint shutdown, DecodedRecord record) except -1:
    """Take over the counters of a replayed checkpoint."""
    hooks.run("redo.checkpoint", hooks.transam_values_of(checkpoint), bool(shutdown))
    kind = "shutdown" if shutdown else "online"
    if checkpoint.this_timeline_id != replay_timeline:
        raise Panic(errcode.DATA_CORRUPTED,
                    f"unexpected timeline ID {checkpoint.this_timeline_id} (should be {replay_timeline}) in {kind} "
                    "checkpoint record")
    note_full_page_writes(checkpoint.full_page_writes)
    return 0


cdef int logical_message_redo(DecodedRecord record) except -1:
    """Messages matter to logical decoding only."""
    return 0


register_redo(RM_XLOG_ID, xlog_redo, NULL)
register_redo(RM_LOGICALMSG_ID, logical_message_redo, NULL)
