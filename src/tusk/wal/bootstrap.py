"""The first WAL segment and the first control file, for initdb (BootStrapXLOG)."""

import os
import struct
import time
from dataclasses import replace
from pathlib import Path

from tusk.wal._crc32c import crc32c
from tusk.wal.controlfile import (
    PG_CONTROL_FILE_SIZE,
    CheckPoint,
    ControlFile,
    DBState,
    check_segment_size,
    segment_name,
    write_control_file,
)

XLOG_PAGE_MAGIC = 0xD118
XLP_LONG_HEADER = 0x0002
LONG_HEADER = struct.Struct("<HHIQI4xQII")
RECORD_HEADER = struct.Struct("<IIQBBxxI")
BLOCK_SIZE = 8192
_SHUTDOWN_CHECKPOINT = 0x00


def make_system_identifier(now: float | None = None, pid: int | None = None) -> int:
    """A new cluster's identifier: seconds, microseconds and process id of its making."""
    now = time.time() if now is None else now
    seconds, micros = int(now), int(now % 1 * 1_000_000)
    return seconds << 32 | micros << 12 | (os.getpid() if pid is None else pid) & 0xFFF


def checkpoint_record(checkpoint: CheckPoint, prev: int = 0) -> bytes:
    """The bytes of a shutdown checkpoint record without a transaction."""
    body = bytes([255, 88]) + checkpoint.pack()
    head = struct.pack("<IIQBBxx", 24 + len(body), 0, prev, _SHUTDOWN_CHECKPOINT, 0)
    return head + struct.pack("<I", crc32c(body + head)) + body


def bootstrap_wal(
    data_directory: str | os.PathLike[str],
    system_identifier: int,
    *,
    checkpoint: CheckPoint | None = None,
    segment_size: int = 16 * 1024 * 1024,
    data_checksums: bool = True,
    wal_level: int = 1,
    wal_log_hints: bool = False,
    max_connections: int = 100,
    max_worker_processes: int = 8,
    max_wal_senders: int = 10,
    max_prepared_transactions: int = 0,
    max_locks_per_transaction: int = 64,
    track_commit_timestamp: bool = False,
    nonce: bytes | None = None,
    now: int | None = None,
    sync: bool = True,
) -> ControlFile:
    """Write segment 1 of timeline 1 with a shutdown checkpoint, and the control file that points to it.

    ``pg_wal`` and ``global`` exist already. ``checkpoint`` gives the counters (next xid, oid, ...); its redo, timeline
    and time are filled in. Returns what the control file says.
    """
    check_segment_size(segment_size)
    directory = Path(data_directory)
    now = int(time.time()) if now is None else now
    start = segment_size + LONG_HEADER.size
    checkpoint = replace(
        checkpoint if checkpoint is not None else CheckPoint(),
        redo=start, this_timeline_id=1, prev_timeline_id=1, time=now, wal_level=wal_level,
    )
    page = LONG_HEADER.pack(
        XLOG_PAGE_MAGIC, XLP_LONG_HEADER, 1, segment_size, 0, system_identifier, segment_size, BLOCK_SIZE
    )
    page = (page + checkpoint_record(checkpoint)).ljust(BLOCK_SIZE, b"\0")
    for name in ("archive_status", "summaries"):
        (directory / "pg_wal" / name).mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / "pg_wal" / segment_name(1, 1, segment_size), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, page, 0)
        if sync:
            os.posix_fallocate(fd, 0, segment_size)
            os.fsync(fd)
        else:
            os.ftruncate(fd, segment_size)
    finally:
        os.close(fd)
    control = ControlFile(
        system_identifier=system_identifier,
        state=DBState.SHUTDOWNED,
        time=now,
        checkpoint=start,
        checkpoint_copy=checkpoint,
        wal_level=wal_level,
        wal_log_hints=wal_log_hints,
        max_connections=max_connections,
        max_worker_processes=max_worker_processes,
        max_wal_senders=max_wal_senders,
        max_prepared_xacts=max_prepared_transactions,
        max_locks_per_xact=max_locks_per_transaction,
        track_commit_timestamp=track_commit_timestamp,
        xlog_seg_size=segment_size,
        data_checksum_version=1 if data_checksums else 0,
        mock_authentication_nonce=os.urandom(32) if nonce is None else nonce,
    )
    write_control_file(directory, control, sync=sync)
    return control


__all__ = ["PG_CONTROL_FILE_SIZE", "bootstrap_wal", "checkpoint_record", "make_system_identifier"]
