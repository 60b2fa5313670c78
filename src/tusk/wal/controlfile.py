"""The control file ``global/pg_control`` (catalog/pg_control.h): its fields, its bytes, reading and writing it.

One object, `ControlFile`, for programs and slow paths; the running server keeps the packed form in the shared area
"Control File" (`_control`), guarded by ControlFileLock.
"""

import os
import struct
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from pathlib import Path

from tusk.errors import Fatal, Panic, errcode
from tusk.wal._crc32c import crc32c

PG_CONTROL_VERSION = 1800
CATALOG_VERSION_NO = 202506291
PG_CONTROL_FILE_SIZE = 8192
CONTROL_FILE = "global/pg_control"
FLOATFORMAT_VALUE = 1234567.0
FIRST_NORMAL_UNLOGGED_LSN = 1000

CHECKPOINT_FORMAT = struct.Struct("<QII?3xiQIIIIIII4xqIII4x")
CONTROL_FORMAT = struct.Struct("<QIIi4xqQ88sQQI4xQQ?3xi?3xiiiii?3xIdIIIIIIII?3xI?32s3x")
CONTROL_SIZE = CONTROL_FORMAT.size + 4


class DBState(IntEnum):
    """Cluster states."""

    STARTUP = 0
    SHUTDOWNED = 1
    SHUTDOWNED_IN_RECOVERY = 2
    SHUTDOWNING = 3
    IN_CRASH_RECOVERY = 4
    IN_ARCHIVE_RECOVERY = 5
    IN_PRODUCTION = 6


STATE_TEXT = {
    DBState.STARTUP: "starting up",
    DBState.SHUTDOWNED: "shut down",
    DBState.SHUTDOWNED_IN_RECOVERY: "shut down in recovery",
    DBState.SHUTDOWNING: "shutting down",
    DBState.IN_CRASH_RECOVERY: "in crash recovery",
    DBState.IN_ARCHIVE_RECOVERY: "in archive recovery",
    DBState.IN_PRODUCTION: "in production",
}

WAL_LEVEL_TEXT = ("minimal", "replica", "logical")


@dataclass(slots=True)
class CheckPoint:
    """The body of a checkpoint record (88 bytes)."""

    redo: int = 0
    this_timeline_id: int = 1
    prev_timeline_id: int = 1
    full_page_writes: bool = True
    wal_level: int = 1
    next_xid: int = 3
    next_oid: int = 10000
    next_multi: int = 1
    next_multi_offset: int = 0
    oldest_xid: int = 3
    oldest_xid_db: int = 1
    oldest_multi: int = 1
    oldest_multi_db: int = 1
    time: int = 0
    oldest_commit_ts_xid: int = 0
    newest_commit_ts_xid: int = 0
    oldest_active_xid: int = 0

    def pack(self) -> bytes:
        """The record body as in the WAL and in the control file."""
        return CHECKPOINT_FORMAT.pack(*(getattr(self, name) for name in CHECKPOINT_FIELDS))

    @classmethod
    def unpack(cls, data: bytes) -> "CheckPoint":
        """Parse a record body."""
        return cls(*CHECKPOINT_FORMAT.unpack_from(data))


CHECKPOINT_FIELDS = tuple(f.name for f in fields(CheckPoint))


@dataclass(slots=True)
class ControlFile:
    """Everything pg_control holds, in the order of the file; the CRC is added by `pack`."""

    system_identifier: int = 0
    pg_control_version: int = PG_CONTROL_VERSION
    catalog_version_no: int = CATALOG_VERSION_NO
    state: DBState = DBState.STARTUP
    time: int = 0
    checkpoint: int = 0
    checkpoint_copy: CheckPoint = field(default_factory=CheckPoint)
    unlogged_lsn: int = FIRST_NORMAL_UNLOGGED_LSN
    min_recovery_point: int = 0
    min_recovery_point_tli: int = 0
    backup_start_point: int = 0
    backup_end_point: int = 0
    backup_end_required: bool = False
    wal_level: int = 1
    wal_log_hints: bool = False
    max_connections: int = 100
    max_worker_processes: int = 8
    max_wal_senders: int = 10
    max_prepared_xacts: int = 0
    max_locks_per_xact: int = 64
    track_commit_timestamp: bool = False
    max_align: int = 8
    float_format: float = FLOATFORMAT_VALUE
    blcksz: int = 8192
    relseg_size: int = 131072
    xlog_blcksz: int = 8192
    xlog_seg_size: int = 16 * 1024 * 1024
    name_data_len: int = 64
    index_max_keys: int = 32
    toast_max_chunk_size: int = 1996
    loblksize: int = 2048
    float8_by_val: bool = True
    data_checksum_version: int = 1
    default_char_signedness: bool = True
    mock_authentication_nonce: bytes = bytes(32)

    def pack(self) -> bytes:
        """The 296 bytes of struct ControlFileData with a fresh CRC."""
        values = [getattr(self, name) for name in CONTROL_FIELDS]
        values[CONTROL_FIELDS.index("checkpoint_copy")] = self.checkpoint_copy.pack()
        body = CONTROL_FORMAT.pack(*values)
        return body + struct.pack("<I", crc32c(body))

    @classmethod
    def unpack(cls, data: bytes) -> "ControlFile":
        """Parse the struct; the CRC is `crc_matches`'s business."""
        values = list(CONTROL_FORMAT.unpack_from(data))
        i_copy = CONTROL_FIELDS.index("checkpoint_copy")
        values[i_copy] = CheckPoint.unpack(values[i_copy])
        control = cls(*values)
        if control.state in DBState.__members__.values():
            control.state = DBState(control.state)
        return control


CONTROL_FIELDS = tuple(f.name for f in fields(ControlFile))


def crc_matches(data: bytes) -> bool:
    """Whether the stored CRC belongs to the bytes before it."""
    return crc32c(data[: CONTROL_SIZE - 4]) == int.from_bytes(data[CONTROL_SIZE - 4 : CONTROL_SIZE], "little")


def _bad(detail: str, hint: str = "It looks like you need to initdb.") -> Fatal:
    return Fatal(
        errcode.INVALID_PARAMETER_VALUE, "database files are incompatible with server", detail=detail, hint=hint
    )


def read_control_bytes(data_directory: str | os.PathLike[str]) -> bytes:
    """The first bytes of the file, unchecked; PANIC when it cannot be read in full."""
    path = Path(data_directory) / CONTROL_FILE
    try:
        with open(path, "rb") as file:
            data = file.read(CONTROL_SIZE)
    except OSError as error:
        raise Panic(
            errcode.UNDEFINED_FILE if isinstance(error, FileNotFoundError) else errcode.IO_ERROR,
            f'could not open file "{CONTROL_FILE}": {error.strerror}',
        ) from error
    if len(data) != CONTROL_SIZE:
        raise Panic(
            errcode.DATA_CORRUPTED, f'could not read file "{CONTROL_FILE}": read {len(data)} of {CONTROL_SIZE}'
        )
    return data


def read_control_file(data_directory: str | os.PathLike[str]) -> ControlFile:
    """Read and check the control file as a starting server does (ReadControlFile); FATAL when it does not fit."""
    data = read_control_bytes(data_directory)
    control = ControlFile.unpack(data)
    version = control.pg_control_version
    if version != PG_CONTROL_VERSION:
        if version % 65536 == 0 and version // 65536 != 0:
            raise _bad(
                f"The database cluster was initialized with PG_CONTROL_VERSION {version} (0x{version:08x}), but the "
                f"server was compiled with PG_CONTROL_VERSION {PG_CONTROL_VERSION} (0x{PG_CONTROL_VERSION:08x}).",
                "This could be a problem of mismatched byte ordering.  It looks like you need to initdb.",
            )
        raise _bad(
            f"The database cluster was initialized with PG_CONTROL_VERSION {version}, but the server was compiled "
            f"with PG_CONTROL_VERSION {PG_CONTROL_VERSION}."
        )
    if not crc_matches(data):
        raise Fatal(errcode.INVALID_PARAMETER_VALUE, "incorrect checksum in control file")
    if control.catalog_version_no != CATALOG_VERSION_NO:
        raise _bad(
            f"The database cluster was initialized with CATALOG_VERSION_NO {control.catalog_version_no}, but the "
            f"server was compiled with CATALOG_VERSION_NO {CATALOG_VERSION_NO}."
        )
    template = ControlFile()
    recompile = "It looks like you need to recompile or initdb."
    for name, constant in (
        ("max_align", "MAXALIGN"),
        ("blcksz", "BLCKSZ"),
        ("relseg_size", "RELSEG_SIZE"),
        ("xlog_blcksz", "XLOG_BLCKSZ"),
        ("name_data_len", "NAMEDATALEN"),
        ("index_max_keys", "INDEX_MAX_KEYS"),
        ("toast_max_chunk_size", "TOAST_MAX_CHUNK_SIZE"),
        ("loblksize", "LOBLKSIZE"),
    ):
        found, wanted = getattr(control, name), getattr(template, name)
        if found != wanted:
            raise _bad(
                f"The database cluster was initialized with {constant} {found}, but the server was compiled with "
                f"{constant} {wanted}.",
                recompile if name != "max_align" else "It looks like you need to initdb.",
            )
    if control.float_format != FLOATFORMAT_VALUE:
        raise _bad(
            "The database cluster appears to use a different floating-point number format than the server executable."
        )
    if not control.float8_by_val:
        raise _bad(
            "The database cluster was initialized without USE_FLOAT8_BYVAL but the server was compiled with "
            "USE_FLOAT8_BYVAL.",
            recompile,
        )
    check_segment_size(control.xlog_seg_size)
    return control


def check_segment_size(size_bytes: int) -> None:
    """ERROR unless a WAL segment may be this big."""
    if size_bytes & (size_bytes - 1) or not 1024 * 1024 <= size_bytes <= 1024 * 1024 * 1024:
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            f"invalid WAL segment size in control file ({size_bytes} byte{'' if size_bytes == 1 else 's'})",
            detail="The WAL segment size must be a power of two between 1 MB and 1 GB.",
        )


def write_control_file(data_directory: str | os.PathLike[str], control: ControlFile, *, sync: bool = True) -> None:
    """Create or overwrite the whole file (WriteControlFile of initdb)."""
    path = Path(data_directory) / CONTROL_FILE
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, control.pack().ljust(PG_CONTROL_FILE_SIZE, b"\0"), 0)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def updated(control: ControlFile, **changes: object) -> ControlFile:
    """A copy with some fields changed."""
    return replace(control, **changes)  # type: ignore[arg-type]  # the names are checked by replace itself


def format_lsn(lsn: int) -> str:
    """An LSN as PostgreSQL prints it: two hexadecimal halves."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse_lsn(text: str) -> int:
    """The inverse of `format_lsn`; ValueError for anything else."""
    high, slash, low = text.partition("/")
    digits = set("0123456789abcdefABCDEF")
    if not slash or not 1 <= len(high) <= 8 or not 1 <= len(low) <= 8 or not set(high + low) <= digits:
        raise ValueError(f"invalid LSN {text!r}")
    return int(high, 16) << 32 | int(low, 16)


def segment_name(timeline: int, segno: int, segment_size: int) -> str:
    """The file name of a WAL segment (XLogFileName)."""
    per_id = 0x100000000 // segment_size
    return f"{timeline:08X}{segno // per_id:08X}{segno % per_id:08X}"


def parse_segment_name(name: str, segment_size: int) -> tuple[int, int]:
    """(timeline, segment number) of a WAL file name."""
    per_id = 0x100000000 // segment_size
    return int(name[:8], 16), int(name[8:16], 16) * per_id + int(name[16:24], 16)


def is_segment_name(name: str) -> bool:
    """Whether a name is that of a WAL segment (IsXLogFileName)."""
    return len(name) == 24 and set(name) <= set("0123456789ABCDEF")
