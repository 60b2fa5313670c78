"""Hash functions of the built-in hash operator classes: Jenkins' lookup3 as PostgreSQL applies it.

Results are stored in hash indexes and decide hash partitions, so they are exactly PostgreSQL's.
"""

import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from tusk.types.collate import is_bytewise, locale_of
from tusk.types.compare import hasher
from tusk.types.intervals import interval_span
from tusk.types.numeric_format import to_digits
from tusk.types.records import columns_of
from tusk.types.registry import CallContext, function, services
from tusk.types.text import encoded
from tusk.types.values import Array, Record, TimeTz

_M32, _M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


def _rot(x: int, k: int) -> int:
    return (x << k | x >> 32 - k) & _M32


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    a = (a - c & _M32) ^ _rot(c, 4)
    c = c + b & _M32
    b = (b - a & _M32) ^ _rot(a, 6)
    a = a + c & _M32
    c = (c - b & _M32) ^ _rot(b, 8)
    b = b + a & _M32
    a = (a - c & _M32) ^ _rot(c, 16)
    c = c + b & _M32
    b = (b - a & _M32) ^ _rot(a, 19)
    a = a + c & _M32
    c = (c - b & _M32) ^ _rot(b, 4)
    b = b + a & _M32
    return a, b, c


def _final(a: int, b: int, c: int) -> tuple[int, int, int]:
    c = (c ^ b) - _rot(b, 14) & _M32
    a = (a ^ c) - _rot(c, 11) & _M32
    b = (b ^ a) - _rot(a, 25) & _M32
    c = (c ^ b) - _rot(b, 16) & _M32
    a = (a ^ c) - _rot(c, 4) & _M32
    b = (b ^ a) - _rot(a, 14) & _M32
    c = (c ^ b) - _rot(b, 24) & _M32
    return a, b, c


def _hash(data: bytes, seed: int) -> tuple[int, int]:
    a = b = c = 0x9E3779B9 + len(data) + 3923095 & _M32
    if seed:
        a, b = a + (seed >> 32) & _M32, b + (seed & _M32) & _M32
        a, b, c = _mix(a, b, c)
    position = 0
    while len(data) - position >= 12:
        x, y, z = struct.unpack_from("<III", data, position)
        a, b, c = _mix(a + x & _M32, b + y & _M32, c + z & _M32)
        position += 12
    rest = data[position:]
    # The last bytes fill a and b from below; c from its second byte, the lowest being for the length.
    a = a + int.from_bytes(rest[:4], "little") & _M32
    b = b + int.from_bytes(rest[4:8], "little") & _M32
    c = c + (int.from_bytes(rest[8:], "little") << 8) & _M32
    a, b, c = _final(a, b, c)
    return b, c


def hash_bytes(data: bytes) -> int:
    """hash_any: 32 bits, unsigned."""
    return _hash(data, 0)[1]


def hash_bytes_extended(data: bytes, seed: int) -> int:
    """hash_any_extended: 64 bits, unsigned."""
    b, c = _hash(data, seed & _M64)
    return b << 32 | c


def _hash_word(word: int, seed: int = 0) -> tuple[int, int]:
    a = b = c = 0x9E3779B9 + 4 + 3923095 & _M32
    if seed:
        a, b = a + (seed >> 32) & _M32, b + (seed & _M32) & _M32
        a, b, c = _mix(a, b, c)
    a = a + word & _M32
    _, b, c = _final(a, b, c)
    return b, c


def hash_uint32(word: int) -> int:
    """hash_uint32: of one 32-bit number."""
    return _hash_word(word & _M32)[1]


def hash_uint32_extended(word: int, seed: int) -> int:
    """hash_uint32_extended."""
    b, c = _hash_word(word & _M32, seed & _M64)
    return b << 32 | c


def _signed(value: int, bits: int = 32) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


def _register(
    name: str, extended: str, words: Callable[[Any], int] | None, data: Callable[[Any], bytes] | None
) -> None:
    """Define a hash function and its seeded form by the word or the bytes it hashes."""
    if words is not None:
        function(name)(lambda value: _signed(hash_uint32(words(value))))
        function(extended)(lambda value, seed: _signed(hash_uint32_extended(words(value), seed), 64))
    elif data is not None:
        function(name)(lambda value: _signed(hash_bytes(data(value))))
        function(extended)(lambda value, seed: _signed(hash_bytes_extended(data(value), seed), 64))


def _fold(value: int) -> int:
    """A 64-bit integer so that equal numbers of all widths hash alike."""
    low, high = value & _M32, value >> 32 & _M32
    return low ^ (high if value >= 0 else ~high & _M32)


def _char_word(value: str) -> int:
    code = ord(value) if value else 0
    return code - 256 if code > 127 else code


for _name, _word in (
    ("hashbool", int), ("hashchar", _char_word), ("hashint2", int), ("hashint4", int), ("hashoid", int),
    ("hashenum", int), ("hashxid", int), ("hashcid", int), ("hashdate", int), ("hashint8", _fold),
    ("hashxid8", _fold),
):  # fmt: skip
    _register(_name, _name + "extended", _word, None)
for _name in ("time_hash", "timestamp_hash", "timestamptz_hash", "pg_lsn_hash"):
    _register(_name, _name + "_extended", _fold, None)
_register("interval_hash", "interval_hash_extended", lambda v: _fold(_wrap64(interval_span(v))), None)


def _wrap64(value: int) -> int:
    return _signed(value & _M64, 64)


def _float_bytes(value: float) -> bytes:
    return struct.pack("<d", float("nan") if value != value else value)


for _name in ("hashfloat4", "hashfloat8"):
    function(_name)(lambda v: 0 if v == 0 else _signed(hash_bytes(_float_bytes(v))))
    function(_name + "extended")(
        lambda v, seed: seed if v == 0 else _signed(hash_bytes_extended(_float_bytes(v), seed), 64)
    )

_register("hashname", "hashnameextended", None, encoded)
_register("hashbytea", "hashbyteaextended", None, bytes)
_register("hashvarlena", "hashvarlenaextended", None, bytes)
_register("uuid_hash", "uuid_hash_extended", None, bytes)
_register("hashtid", "hashtidextended", None, lambda v: struct.pack("<HHH", v.block >> 16, v.block & 0xFFFF, v.offset))
_register("hashoidvector", "hashoidvectorextended", None, lambda v: struct.pack(f"<{len(v)}I", *v.elements))


def _text_bytes(ctx: CallContext, text: str) -> bytes:
    if not is_bytewise(ctx.collation) and not locale_of(ctx.collation)[2]:
        key: bytes = services.call("collation_sort_key", ctx.collation, text)
        return key
    return encoded(text)


function("hashtext", context=True)(lambda ctx, v: _signed(hash_bytes(_text_bytes(ctx, v))))
function("hashtextextended", context=True)(
    lambda ctx, v, seed: _signed(hash_bytes_extended(_text_bytes(ctx, v), seed), 64)
)
function("hashbpchar", context=True)(lambda ctx, v: _signed(hash_bytes(_text_bytes(ctx, v.rstrip(" ")))))
function("hashbpcharextended", context=True)(
    lambda ctx, v, seed: _signed(hash_bytes_extended(_text_bytes(ctx, v.rstrip(" ")), seed), 64)
)


@function("timetz_hash")
def _timetz(value: TimeTz) -> int:
    return _signed(hash_uint32(_fold(value.us)) ^ hash_uint32(value.zone_seconds_west))


@function("timetz_hash_extended")
def _timetz_extended(value: TimeTz, seed: int) -> int:
    first = hash_uint32_extended(_fold(value.us), seed)
    return _signed(first ^ hash_uint32_extended(value.zone_seconds_west, seed), 64)


def _numeric_parts(value: Decimal) -> tuple[bytes, int] | None:
    if not value.is_finite() or not value:
        return None
    digits, weight = to_digits(value)
    return struct.pack(f"<{len(digits)}h", *digits), weight


@function("hash_numeric")
def _numeric(value: Decimal) -> int:
    parts = _numeric_parts(value)
    if parts is None:
        return -1 if value.is_finite() else 0
    return _signed((hash_bytes(parts[0]) ^ parts[1]) & _M32)


@function("hash_numeric_extended")
def _numeric_extended(value: Decimal, seed: int) -> int:
    parts = _numeric_parts(value)
    if parts is None:
        return seed - 1 if value.is_finite() else seed
    return _signed((hash_bytes_extended(parts[0], seed) ^ parts[1]) & _M64, 64)


def _combine(items: Sequence[Any], hash_one: Callable[..., int], bits: int, *seed: int) -> int:
    result = 1
    mask = (1 << bits) - 1
    for item in items:
        result = result * 31 + (0 if item is None else hash_one(item, *seed) & mask) & mask
    return result


@function("hash_array")
def _array(value: Array) -> int:
    return _signed(_combine(value.elements, hasher(value.element_type), 32))


@function("hash_array_extended")
def _array_extended(value: Array, seed: int) -> int:
    return _signed(_combine(value.elements, hasher(value.element_type, True), 64, seed), 64)


def _record_hash(value: Record, extended: bool, *seed: int) -> int:
    bits = 64 if extended else 32
    mask = (1 << bits) - 1
    result = 0
    for column, item in zip(columns_of(value), value.values, strict=True):
        if column.is_dropped:
            continue
        part = 0 if item is None else hasher(column.type_oid, extended)(item, *seed) & mask
        result = (result << 5) - result + part & mask
    return _signed(result, bits)


function("hash_record")(lambda value: _record_hash(value, False))
function("hash_record_extended")(lambda value, seed: _record_hash(value, True, seed))
