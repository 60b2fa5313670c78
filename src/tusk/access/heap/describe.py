"""What pg_waldump prints of heap records: their kinds and descriptions (rmgr Heap and Heap2)."""

import struct
from collections.abc import Iterable

HEAP_NAMES = {
    0x00: "INSERT", 0x80: "INSERT+INIT", 0x10: "DELETE", 0x20: "UPDATE", 0xA0: "UPDATE+INIT", 0x30: "TRUNCATE",
    0x40: "HOT_UPDATE", 0xC0: "HOT_UPDATE+INIT", 0x50: "HEAP_CONFIRM", 0x60: "LOCK", 0x70: "INPLACE",
}
HEAP2_NAMES = {
    0x00: "REWRITE", 0x10: "PRUNE_ON_ACCESS", 0x20: "PRUNE_VACUUM_SCAN", 0x30: "PRUNE_VACUUM_CLEANUP",
    0x40: "VISIBLE", 0x50: "MULTI_INSERT", 0xD0: "MULTI_INSERT+INIT", 0x60: "LOCK_UPDATED", 0x70: "NEW_CID",
}
INFOBITS = ((1, "IS_MULTI"), (2, "LOCK_ONLY"), (4, "EXCL_LOCK"), (8, "KEYSHR_LOCK"), (16, "KEYS_UPDATED"))
INIT_PAGE = 0x80

HAS_CONFLICT_HORIZON, HAS_FREEZE_PLANS, HAS_REDIRECTIONS, HAS_DEAD_ITEMS, HAS_NOW_UNUSED_ITEMS = (
    0x08, 0x10, 0x20, 0x40, 0x80)
IS_CATALOG_REL = 0x02


def identify_heap(info: int) -> str | None:
    """The kind of an rmgr Heap record."""
    return HEAP_NAMES.get(info & 0xF0)


def identify_heap2(info: int) -> str | None:
    """The kind of an rmgr Heap2 record."""
    return HEAP2_NAMES.get(info & 0xF0)


def infobits(value: int, key: str) -> str:
    """The bits of a record's infobits_set."""
    return f"{key}: [{', '.join(name for bit, name in INFOBITS if value & bit)}]"


def array(elements: Iterable[object]) -> str:
    """A list as pg_waldump prints it, with a space in front."""
    return f" [{', '.join(str(element) for element in elements)}]"


def lock(data: bytes) -> str:
    """xl_heap_lock, xl_heap_lock_updated and xl_heap_delete."""
    xmax, offset, bits, flags = struct.unpack_from("<IHBB", data)
    return f"xmax: {xmax}, off: {offset}, {infobits(bits, 'infobits')}, flags: 0x{flags:02X}"


def describe_heap(info: int, data: bytes) -> str:
    """The description of an rmgr Heap record from its main data."""
    match info & 0x70:
        case 0x00:
            offset, flags = struct.unpack_from("<HB", data)
            return f"off: {offset}, flags: 0x{flags:02X}"
        case 0x10 | 0x60:
            return lock(data)
        case 0x20 | 0x40:
            old_xmax, old_off, bits, flags, new_xmax, new_off = struct.unpack_from("<IHBBIH", data)
            return (f"old_xmax: {old_xmax}, old_off: {old_off}, {infobits(bits, 'old_infobits')}, "
                    f"flags: 0x{flags:02X}, new_xmax: {new_xmax}, new_off: {new_off}")
        case 0x30:
            _, nrelids, flags = struct.unpack_from("<IIB", data)
            names = [name for bit, name in ((1, "CASCADE"), (2, "RESTART_SEQS")) if flags & bit]
            relids = struct.unpack_from(f"<{nrelids}I", data, 12)
            return f"flags: [{', '.join(names)}], nrelids: {nrelids}, relids:{array(relids)}"
        case 0x50:
            return f"off: {struct.unpack_from('<H', data)[0]}"
        case _:
            return describe_inplace(data)


def describe_inplace(data: bytes) -> str:
    """xl_heap_inplace with its invalidation messages."""
    offset, db, ts, init_file, nmsgs = struct.unpack_from("<HxxIIB3xi", data)
    text = f"off: {offset}"
    if nmsgs <= 0:
        return text
    if init_file:
        text += f"; relcache init file inval dbid {db} tsid {ts}"
    text += "; inval msgs:"
    for i in range(nmsgs):
        at = 20 + 16 * i
        kind, first, second = struct.unpack_from("<bxxxII", data, at)
        if kind >= 0:
            text += f" catcache {kind}"
        elif kind == -1:
            text += f" catalog {second}"
        elif kind == -2:
            text += f" relcache {second}"
        elif kind == -3:
            text += " smgr"
        elif kind == -4:
            text += f" relmap db {first}"
        elif kind == -5:
            text += f" snapshot {second}"
        elif kind == -6:
            text += f" relsync {second}"
        else:
            text += f" unrecognized id {kind}"
    return text


def describe_prune(data: bytes, block_data: bytes | None) -> str:
    """The three XLOG_HEAP2_PRUNE_* records."""
    flags = data[1]
    text = ""
    if flags & HAS_CONFLICT_HORIZON:
        text = f"snapshotConflictHorizon: {struct.unpack_from('<I', data, 2)[0]}"
    text += f", isCatalogRel: {'T' if flags & IS_CATALOG_REL else 'F'}"
    if block_data is None:
        return text
    at = 0
    plans: list[tuple[int, int, int, int]] = []
    lists: list[tuple[int, ...]] = []
    if flags & HAS_FREEZE_PLANS:
        (nplans,) = struct.unpack_from("<H", block_data, at)
        at += 4
        for _ in range(nplans):
            xmax, infomask2, infomask, _flags, ntuples = struct.unpack_from("<IHHBxH", block_data, at)
            plans.append((xmax, infomask, infomask2, ntuples))
            at += 12
    for bit, width in ((HAS_REDIRECTIONS, 2), (HAS_DEAD_ITEMS, 1), (HAS_NOW_UNUSED_ITEMS, 1)):
        items: tuple[int, ...] = ()
        if flags & bit:
            (count,) = struct.unpack_from("<H", block_data, at)
            items = struct.unpack_from(f"<{count * width}H", block_data, at + 2)
            at += 2 + 2 * count * width
        lists.append(items)
    redirected, dead, unused = lists
    text += (f", nplans: {len(plans)}, nredirected: {len(redirected) // 2}, ndead: {len(dead)}, "
             f"nunused: {len(unused)}")
    if plans:
        described = []
        for xmax, infomask, infomask2, ntuples in plans:
            offsets = struct.unpack_from(f"<{ntuples}H", block_data, at)
            at += 2 * ntuples
            described.append(f"{{ xmax: {xmax}, infomask: {infomask}, infomask2: {infomask2}, ntuples: {ntuples}, "
                             f"offsets:{array(offsets)} }}")
        text += f", plans:{array(described)}"
    if redirected:
        pairs = zip(redirected[::2], redirected[1::2], strict=True)
        text += f", redirected:{array(f'{a}->{b}' for a, b in pairs)}"
    if dead:
        text += f", dead:{array(dead)}"
    if unused:
        text += f", unused:{array(unused)}"
    return text


def describe_heap2(info: int, data: bytes, block_data: bytes | None) -> str:
    """The description of an rmgr Heap2 record from its main data and block 0's data (None: an image stands for it)."""
    match info & 0x70:
        case 0x10 | 0x20 | 0x30:
            return describe_prune(data, block_data)
        case 0x40:
            horizon, flags = struct.unpack_from("<IB", data)
            return f"snapshotConflictHorizon: {horizon}, flags: 0x{flags:02X}"
        case 0x50:
            flags, ntuples = struct.unpack_from("<BxH", data)
            text = f"ntuples: {ntuples}, flags: 0x{flags:02X}"
            if block_data is not None and not info & INIT_PAGE:
                text += f", offsets:{array(struct.unpack_from(f'<{ntuples}H', data, 4))}"
            return text
        case 0x60:
            return lock(data)
        case 0x70:
            _, cmin, cmax, combo, spc, db, rel = struct.unpack_from("<IIIIIII", data)
            hi, lo, offset = struct.unpack_from("<HHH", data, 28)
            return (f"rel: {spc}/{db}/{rel}, tid: {hi << 16 | lo}/{offset}, cmin: {cmin}, cmax: {cmax}, "
                    f"combo: {combo}")
        case _:
            return ""
