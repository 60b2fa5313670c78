"""Heap and Heap2 (access/heapam_xlog.h)."""

import struct

from tusk.wal._redo import DecodedRecord
from tusk.wal.descriptions.common import flag, invalidations, offsets

_HEAP = {
    0x00: "INSERT", 0x10: "DELETE", 0x20: "UPDATE", 0x30: "TRUNCATE", 0x40: "HOT_UPDATE", 0x50: "HEAP_CONFIRM",
    0x60: "LOCK", 0x70: "INPLACE",
}  # fmt: skip
_HEAP2 = {
    0x00: "REWRITE", 0x10: "PRUNE_ON_ACCESS", 0x20: "PRUNE_VACUUM_SCAN", 0x30: "PRUNE_VACUUM_CLEANUP", 0x40: "VISIBLE",
    0x50: "MULTI_INSERT", 0x60: "LOCK_UPDATED", 0x70: "NEW_CID",
}  # fmt: skip
_INIT_PAGE = 0x80
_INFOBITS = (
    (0x01, "IS_MULTI"), (0x02, "LOCK_ONLY"), (0x04, "EXCL_LOCK"), (0x08, "KEYSHR_LOCK"), (0x10, "KEYS_UPDATED"),
)  # fmt: skip
_CATALOG_REL, _CONFLICT_HORIZON, _FREEZE_PLANS, _REDIRECTIONS, _DEAD_ITEMS, _NOW_UNUSED = 2, 8, 16, 32, 64, 128


def identify_heap(info: int) -> str | None:
    """Name of a Heap record kind."""
    name = _HEAP.get(info & 0x70)
    return f"{name}+INIT" if info & _INIT_PAGE and name in ("INSERT", "UPDATE", "HOT_UPDATE") else name


def identify_heap2(info: int) -> str | None:
    """Name of a Heap2 record kind."""
    name = _HEAP2.get(info & 0x70)
    return f"{name}+INIT" if info & _INIT_PAGE and name == "MULTI_INSERT" else name


def _infobits(bits: int, key: str = "infobits") -> str:
    return f"{key}: [{', '.join(name for bit, name in _INFOBITS if bits & bit)}]"


def describe_heap(record: DecodedRecord) -> str:
    """What a Heap record says."""
    data = record.data
    match record.xl_info & 0x70:
        case 0x00:
            off, flags = struct.unpack_from("<HB", data)
            return f"off: {off}, flags: 0x{flags:02X}"
        case 0x10:
            xmax, off, bits, flags = struct.unpack_from("<IHBB", data)
            return f"xmax: {xmax}, off: {off}, {_infobits(bits)}, flags: 0x{flags:02X}"
        case 0x20 | 0x40:
            old_xmax, old_off, bits, flags, new_xmax, new_off = struct.unpack_from("<IHBBIH", data)
            return (
                f"old_xmax: {old_xmax}, old_off: {old_off}, {_infobits(bits, 'old_infobits')}, flags: 0x{flags:02X}, "
                f"new_xmax: {new_xmax}, new_off: {new_off}"
            )
        case 0x30:
            _db, count, flags = struct.unpack_from("<IIB", data)
            words = [word for bit, word in ((1, "CASCADE"), (2, "RESTART_SEQS")) if flags & bit]
            relids = struct.unpack_from(f"<{count}I", data, 12)
            return f"flags: [{', '.join(words)}], nrelids: {count}, relids:{offsets(relids)}"
        case 0x50:
            return f"off: {struct.unpack_from('<H', data)[0]}"
        case 0x60:
            xmax, off, bits, flags = struct.unpack_from("<IHBB", data)
            return f"xmax: {xmax}, off: {off}, {_infobits(bits)}, flags: 0x{flags:02X}"
        case 0x70:
            off, db, spc, init_file, count = struct.unpack_from("<H2xII?3xi", data)
            return f"off: {off}" + invalidations(count, data[20:], db, spc, init_file)
    return ""


def _plan(plan: tuple[int, ...], its_offsets: tuple[int, ...]) -> str:
    xmax, infomask2, infomask, _flags, ntuples = plan
    return (
        f"{{ xmax: {xmax}, infomask: {infomask}, infomask2: {infomask2}, ntuples: {ntuples}, "
        f"offsets:{offsets(its_offsets)} }}"
    )


def _prune_items(data: bytes, flags: int) -> str:
    """The parts of block data: freeze plans, redirections, dead and unused items."""
    at = 0
    plans: list[tuple[int, ...]] = []
    if flags & _FREEZE_PLANS:
        (count,) = struct.unpack_from("<H", data)
        plans = list(struct.iter_unpack("<IHHBxH", data[4 : 4 + 12 * count]))
        at = 4 + 12 * count

    def take(per_item: int) -> tuple[int, ...]:
        nonlocal at
        (count,) = struct.unpack_from("<H", data, at)
        values = struct.unpack_from(f"<{count * per_item}H", data, at + 2)
        at += 2 + 2 * count * per_item
        return values

    redirected = take(2) if flags & _REDIRECTIONS else ()
    dead = take(1) if flags & _DEAD_ITEMS else ()
    unused = take(1) if flags & _NOW_UNUSED else ()
    out = f", nplans: {len(plans)}, nredirected: {len(redirected) // 2}, ndead: {len(dead)}, nunused: {len(unused)}"
    if plans:
        described = []
        for plan in plans:
            described.append(_plan(plan, struct.unpack_from(f"<{plan[4]}H", data, at)))
            at += 2 * plan[4]
        out += ", plans:" + offsets(described)
    if redirected:
        pairs = zip(redirected[::2], redirected[1::2], strict=True)
        out += ", redirected:" + offsets(f"{old}->{new}" for old, new in pairs)
    if dead:
        out += ", dead:" + offsets(dead)
    if unused:
        out += ", unused:" + offsets(unused)
    return out


def _block_data(record: DecodedRecord) -> bytes | None:
    block = record.block(0)
    return block["data"] if block is not None and block["has_data"] else None


def describe_heap2(record: DecodedRecord) -> str:
    """What a Heap2 record says."""
    data = record.data
    match record.xl_info & 0x70:
        case 0x10 | 0x20 | 0x30:
            flags = data[1]
            out = ""
            if flags & _CONFLICT_HORIZON:
                out = f"snapshotConflictHorizon: {struct.unpack_from('<I', data, 2)[0]}"
            out += f", isCatalogRel: {flag(bool(flags & _CATALOG_REL))}"
            items = _block_data(record)
            return out + (_prune_items(items, flags) if items is not None else "")
        case 0x40:
            horizon, flags = struct.unpack_from("<IB", data)
            return f"snapshotConflictHorizon: {horizon}, flags: 0x{flags:02X}"
        case 0x50:
            flags, ntuples = struct.unpack_from("<BxH", data)
            out = f"ntuples: {ntuples}, flags: 0x{flags:02X}"
            if _block_data(record) is not None and not record.xl_info & _INIT_PAGE:
                out += ", offsets:" + offsets(struct.unpack_from(f"<{ntuples}H", data, 4))
            return out
        case 0x60:
            xmax, off, bits, flags = struct.unpack_from("<IHBB", data)
            return f"xmax: {xmax}, off: {off}, {_infobits(bits)}, flags: 0x{flags:02X}"
        case 0x70:
            _top, cmin, cmax, combo, spc, db, rel, high, low, off = struct.unpack_from("<IIIIIIIHHH", data)
            return f"rel: {spc}/{db}/{rel}, tid: {high << 16 | low}/{off}, cmin: {cmin}, cmax: {cmax}, combo: {combo}"
    return ""
