"""What the records of this package say, in pg_waldump's words: Transaction, Storage, CLOG, MultiXact, Standby, CommitTs.

For each resource manager two functions: the record's name for its info bits, and the description of its main data.
"""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_XACT_NAMES = {
    0x00: "COMMIT", 0x10: "PREPARE", 0x20: "ABORT", 0x30: "COMMIT_PREPARED", 0x40: "ABORT_PREPARED",
    0x50: "ASSIGNMENT", 0x60: "INVALIDATION",
}  # fmt: skip
_STATUS = ("keysh", "sh", "fornokeyupd", "forupd", "nokeyupd", "upd")
_FORKS = ("", "_fsm", "_vm", "_init")


def _time(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%d %H:%M:%S.%f UTC")


def _path(spc: int, db: int, rel: int, fork: int = 0) -> str:
    if spc == 1664:
        return f"global/{rel}{_FORKS[fork]}"
    if spc == 1663:
        return f"base/{db}/{rel}{_FORKS[fork]}"
    return f"pg_tblspc/{spc}/PG_18_202506291/{db}/{rel}{_FORKS[fork]}"


def _lsn(lsn: int) -> str:
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


class _Reader:
    """Takes fields off the front of a record."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def counted(self, layout: str) -> list[tuple[int, ...]]:
        (n,) = self.take("i")
        return [self.take(layout) for _ in range(n)]

    def messages(self, n: int) -> list[bytes]:
        found = [self.data[self.at + 16 * i : self.at + 16 * i + 16] for i in range(n)]
        self.at += 16 * n
        return found


def _invalidations(messages: list[bytes], db: int, spc: int, init_file: bool) -> str:
    if not messages:
        return ""
    text = f"; relcache init file inval dbid {db} tsid {spc}" if init_file else ""
    text += "; inval msgs:"
    for message in messages:
        kind = struct.unpack_from("<b", message)[0]
        _, second, third = struct.unpack_from("<III", message)
        if kind >= 0:
            text += f" catcache {kind}"
        elif kind == -1:
            text += f" catalog {third}"
        elif kind == -2:
            text += f" relcache {third}"
        elif kind == -3:
            text += " smgr"
        elif kind == -4:
            text += f" relmap db {second}"
        elif kind == -5:
            text += f" snapshot {third}"
        elif kind == -6:
            text += f" relsync {third}"
        else:
            text += f" unrecognized id {kind}"
    return text


def identify_xact(info: int) -> str | None:
    return _XACT_NAMES.get(info & 0x70)


def describe_xact(info: int, data: bytes, origin: int = 0) -> str:
    """Transaction records; ``origin`` is the record's replication origin."""
    op = info & 0x70
    reader = _Reader(data)
    if op in (0x00, 0x20, 0x30, 0x40):
        return _describe_end(info, reader, op in (0x00, 0x30), origin)
    if op == 0x50:
        (top,) = reader.take("I")
        return f"xtop {top}: subxacts:" + "".join(f" {xid}" for (xid,) in reader.counted("I"))
    if op == 0x60:
        (n,) = reader.take("i")
        return _invalidations(reader.messages(n), 0, 0, False)
    return ""


def _describe_end(info: int, reader: _Reader, is_commit: bool, origin: int) -> str:
    (when,) = reader.take("q")
    xinfo = reader.take("I")[0] if info & 0x80 else 0
    db, spc = reader.take("II") if xinfo & 1 else (0, 0)
    subxacts = [xid for (xid,) in reader.counted("I")] if xinfo & 2 else []
    rels = [_path(*locator) for locator in reader.counted("III")] if xinfo & 4 else []
    stats = reader.counted("iIII") if xinfo & 0x100 else []
    messages = reader.messages(reader.take("i")[0]) if xinfo & 8 and is_commit else []
    prefix = ""
    if xinfo & 0x10:
        (prepared,) = reader.take("I")
        gid = ""
        if xinfo & 0x80:
            end = reader.data.index(b"\0", reader.at)
            gid = reader.data[reader.at : end].decode()
            reader.at = end + 1
        prefix = f"{gid}: " if gid else f"{prepared}: "
    origin_text = ""
    if xinfo & 0x20:
        lsn, at = reader.take("Qq")
        origin_text = f"; origin: node {origin}, lsn {_lsn(lsn)}, at {_time(at)}"
    text = prefix + _time(when)
    if rels:
        text += "; rels:" + "".join(f" {path}" for path in rels)
    if subxacts:
        text += "; subxacts:" + "".join(f" {xid}" for xid in subxacts)
    dropped = ""
    if stats:
        dropped = "; dropped stats:" + "".join(f" {kind}/{d}/{hi << 32 | lo}" for kind, d, lo, hi in stats)
    if not is_commit:
        return text + origin_text + dropped
    text += dropped + _invalidations(messages, db, spc, bool(xinfo & 1 << 30))
    if xinfo & 1 << 29:
        text += "; apply_feedback"
    if xinfo & 1 << 31:
        text += "; sync"
    return text + origin_text


def identify_smgr(info: int) -> str | None:
    return {0x10: "CREATE", 0x20: "TRUNCATE"}.get(info & 0xF0)


def describe_smgr(info: int, data: bytes) -> str:
    if info & 0xF0 == 0x10:
        return _path(*struct.unpack("<IIIi", data))
    block, spc, db, rel, flags = struct.unpack("<IIIIi", data)
    return f"{_path(spc, db, rel)} to {block} blocks flags {flags}"


def identify_clog(info: int) -> str | None:
    return {0x00: "ZEROPAGE", 0x10: "TRUNCATE"}.get(info & 0xF0)


def describe_clog(info: int, data: bytes) -> str:
    (page,) = struct.unpack_from("<q", data)
    if info & 0xF0 == 0x00:
        return f"page {page}"
    return f"page {page}; oldestXact {struct.unpack_from('<I', data, 8)[0]}"


def identify_commit_ts(info: int) -> str | None:
    return identify_clog(info)


def describe_commit_ts(info: int, data: bytes) -> str:
    (page,) = struct.unpack_from("<q", data)
    if info & 0xF0 == 0x00:
        return f"{page}"
    return f"pageno {page}, oldestXid {struct.unpack_from('<I', data, 8)[0]}"


def identify_multixact(info: int) -> str | None:
    return {0x00: "ZERO_OFF_PAGE", 0x10: "ZERO_MEM_PAGE", 0x20: "CREATE_ID", 0x30: "TRUNCATE_ID"}.get(info & 0xF0)


def describe_multixact(info: int, data: bytes) -> str:
    op = info & 0xF0
    if op in (0x00, 0x10):
        return str(struct.unpack_from("<q", data)[0])
    if op == 0x20:
        multi, offset, n = struct.unpack_from("<IIi", data)
        text = f"{multi} offset {offset} nmembers {n}: "
        for i in range(n):
            xid, status = struct.unpack_from("<Ii", data, 12 + 8 * i)
            text += f"{xid} ({_STATUS[status] if status < len(_STATUS) else 'unk'}) "
        return text
    _, start, end, first, last = struct.unpack_from("<IIIII", data)
    return f"offsets [{start}, {end}), members [{first}, {last})"


def identify_standby(info: int) -> str | None:
    return {0x00: "LOCK", 0x10: "RUNNING_XACTS", 0x20: "INVALIDATIONS"}.get(info & 0xF0)


def describe_standby(info: int, data: bytes) -> str:
    op = info & 0xF0
    reader = _Reader(data)
    if op == 0x00:
        return "".join(f"xid {xid} db {db} rel {rel} " for xid, db, rel in reader.counted("III"))
    if op == 0x10:
        nxacts, nsub, overflow, next_xid, oldest, latest = reader.take("iiB3xIII")
        text = f"nextXid {next_xid} latestCompletedXid {latest} oldestRunningXid {oldest}"
        if nxacts:
            text += f"; {nxacts} xacts:" + "".join(f" {xid}" for xid in reader.take(f"{nxacts}I"))
        if overflow:
            text += "; subxid overflowed"
        if nsub:
            text += f"; {nsub} subxacts:" + "".join(f" {xid}" for xid in reader.take(f"{nsub}I"))
        return text
    db, spc, init_file, n = reader.take("IIB3xi")
    return _invalidations(reader.messages(n), db, spc, bool(init_file))


DESCRIPTIONS: dict[int, tuple[Callable[[int], str | None], Callable[[int, bytes], str]]] = {
    1: (identify_xact, describe_xact),
    2: (identify_smgr, describe_smgr),
    3: (identify_clog, describe_clog),
    6: (identify_multixact, describe_multixact),
    8: (identify_standby, describe_standby),
    18: (identify_commit_ts, describe_commit_ts),
}
"""By resource manager id."""
