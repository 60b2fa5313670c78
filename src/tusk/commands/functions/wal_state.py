"""WAL positions, recovery, the control file, restore points."""

from __future__ import annotations

import os
import struct
from decimal import Decimal
from typing import Any

from tusk.catalog.session import session
from tusk.commands.functions.support import invalid, out_row
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.stats import session_info
from tusk.transaction import xact
from tusk.types.registry import function
from tusk.wal import _control, _insert, _xlog, _xlogctl, segments
from tusk.wal.rmgr import RMGR_NAMES

_MICROSECONDS = 1_000_000
_UNIX_TO_PG_SECONDS = 946_684_800
_LOGICALMSG, _INCLUDE_ORIGIN = 21, 1        # access/rmgrlist.h, access/xloginsert.h


def _not_during_recovery() -> None:
    if _xlog.is_in_recovery():
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            "recovery is in progress",
            hint="WAL control functions cannot be executed during recovery.",
        )


@function("pg_is_in_recovery")
def pg_is_in_recovery() -> bool:
    """Whether this is a standby, or recovering."""
    return _xlog.is_in_recovery()


@function("pg_current_wal_lsn")
def pg_current_wal_lsn() -> int:
    """How far WAL is written to files."""
    _not_during_recovery()
    return _xlog.write_lsn()


@function("pg_current_wal_insert_lsn")
def pg_current_wal_insert_lsn() -> int:
    """Where the next record goes."""
    _not_during_recovery()
    return _xlog.insert_lsn()


@function("pg_current_wal_flush_lsn")
def pg_current_wal_flush_lsn() -> int:
    """How far WAL is durable."""
    _not_during_recovery()
    return _xlog.flush_lsn()


@function("pg_switch_wal")
def pg_switch_wal() -> int:
    """Begin a new segment file; the end of the old one's content."""
    _not_during_recovery()
    return _insert.switch_segment()


def _names_need_primary(name: str) -> None:
    if _xlog.is_in_recovery():
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            "recovery is in progress",
            hint=f"{name} cannot be executed during recovery.",
        )


@function("pg_walfile_name")
def pg_walfile_name(lsn: int) -> str:
    """The segment file that holds this position."""
    _names_need_primary("pg_walfile_name()")
    return segments.segment_name(_xlog.insert_timeline(), lsn // _xlogctl.get_wal_segment_size())


@function("pg_walfile_name_offset")
def pg_walfile_name_offset(lsn: int) -> Any:
    """(segment file, offset in it)."""
    _names_need_primary("pg_walfile_name_offset()")
    size = _xlogctl.get_wal_segment_size()
    return out_row(
        "pg_walfile_name_offset", segments.segment_name(_xlog.insert_timeline(), lsn // size), lsn % size
    )


@function("pg_create_restore_point")
def pg_create_restore_point(name: str) -> int:
    """Write a named WAL record that recovery can stop at."""
    _not_during_recovery()
    if _control.get().wal_level < 1:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            "WAL level not sufficient for creating a restore point",
            hint='"wal_level" must be set to "replica" or "logical" at server start.',
        )
    encoded = name.encode()
    if len(encoded) >= 64:
        raise invalid("value too long for restore point (maximum 63 characters)")
    # xl_restore_point: time, then the name in 64 bytes (XLOG, info 0x70).
    body = xact.statement_start_timestamp().to_bytes(8, "little", signed=True) + encoded.ljust(64, b"\0")
    return _insert.insert(0, 0x70, body)


@function("pg_logical_emit_message_text")
def pg_logical_emit_message_text(transactional: bool, prefix: str, content: str, flush: bool) -> int:
    """Write a text that logical decoding will pass on; returns the position behind the record."""
    return pg_logical_emit_message_bytea(transactional, prefix, content.encode("utf-8", "surrogateescape"), flush)


@function("pg_logical_emit_message_bytea")
def pg_logical_emit_message_bytea(transactional: bool, prefix: str, content: bytes, flush: bool) -> int:
    """Write bytes that logical decoding will pass on: with the transaction, or at once and if asked durably."""
    if transactional:
        xact.get_current_transaction_id()
    # xl_logical_message: database, transactional, both lengths; then the prefix with its zero byte, and the content.
    name = prefix.encode("utf-8", "surrogateescape") + b"\0"
    head = struct.pack("<I?3xQQ", session.database_id, transactional, len(name), len(content))
    end = _insert.insert(_LOGICALMSG, 0, head + name + content, _INCLUDE_ORIGIN)
    if flush and not transactional:
        _xlog.flush(end)
    return end


@function("pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp")
def _nothing_replayed() -> int | None:
    """NULL on a server that did not start as a standby; serving queries in recovery is not built."""
    return None


def _recovery_only(name: str) -> None:
    if not _xlog.is_in_recovery():
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            "recovery is not in progress",
            hint="Recovery control functions can only be executed during recovery.",
        )
    raise feature_not_supported(name)


for _prosrc in (
    "pg_wal_replay_pause", "pg_wal_replay_resume", "pg_is_wal_replay_paused", "pg_get_wal_replay_pause_state",
):  # fmt: skip
    function(_prosrc)(lambda prosrc=_prosrc: _recovery_only(f"{prosrc}()"))


@function("pg_promote")
def pg_promote(wait: bool, wait_seconds: int) -> bool:
    """End recovery."""
    _recovery_only("pg_promote()")
    return False


@function("pg_get_wal_resource_managers", set_returning=True)
def pg_get_wal_resource_managers() -> list[tuple[int, str, bool]]:
    """(id, name, built in)."""
    return [(number, name, True) for number, name in enumerate(RMGR_NAMES)]


# The control file


def _seconds(value: int) -> int:
    return (value - _UNIX_TO_PG_SECONDS) * _MICROSECONDS


@function("pg_control_system")
def pg_control_system() -> Any:
    """Versions and identity."""
    control = _control.get()
    identifier = control.system_identifier
    return out_row(
        "pg_control_system", control.pg_control_version, control.catalog_version_no,
        identifier - (1 << 64) if identifier >> 63 else identifier, _seconds(control.time),
    )  # fmt: skip


@function("pg_control_checkpoint")
def pg_control_checkpoint() -> Any:
    """The latest checkpoint."""
    control = _control.load(".")
    point = control.checkpoint_copy
    size = control.xlog_seg_size
    return out_row(
        "pg_control_checkpoint", control.checkpoint, point.redo,
        segments.segment_name(point.this_timeline_id, point.redo // size), point.this_timeline_id,
        point.prev_timeline_id, point.full_page_writes, f"{point.next_xid >> 32}:{point.next_xid & 0xFFFFFFFF}",
        point.next_oid, point.next_multi, point.next_multi_offset, point.oldest_xid, point.oldest_xid_db,
        point.oldest_active_xid, point.oldest_multi, point.oldest_multi_db, point.oldest_commit_ts_xid,
        point.newest_commit_ts_xid, _seconds(point.time),
    )  # fmt: skip


@function("pg_control_recovery")
def pg_control_recovery() -> Any:
    """How far recovery must go."""
    control = _control.get()
    return out_row(
        "pg_control_recovery", control.min_recovery_point, control.min_recovery_point_tli, control.backup_start_point,
        control.backup_end_point, control.backup_end_required,
    )


@function("pg_control_init")
def pg_control_init() -> Any:
    """What initdb and the build fixed."""
    control = _control.get()
    return out_row(
        "pg_control_init", control.max_align, control.blcksz, control.relseg_size, control.xlog_blcksz,
        control.xlog_seg_size, control.name_data_len, control.index_max_keys, control.toast_max_chunk_size,
        control.loblksize, control.float8_by_val, control.data_checksum_version, control.default_char_signedness,
    )  # fmt: skip


@function("pg_postmaster_start_time")
def pg_postmaster_start_time() -> int:
    """When the server started."""
    return session_info.postmaster_start()


@function("pg_split_walfile_name")
def pg_split_walfile_name(name: str) -> Any:
    """(segment number, timeline) of a segment file's name."""
    upper = name.upper()
    if len(upper) != 24 or any(digit not in "0123456789ABCDEF" for digit in upper):
        raise invalid(f'invalid WAL file name "{name}"')
    per_id = 0x100000000 // _xlogctl.get_wal_segment_size()
    number = int(upper[8:16], 16) * per_id + int(upper[16:], 16)
    return out_row("pg_split_walfile_name", Decimal(number), int(upper[:8], 16))


@function("pg_available_wal_summaries", set_returning=True)
def pg_available_wal_summaries() -> list[Any]:
    """(timeline, start, end) of the summary files."""
    found = []
    if os.path.isdir("pg_wal/summaries"):
        for name in sorted(os.listdir("pg_wal/summaries")):
            if name.endswith(".summary") and len(name) == 48:
                found.append((int(name[:8], 16), int(name[8:24], 16), int(name[24:40], 16)))
    return found
