"""Transaction: commit, abort, prepare, subtransaction assignment (access/xact.h)."""

import struct
from dataclasses import dataclass, field

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions.common import invalidations, origin, relation_path, timestamp

_NAMES = {
    0x00: "COMMIT",
    0x10: "PREPARE",
    0x20: "ABORT",
    0x30: "COMMIT_PREPARED",
    0x40: "ABORT_PREPARED",
    0x50: "ASSIGNMENT",
    0x60: "INVALIDATION",
}
_HAS_INFO = 0x80
_PREPARE = struct.Struct("<IIIIqIiiiiii?xHQq")
_DBINFO, _SUBXACTS, _RELATIONS, _INVALS, _TWOPHASE, _ORIGIN, _GID, _STATS = 1, 2, 4, 8, 16, 32, 128, 256
_APPLY_FEEDBACK, _UPDATE_RELCACHE_FILE, _FORCE_SYNC = 1 << 29, 1 << 30, 1 << 31


def identify(info: int) -> str | None:
    """Name of a record kind."""
    return _NAMES.get(info & 0x70)


@dataclass(slots=True)
class EndOfTransaction:
    """A commit or abort record taken apart."""

    time: int = 0
    xinfo: int = 0
    database: int = 0
    tablespace: int = 0
    subxacts: tuple[int, ...] = ()
    relations: list[tuple[int, int, int]] = field(default_factory=list)
    stats: list[tuple[int, int, int]] = field(default_factory=list)
    nmsgs: int = 0
    messages: bytes = b""
    prepared_xid: int = 0
    gid: str = ""
    origin_lsn: int = 0
    origin_time: int = 0


class _Cursor:
    """Reads the record's parts one after the other."""

    def __init__(self, data: bytes, offset: int = 0) -> None:
        self.data = data
        self.offset = offset

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += struct.calcsize("<" + layout)
        return values

    def relations(self, count: int) -> list[tuple[int, int, int]]:
        flat = self.take(f"{3 * count}I")
        return list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))

    def stats(self, count: int) -> list[tuple[int, int, int]]:
        return [(kind, db, low | high << 32) for kind, db, low, high in (self.take("iIII") for _ in range(count))]


def parse_end(data: bytes, info: int, *, commit: bool) -> EndOfTransaction:
    """Take a commit or abort record apart (ParseCommitRecord, ParseAbortRecord)."""
    cursor = _Cursor(data)
    end = EndOfTransaction()
    (end.time,) = cursor.take("q")
    if info & _HAS_INFO:
        (end.xinfo,) = cursor.take("I")
    if end.xinfo & _DBINFO:
        end.database, end.tablespace = cursor.take("II")
    if end.xinfo & _SUBXACTS:
        end.subxacts = cursor.take(f"{cursor.take('i')[0]}I")
    if end.xinfo & _RELATIONS:
        end.relations = cursor.relations(cursor.take("i")[0])
    if end.xinfo & _STATS:
        end.stats = cursor.stats(cursor.take("i")[0])
    if commit and end.xinfo & _INVALS:
        (end.nmsgs,) = cursor.take("i")
        end.messages = data[cursor.offset : cursor.offset + 16 * end.nmsgs]
        cursor.offset += 16 * end.nmsgs
    if end.xinfo & _TWOPHASE:
        (end.prepared_xid,) = cursor.take("I")
        if end.xinfo & _GID:
            stop = data.index(b"\0", cursor.offset)
            end.gid = data[cursor.offset : stop].decode("utf-8", "replace")
            cursor.offset = stop + 1
    if end.xinfo & _ORIGIN:
        end.origin_lsn, end.origin_time = cursor.take("Qq")
    return end


def _relations(label: str, relations: list[tuple[int, int, int]]) -> str:
    if not relations:
        return ""
    return f"; {label}:" + "".join(" " + relation_path(*relation) for relation in relations)


def _subxacts(xids: tuple[int, ...]) -> str:
    return "; subxacts:" + "".join(f" {xid}" for xid in xids) if xids else ""


def _stats(label: str, stats: list[tuple[int, int, int]]) -> str:
    return f"; {label}dropped stats:" + "".join(f" {k}/{db}/{oid}" for k, db, oid in stats) if stats else ""


def _describe_commit(record: DecodedRecord) -> str:
    end = parse_end(record.data, record.xl_info, commit=True)
    out = f"{end.prepared_xid}: " if end.prepared_xid else ""
    out += timestamp(end.time) + _relations("rels", end.relations) + _subxacts(end.subxacts) + _stats("", end.stats)
    out += invalidations(
        end.nmsgs, end.messages, end.database, end.tablespace, bool(end.xinfo & _UPDATE_RELCACHE_FILE)
    )
    if end.xinfo & _APPLY_FEEDBACK:
        out += "; apply_feedback"
    if end.xinfo & _FORCE_SYNC:
        out += "; sync"
    if end.xinfo & _ORIGIN:
        out += origin(record.replication_origin, end.origin_lsn, end.origin_time)
    return out


def _describe_abort(record: DecodedRecord) -> str:
    end = parse_end(record.data, record.xl_info, commit=False)
    out = f"{end.prepared_xid}: " if end.prepared_xid else ""
    out += timestamp(end.time) + _relations("rels", end.relations) + _subxacts(end.subxacts)
    if end.xinfo & _ORIGIN:
        out += origin(record.replication_origin, end.origin_lsn, end.origin_time)
    return out + _stats("", end.stats)


def _describe_prepare(record: DecodedRecord) -> str:
    data = record.data
    (_magic, _length, _xid, database, prepared_at, _owner, nsubxacts, ncommit, nabort, ncommit_stats, nabort_stats,
     nmsgs, init_file, gid_length, origin_lsn, origin_time) = _PREPARE.unpack_from(data)  # fmt: skip

    def align(offset: int) -> int:
        return (offset + 7) & ~7

    offset = align(_PREPARE.size)
    gid = data[offset : offset + gid_length].split(b"\0")[0].decode("utf-8", "replace")
    offset += align(gid_length)
    subxacts = struct.unpack_from(f"<{nsubxacts}I", data, offset)
    offset += align(4 * nsubxacts)
    commit_relations = _Cursor(data, offset).relations(ncommit)
    offset += align(12 * ncommit)
    abort_relations = _Cursor(data, offset).relations(nabort)
    offset += align(12 * nabort)
    commit_stats = _Cursor(data, offset).stats(ncommit_stats)
    offset += align(16 * ncommit_stats)
    abort_stats = _Cursor(data, offset).stats(nabort_stats)
    offset += align(16 * nabort_stats)
    out = f"gid {gid}: {timestamp(prepared_at)}"
    out += _relations("rels(commit)", commit_relations) + _relations("rels(abort)", abort_relations)
    out += _stats("commit ", commit_stats) + _stats("abort ", abort_stats) + _subxacts(subxacts)
    out += invalidations(nmsgs, data[offset : offset + 16 * nmsgs], database, 0, init_file)
    if record.replication_origin:
        out += origin(record.replication_origin, origin_lsn, origin_time)
    return out


def describe(record: DecodedRecord) -> str:
    """What a record says."""
    data = record.data
    match record.xl_info & 0x70:
        case 0x00 | 0x30:
            return _describe_commit(record)
        case 0x20 | 0x40:
            return _describe_abort(record)
        case 0x10:
            return _describe_prepare(record)
        case 0x50:
            top, count = struct.unpack_from("<Ii", data)
            xids = struct.unpack_from(f"<{count}I", data, 8)
            return f"xtop {top}: subxacts:" + "".join(f" {xid}" for xid in xids)
        case 0x60:
            (nmsgs,) = struct.unpack_from("<i", data)
            return invalidations(nmsgs, data[4:], 0, 0, False)
    return ""
