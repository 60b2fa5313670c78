"""What ``tusk controldata`` prints: the control file in pg_controldata's words."""

import os
import time
from pathlib import Path

from tusk.errors import SqlError, errcode
from tusk.wal.controlfile import (
    CONTROL_FILE,
    CONTROL_SIZE,
    PG_CONTROL_VERSION,
    STATE_TEXT,
    WAL_LEVEL_TEXT,
    ControlFile,
    DBState,
    crc_matches,
    format_lsn,
    segment_name,
)

CRC_WARNING = (
    "warning: calculated CRC checksum does not match value stored in control file",
    "detail: Either the control file is corrupt, or it has a different layout than this program is expecting.  "
    "The results below are untrustworthy.",
)


def _on_off(value: bool) -> str:
    return "on" if value else "off"


def _time(seconds: int) -> str:
    try:
        return time.strftime("%c", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return "???"


def describe_control_file(control: ControlFile) -> list[tuple[str, str]]:
    """(label, value) in the order of pg_controldata."""
    copy = control.checkpoint_copy
    size = control.xlog_seg_size
    valid_size = size > 0 and not size & (size - 1) and 1 << 20 <= size <= 1 << 30
    redo_file = segment_name(copy.this_timeline_id, copy.redo // size, size) if valid_size else "???"
    state = STATE_TEXT.get(control.state, "unrecognized status code")
    level = WAL_LEVEL_TEXT[control.wal_level] if 0 <= control.wal_level < 3 else "unrecognized \"wal_level\""
    return [
        ("pg_control version number", str(control.pg_control_version)),
        ("Catalog version number", str(control.catalog_version_no)),
        ("Database system identifier", str(control.system_identifier)),
        ("Database cluster state", state),
        ("pg_control last modified", _time(control.time)),
        ("Latest checkpoint location", format_lsn(control.checkpoint)),
        ("Latest checkpoint's REDO location", format_lsn(copy.redo)),
        ("Latest checkpoint's REDO WAL file", redo_file),
        ("Latest checkpoint's TimeLineID", str(copy.this_timeline_id)),
        ("Latest checkpoint's PrevTimeLineID", str(copy.prev_timeline_id)),
        ("Latest checkpoint's full_page_writes", _on_off(copy.full_page_writes)),
        ("Latest checkpoint's NextXID", f"{copy.next_xid >> 32}:{copy.next_xid & 0xFFFFFFFF}"),
        ("Latest checkpoint's NextOID", str(copy.next_oid)),
        ("Latest checkpoint's NextMultiXactId", str(copy.next_multi)),
        ("Latest checkpoint's NextMultiOffset", str(copy.next_multi_offset)),
        ("Latest checkpoint's oldestXID", str(copy.oldest_xid)),
        ("Latest checkpoint's oldestXID's DB", str(copy.oldest_xid_db)),
        ("Latest checkpoint's oldestActiveXID", str(copy.oldest_active_xid)),
        ("Latest checkpoint's oldestMultiXid", str(copy.oldest_multi)),
        ("Latest checkpoint's oldestMulti's DB", str(copy.oldest_multi_db)),
        ("Latest checkpoint's oldestCommitTsXid", str(copy.oldest_commit_ts_xid)),
        ("Latest checkpoint's newestCommitTsXid", str(copy.newest_commit_ts_xid)),
        ("Time of latest checkpoint", _time(copy.time)),
        ("Fake LSN counter for unlogged rels", format_lsn(control.unlogged_lsn)),
        ("Minimum recovery ending location", format_lsn(control.min_recovery_point)),
        ("Min recovery ending loc's timeline", str(control.min_recovery_point_tli)),
        ("Backup start location", format_lsn(control.backup_start_point)),
        ("Backup end location", format_lsn(control.backup_end_point)),
        ("End-of-backup record required", "yes" if control.backup_end_required else "no"),
        ("wal_level setting", level),
        ("wal_log_hints setting", _on_off(control.wal_log_hints)),
        ("max_connections setting", str(control.max_connections)),
        ("max_worker_processes setting", str(control.max_worker_processes)),
        ("max_wal_senders setting", str(control.max_wal_senders)),
        ("max_prepared_xacts setting", str(control.max_prepared_xacts)),
        ("max_locks_per_xact setting", str(control.max_locks_per_xact)),
        ("track_commit_timestamp setting", _on_off(control.track_commit_timestamp)),
        ("Maximum data alignment", str(control.max_align)),
        ("Database block size", str(control.blcksz)),
        ("Blocks per segment of large relation", str(control.relseg_size)),
        ("WAL block size", str(control.xlog_blcksz)),
        ("Bytes per WAL segment", str(control.xlog_seg_size)),
        ("Maximum length of identifiers", str(control.name_data_len)),
        ("Maximum columns in an index", str(control.index_max_keys)),
        ("Maximum size of a TOAST chunk", str(control.toast_max_chunk_size)),
        ("Size of a large-object chunk", str(control.loblksize)),
        ("Date/time type storage", "64-bit integers"),
        ("Float8 argument passing", "by value" if control.float8_by_val else "by reference"),
        ("Data page checksum version", str(control.data_checksum_version)),
        ("Default char data signedness", "signed" if control.default_char_signedness else "unsigned"),
        ("Mock authentication nonce", control.mock_authentication_nonce.hex()),
    ]


def report_control_file(data_directory: str | os.PathLike[str]) -> tuple[str, list[str]]:
    """The report as pg_controldata prints it, and warnings for standard error."""
    path = Path(data_directory) / CONTROL_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SqlError(
            errcode.IO_ERROR, f'could not open file "{path}" for reading: {error.strerror}'
        ) from error
    if len(data) < CONTROL_SIZE:
        raise SqlError(errcode.DATA_CORRUPTED, f'could not read file "{path}": read {len(data)} of {CONTROL_SIZE}')
    warnings = [] if crc_matches(data) else list(CRC_WARNING)
    control = ControlFile.unpack(data)
    if control.pg_control_version % 65536 == 0 and control.pg_control_version // 65536 != 0:
        warnings.append("warning: possible byte ordering mismatch")
    lines = [f"{label}:".ljust(38) + value for label, value in describe_control_file(control)]
    return "\n".join(lines) + "\n", warnings


__all__ = ["PG_CONTROL_VERSION", "DBState", "describe_control_file", "report_control_file"]
