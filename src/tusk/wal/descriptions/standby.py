"""Standby: locks, running transactions, invalidations (storage/standbydefs.h)."""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions.common import invalidations

_NAMES = {0x00: "LOCK", 0x10: "RUNNING_XACTS", 0x20: "INVALIDATIONS"}


def identify(info: int) -> str | None:
    """Name of a record kind."""
    return _NAMES.get(info & 0xF0)


def describe(record: DecodedRecord) -> str:
    """What a record says."""
    data = record.data
    match record.xl_info & 0xF0:
        case 0x00:
            (count,) = struct.unpack_from("<i", data)
            return "".join(
                f"xid {xid} db {db} rel {rel} " for xid, db, rel in struct.iter_unpack("<III", data[4 : 4 + 12 * count])
            )
        case 0x10:
            nxids, nsubxids, overflowed, next_xid, oldest, latest = struct.unpack_from("<ii?3xIII", data)
            xids = struct.unpack_from(f"<{nxids + nsubxids}I", data, 24)
            out = f"nextXid {next_xid} latestCompletedXid {latest} oldestRunningXid {oldest}"
            if nxids > 0:
                out += f"; {nxids} xacts:" + "".join(f" {xid}" for xid in xids[:nxids])
            if overflowed:
                out += "; subxid overflowed"
            if nsubxids > 0:
                out += f"; {nsubxids} subxacts:" + "".join(f" {xid}" for xid in xids[nxids:])
            return out
        case 0x20:
            db, spc, init_file, count = struct.unpack_from("<II?3xi", data)
            return invalidations(count, data[16:], db, spc, init_file)
    return ""
