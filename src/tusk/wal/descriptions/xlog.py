"""XLOG: checkpoints, full-page images, parameters (catalog/pg_control.h, access/xlog_internal.h)."""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.controlfile import WAL_LEVEL_TEXT, CheckPoint, format_lsn
from tusk.wal.descriptions.common import on_off, timestamp

_NAMES = {
    0x00: "CHECKPOINT_SHUTDOWN",
    0x10: "CHECKPOINT_ONLINE",
    0x20: "NOOP",
    0x30: "NEXTOID",
    0x40: "SWITCH",
    0x50: "BACKUP_END",
    0x60: "PARAMETER_CHANGE",
    0x70: "RESTORE_POINT",
    0x80: "FPW_CHANGE",
    0x90: "END_OF_RECOVERY",
    0xA0: "FPI_FOR_HINT",
    0xB0: "FPI",
    0xD0: "OVERWRITE_CONTRECORD",
    0xE0: "CHECKPOINT_REDO",
}


def identify(info: int) -> str | None:
    """Name of a record kind."""
    return _NAMES.get(info & 0xF0)


def _level(wal_level: int) -> str:
    return WAL_LEVEL_TEXT[wal_level] if 0 <= wal_level < 3 else "?"


def _true_false(value: bool) -> str:
    return "true" if value else "false"


def _checkpoint(data: bytes, shutdown: bool) -> str:
    c = CheckPoint.unpack(data)
    return (
        f"redo {format_lsn(c.redo)}; tli {c.this_timeline_id}; prev tli {c.prev_timeline_id}; "
        f"fpw {_true_false(c.full_page_writes)}; wal_level {_level(c.wal_level)}; "
        f"xid {c.next_xid >> 32}:{c.next_xid & 0xFFFFFFFF}; oid {c.next_oid}; multi {c.next_multi}; "
        f"offset {c.next_multi_offset}; oldest xid {c.oldest_xid} in DB {c.oldest_xid_db}; "
        f"oldest multi {c.oldest_multi} in DB {c.oldest_multi_db}; "
        f"oldest/newest commit timestamp xid: {c.oldest_commit_ts_xid}/{c.newest_commit_ts_xid}; "
        f"oldest running xid {c.oldest_active_xid}; {'shutdown' if shutdown else 'online'}"
    )


def describe(record: DecodedRecord) -> str:
    """What a record says."""
    data = record.data
    match record.xl_info & 0xF0:
        case 0x00:
            return _checkpoint(data, True)
        case 0x10:
            return _checkpoint(data, False)
        case 0x30:
            return str(struct.unpack_from("<I", data)[0])
        case 0x50:
            return format_lsn(struct.unpack_from("<Q", data)[0])
        case 0x60:
            v = struct.unpack_from("<iiiiii??", data)
            return (
                f"max_connections={v[0]} max_worker_processes={v[1]} max_wal_senders={v[2]} max_prepared_xacts={v[3]} "
                f"max_locks_per_xact={v[4]} wal_level={_level(v[5])} wal_log_hints={on_off(v[6])} "
                f"track_commit_timestamp={on_off(v[7])}"
            )
        case 0x70:
            return data[8:72].split(b"\0")[0].decode("utf-8", "replace")
        case 0x80:
            return _true_false(bool(data[0]))
        case 0x90:
            moment, timeline, previous, level = struct.unpack_from("<qIIi", data)
            return f"tli {timeline}; prev tli {previous}; time {timestamp(moment)}; wal_level {_level(level)}"
        case 0xD0:
            lsn, moment = struct.unpack_from("<Qq", data)
            return f"lsn {format_lsn(lsn)}; time {timestamp(moment)}"
        case 0xE0:
            return f"wal_level {_level(struct.unpack_from('<i', data)[0])}"
    return ""
