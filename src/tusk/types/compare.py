"""Default btree order and hash of values of any type, for functions that work on arrays, rows and "any"."""

from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.registry import CallContext, find_function, services

# Comparison function (by prosrc) of each built-in type's default btree operator class, and hash function of its
# default hash operator class; from pg_amproc.
COMPARISONS: dict[int, tuple[str, str]] = {
    16: ("btboolcmp", "hashbool"),
    17: ("byteacmp", "hashbytea"),
    18: ("btcharcmp", "hashchar"),
    19: ("btnamecmp", "hashname"),
    20: ("btint8cmp", "hashint8"),
    21: ("btint2cmp", "hashint2"),
    23: ("btint4cmp", "hashint4"),
    25: ("bttextcmp", "hashtext"),
    26: ("btoidcmp", "hashoid"),
    27: ("bttidcmp", "hashtid"),
    28: ("", "hashxid"),
    29: ("", "hashcid"),
    30: ("btoidvectorcmp", "hashoidvector"),
    650: ("network_cmp", "hashinet"),
    700: ("btfloat4cmp", "hashfloat4"),
    701: ("btfloat8cmp", "hashfloat8"),
    869: ("network_cmp", "hashinet"),
    1033: ("", "hash_aclitem"),
    1042: ("bpcharcmp", "hashbpchar"),
    1043: ("bttextcmp", "hashtext"),
    1082: ("date_cmp", "hashdate"),
    1083: ("time_cmp", "time_hash"),
    1114: ("timestamp_cmp", "timestamp_hash"),
    1184: ("timestamp_cmp", "timestamptz_hash"),
    1186: ("interval_cmp", "interval_hash"),
    1266: ("timetz_cmp", "timetz_hash"),
    1560: ("bitcmp", ""),
    1562: ("bitcmp", ""),
    1700: ("numeric_cmp", "hash_numeric"),
    2950: ("uuid_cmp", "uuid_hash"),
    3220: ("pg_lsn_cmp", "pg_lsn_hash"),
    3802: ("jsonb_cmp", "jsonb_hash"),
    5069: ("xid8cmp", "hashxid8"),
    2249: ("btrecordcmp", "hash_record"),
}
_REG_TYPES = (24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191)
COMPARISONS.update((oid, COMPARISONS[26]) for oid in _REG_TYPES)


def family_of(type_oid: int) -> tuple[str, str]:
    """Comparison and hash function names for any type; '' where its default operator class does not exist."""
    found = COMPARISONS.get(type_oid)
    if found is not None:
        return found
    info = services.type_info(type_oid)
    if info is None:
        return ("", "")
    if info.typtype == "d":
        return family_of(info.typbasetype)
    if info.typtype == "e":
        return ("enum_cmp", "hashenum")
    if info.typtype == "c":
        return ("btrecordcmp", "hash_record")
    if info.is_array:
        return ("btarraycmp", "hash_array")
    return ("", "")


def comparator(type_oid: int, collation: int = 100) -> Callable[[Any, Any], int]:
    """Three-way comparison of two non-null values of the type; 42883 when it has none."""
    name = family_of(type_oid)[0]
    definition = find_function(name) if name else None
    if definition is None:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f"could not identify a comparison function for type {type_display(type_oid)}",
        )
    if not definition.context:
        call: Callable[[Any, Any], int] = definition.call
        return call
    ctx = CallContext(collation or 100, (type_oid, type_oid), 23)
    return lambda left, right: definition.call(ctx, left, right)


def equality(type_oid: int, collation: int = 100) -> Callable[[Any, Any], bool]:
    """Equality of two non-null values of the type; 42883 when it has none."""
    name = family_of(type_oid)[0]
    if not name:
        if type_oid in (28, 29, 1033):
            return lambda left, right: bool(left == right)
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f"could not identify an equality operator for type {type_display(type_oid)}",
        )
    compare = comparator(type_oid, collation)
    return lambda left, right: compare(left, right) == 0


def hasher(type_oid: int, extended: bool = False) -> Callable[..., int]:
    """Hash function of a type's non-null values; with ``extended`` it takes a seed and gives 64 bits."""
    name = family_of(type_oid)[1]
    suffix = ("_extended" if "_" in name else "extended") if extended else ""
    definition = find_function(name + suffix) if name else None
    if definition is None:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f"could not identify {'an extended' if extended else 'a'} hash function for type {type_display(type_oid)}",
        )
    if not definition.context:
        call: Callable[..., int] = definition.call
        return call
    ctx = CallContext(100, (type_oid,), 23)
    return lambda *arguments: definition.call(ctx, *arguments)


_display: Callable[[int], str] | None = None


def set_type_display(display: Callable[[int], str]) -> None:
    """Install how a type is named in messages; done by `format_type`."""
    global _display
    _display = display


def type_display(type_oid: int) -> str:
    """A type's SQL name for messages."""
    return _display(type_oid) if _display is not None else str(type_oid)
