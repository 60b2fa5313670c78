"""Resource managers whose records Tusk reads but does not write yet: their record kinds, and simple descriptions."""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.controlfile import format_lsn
from tusk.wal.descriptions.common import flag

HASH_NAMES = {
    0x00: "INIT_META_PAGE", 0x10: "INIT_BITMAP_PAGE", 0x20: "INSERT", 0x30: "ADD_OVFL_PAGE",
    0x40: "SPLIT_ALLOCATE_PAGE", 0x50: "SPLIT_PAGE", 0x60: "SPLIT_COMPLETE", 0x70: "MOVE_PAGE_CONTENTS",
    0x80: "SQUEEZE_PAGE", 0x90: "DELETE", 0xA0: "SPLIT_CLEANUP", 0xB0: "UPDATE_META_PAGE", 0xC0: "VACUUM_ONE_PAGE",
}  # fmt: skip
GIN_NAMES = {
    0x10: "CREATE_PTREE", 0x20: "INSERT", 0x30: "SPLIT", 0x40: "VACUUM_PAGE", 0x50: "DELETE_PAGE",
    0x60: "UPDATE_META_PAGE", 0x70: "INSERT_LISTPAGE", 0x80: "DELETE_LISTPAGE", 0x90: "VACUUM_DATA_LEAF_PAGE",
}  # fmt: skip
GIST_NAMES = {
    0x00: "PAGE_UPDATE", 0x10: "DELETE", 0x20: "PAGE_REUSE", 0x30: "PAGE_SPLIT", 0x60: "PAGE_DELETE",
    0x70: "ASSIGN_LSN",
}  # fmt: skip
SPGIST_NAMES = {
    0x10: "ADD_LEAF", 0x20: "MOVE_LEAFS", 0x30: "ADD_NODE", 0x40: "SPLIT_TUPLE", 0x50: "PICKSPLIT", 0x60: "VACUUM_LEAF",
    0x70: "VACUUM_ROOT", 0x80: "VACUUM_REDIRECT",
}  # fmt: skip
BRIN_NAMES = {
    0x00: "CREATE_INDEX", 0x10: "INSERT", 0x20: "UPDATE", 0x30: "SAMEPAGE_UPDATE", 0x40: "REVMAP_EXTEND",
    0x50: "DESUMMARIZE",
}  # fmt: skip
ORIGIN_NAMES = {0x00: "SET", 0x10: "DROP"}
MESSAGE_NAMES = {0x00: "MESSAGE"}


def identify_brin(info: int) -> str | None:
    """Name of a BRIN record kind."""
    name = BRIN_NAMES.get(info & 0x70)
    return f"{name}+INIT" if info & 0x80 and name in ("INSERT", "UPDATE") else name


def describe_brin(record: DecodedRecord) -> str:
    """Block range summaries (access/brin_xlog.h)."""
    data = record.data
    match record.xl_info & 0x70:
        case 0x00:
            pages, version = struct.unpack_from("<IH", data)
            return f"v{version} pagesPerRange {pages}"
        case 0x10:
            block, pages, off = struct.unpack_from("<IIH", data)
            return f"heapBlk {block} pagesPerRange {pages} offnum {off}"
        case 0x20:
            old, block, pages, off = struct.unpack_from("<H2xIIH", data)
            return f"heapBlk {block} pagesPerRange {pages} old offnum {old}, new offnum {off}"
        case 0x30:
            return f"offnum {struct.unpack_from('<H', data)[0]}"
        case 0x40:
            return f"targetBlk {struct.unpack_from('<I', data)[0]}"
        case 0x50:
            pages, block, off = struct.unpack_from("<IIH", data)
            return f"pagesPerRange {pages}, heapBlk {block}, page offset {off}"
    return ""


def describe_hash(record: DecodedRecord) -> str:
    """Hash indexes (access/hash_xlog.h)."""
    data = record.data
    match record.xl_info & 0xF0:
        case 0x00:
            ntuples, _proc, fill = struct.unpack_from("<dIH", data)
            return f"num_tuples {ntuples:g}, fillfactor {fill}"
        case 0x10:
            return f"bmsize {struct.unpack_from('<H', data)[0]}"
        case 0x20:
            return f"off {struct.unpack_from('<H', data)[0]}"
        case 0x30:
            size, found = struct.unpack_from("<H?", data)
            return f"bmsize {size}, bmpage_found {flag(found)}"
        case 0x40:
            bucket, _old, _new, flags = struct.unpack_from("<IHHB", data)
            return (
                f"new_bucket {bucket}, meta_page_masks_updated {flag(bool(flags & 1))}, "
                f"issplitpoint_changed {flag(bool(flags & 2))}"
            )
        case 0x60:
            return "old_bucket_flag {}, new_bucket_flag {}".format(*struct.unpack_from("<HH", data))
        case 0x70:
            ntuples, primary = struct.unpack_from("<H?", data)
            return f"ntups {ntuples}, is_primary {flag(primary)}"
        case 0x80:
            before, after, ntuples, primary = struct.unpack_from("<IIH?", data)
            return f"prevblkno {before}, nextblkno {after}, ntups {ntuples}, is_primary {flag(primary)}"
        case 0x90:
            clear, primary = struct.unpack_from("<??", data)
            return f"clear_dead_marking {flag(clear)}, is_primary {flag(primary)}"
        case 0xB0:
            return f"ntuples {struct.unpack_from('<d', data)[0]:g}"
        case 0xC0:
            horizon, ntuples, catalog = struct.unpack_from("<IH?", data)
            return f"ntuples {ntuples}, snapshotConflictHorizon {horizon}, isCatalogRel {flag(catalog)}"
    return ""


def describe_origin(record: DecodedRecord) -> str:
    """Replication origins."""
    if record.xl_info & 0xF0 == 0x00:
        lsn, node, force = struct.unpack_from("<QH?", record.data)
        return f"set {node}; lsn {format_lsn(lsn)}; force: {int(force)}"
    return f"drop {struct.unpack_from('<H', record.data)[0]}"


def describe_generic(record: DecodedRecord) -> str:
    """The pieces of pages that a generic record replaces."""
    data = record.data
    at = 0
    out = []
    while at < len(data):
        offset, length = struct.unpack_from("<HH", data, at)
        at += 4 + length
        out.append(f"offset {offset}, length {length}")
    return "; ".join(out)


def describe_message(record: DecodedRecord) -> str:
    """Logical decoding messages."""
    _db, transactional, prefix_size, size = struct.unpack_from("<I?3xQQ", record.data)
    body = record.data[24:]
    prefix = body[: prefix_size - 1].decode("utf-8", "replace")
    payload = " ".join(f"{byte:02X}" for byte in body[prefix_size : prefix_size + size])
    kind = "transactional" if transactional else "non-transactional"
    return f'{kind}, prefix "{prefix}"; payload ({size} bytes): {payload}'


def describe_nothing(record: DecodedRecord) -> str:
    """No description yet."""
    return ""
