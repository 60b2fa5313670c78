"""Btree (access/nbtxlog.h)."""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions.common import flag, offsets

_NAMES = {
    0x00: "INSERT_LEAF", 0x10: "INSERT_UPPER", 0x20: "INSERT_META", 0x30: "SPLIT_L", 0x40: "SPLIT_R",
    0x50: "INSERT_POST", 0x60: "DEDUP", 0x70: "DELETE", 0x80: "UNLINK_PAGE", 0x90: "UNLINK_PAGE_META", 0xA0: "NEWROOT",
    0xB0: "MARK_PAGE_HALFDEAD", 0xC0: "VACUUM", 0xD0: "REUSE_PAGE", 0xE0: "META_CLEANUP",
}  # fmt: skip


def identify(info: int) -> str | None:
    """Name of a record kind."""
    return _NAMES.get(info & 0xF0)


def _deleted_and_updated(data: bytes, ndeleted: int, nupdated: int) -> str:
    """Offsets deleted, and posting lists that lost some of their tids."""
    deleted = struct.unpack_from(f"<{ndeleted}H", data)
    updated = struct.unpack_from(f"<{nupdated}H", data, 2 * ndeleted)
    at = 2 * (ndeleted + nupdated)
    items = []
    for off in updated:
        (count,) = struct.unpack_from("<H", data, at)
        ptids = struct.unpack_from(f"<{count}H", data, at + 2)
        at += 2 + 2 * count
        items.append(f"{{ off: {off}, nptids: {count}, ptids:{offsets(ptids)} }}")
    return f", deleted:{offsets(deleted)}, updated:{offsets(items)}"


def describe(record: DecodedRecord) -> str:
    """What a record says."""
    data = record.data
    block = record.block(0)
    items = block["data"] if block is not None and block["has_data"] else None
    match record.xl_info & 0xF0:
        case 0x00 | 0x10 | 0x20 | 0x50:
            return f"off: {struct.unpack_from('<H', data)[0]}"
        case 0x30 | 0x40:
            level, first_right, new_item, posting = struct.unpack_from("<IHHH", data)
            return f"level: {level}, firstrightoff: {first_right}, newitemoff: {new_item}, postingoff: {posting}"
        case 0x60:
            return f"nintervals: {struct.unpack_from('<H', data)[0]}"
        case 0xC0:
            ndeleted, nupdated = struct.unpack_from("<HH", data)
            out = f"ndeleted: {ndeleted}, nupdated: {nupdated}"
            return out + (_deleted_and_updated(items, ndeleted, nupdated) if items is not None else "")
        case 0x70:
            horizon, ndeleted, nupdated, catalog = struct.unpack_from("<IHH?", data)
            out = (
                f"snapshotConflictHorizon: {horizon}, ndeleted: {ndeleted}, nupdated: {nupdated}, "
                f"isCatalogRel: {flag(catalog)}"
            )
            return out + (_deleted_and_updated(items, ndeleted, nupdated) if items is not None else "")
        case 0xB0:
            _off, leaf, left, right, top = struct.unpack_from("<H2xIIII", data)
            return f"topparent: {top}, leaf: {leaf}, left: {left}, right: {right}"
        case 0x80 | 0x90:
            left, right, level, safexid, leaf_left, leaf_right, top = struct.unpack_from("<III4xQIII", data)
            return (
                f"left: {left}, right: {right}, level: {level}, safexid: {safexid >> 32}:{safexid & 0xFFFFFFFF}, "
                f"leafleft: {leaf_left}, leafright: {leaf_right}, leaftopparent: {top}"
            )
        case 0xA0:
            return f"level: {struct.unpack_from('<II', data)[1]}"
        case 0xD0:
            spc, db, rel, _block, horizon, catalog = struct.unpack_from("<IIIIQ?", data)
            return (
                f"rel: {spc}/{db}/{rel}, snapshotConflictHorizon: {horizon >> 32}:{horizon & 0xFFFFFFFF}, "
                f"isCatalogRel: {flag(catalog)}"
            )
        case 0xE0:
            return f"last_cleanup_num_delpages: {struct.unpack_from('<IIIIII', items or bytes(24))[5]}"
    return ""
