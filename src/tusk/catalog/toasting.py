"""Which tables get a TOAST table, and making it (catalog/toasting.c)."""

from __future__ import annotations

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.heap import TOAST_NAMESPACE, Column, create_relation
from tusk.catalog.index import create_index
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.session import session

TOAST_TUPLE_THRESHOLD = 2032


def needs_toast_table(relid: int) -> bool:
    """Whether rows can become too wide for a page without one (heapam_relation_needs_toast_table)."""
    size = 0
    has_varlena = unlimited = False
    for row in sorted((r for r in scan_rows("pg_attribute", attrelid=relid) if r.attnum > 0), key=lambda r: r.attnum):
        if row.attisdropped or row.attgenerated == "v":
            continue
        align = {"c": 1, "s": 2, "i": 4, "d": 8}[row.attalign]
        size = (size + align - 1) // align * align
        if row.attlen > 0:
            size += row.attlen
            continue
        limit = _maximum_size(row.atttypid, row.atttypmod)
        if limit < 0:
            unlimited = True
        else:
            size += limit
        if row.attstorage != "p":
            has_varlena = True
    if not has_varlena:
        return False
    if unlimited:
        return True
    return ((23 + 7) // 8 * 8) + (size + 7) // 8 * 8 > TOAST_TUPLE_THRESHOLD


def _maximum_size(type_oid: int, typmod: int) -> int:
    """The most bytes a value can take, -1 if there is no limit (type_maximum_size)."""
    if typmod < 0:
        return -1
    if type_oid in (1042, 1043):
        return typmod * 4
    if type_oid == 1700:
        precision = (typmod - 4) >> 16 & 0xFFFF
        scale = (typmod - 4) & 0x7FF
        digits = (precision + 3) // 4 + (scale + 3) // 4 if scale < 1024 else (precision + 3) // 4
        return 8 + (digits + 1) * 2
    if type_oid in (1560, 1562):
        return (typmod + 7) // 8 + 8
    return -1


def create_toast_table(relid: int, options: tuple[str, ...] | None = None) -> bool:
    """Give a table its TOAST table where it needs one and has none (create_toast_table); True if it did."""

    row = lookup(c.RELOID, relid)
    if row.reltoastrelid or row.relkind not in "rm" or not needs_toast_table(relid):
        return False
    temporary = row.relpersistence == "t"
    namespace = session.temp_toast_namespace_id if temporary else TOAST_NAMESPACE
    columns = [
        Column("chunk_id", 26), Column("chunk_seq", 23), Column("chunk_data", 17, storage="p"),
    ]  # fmt: skip
    toast = create_relation(
        f"pg_toast_{relid}", namespace, columns, relkind="t", persistence=row.relpersistence,
        tablespace=row.reltablespace, owner=row.relowner, options=options, use_default_acl=False,
        shared=row.relisshared,
    )  # fmt: skip
    create_index(
        toast, f"pg_toast_{relid}_index", [1, 2], opclasses=[1981, 1978], collations=[0, 0], unique=True, primary=True,
        toast_index=True,
    )  # fmt: skip
    row = lookup(c.RELOID, relid)
    update_row(row.copy(reltoastrelid=toast), row)
    dep.record_dependency(ObjectAddress(oa.CLASS, toast), ObjectAddress(oa.CLASS, relid), dep.INTERNAL)
    command_counter_increment()
    return True
