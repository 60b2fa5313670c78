"""int2, int4, int8: formats, arithmetic with overflow checks, bits, casts among themselves, int2vector is in arrays."""

import math
import operator
import struct
from collections.abc import Callable, Iterator
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.registry import CallContext, TypeInfo, division_by_zero, function, invalid_text, out_of_range

INT8OID, INT2OID, INT4OID = 20, 21, 23
SQL_NAMES = {2: "smallint", 4: "integer", 8: "bigint"}
_SPACE = " \t\n\v\f\r"
_PREFIXES = {"0x": 16, "0o": 8, "0b": 2}


def parse_int(text: str, size: int) -> int:
    """An integer of ``size`` bytes: decimal, 0x, 0o or 0b, single underscores between digits."""
    name = SQL_NAMES[size]
    digits = text.strip(_SPACE)
    if not digits.isascii():
        raise invalid_text(name, text)
    sign = digits[:1]
    body = digits[1:] if sign in ("-", "+") else digits
    base = _PREFIXES.get(body[:2].lower(), 10)
    if base != 10:
        body = body[2:].removeprefix("_")
    if not body or not body[0].isalnum() or any(c in _SPACE for c in body):
        raise invalid_text(name, text)
    try:
        value = int(body, base)
    except ValueError as error:
        raise invalid_text(name, text) from error
    if sign == "-":
        value = -value
    bound = 1 << (size * 8 - 1)
    if not -bound <= value < bound:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f'value "{text}" is out of range for type {name}')
    return value


class IntCodec(Codec):
    """Two's complement; little-endian on disk, big-endian on the wire."""

    __slots__ = ("_disk", "_size", "_wire")

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self._size = info.typlen
        letter = {2: "h", 4: "i", 8: "q"}[info.typlen]
        self._disk = struct.Struct("<" + letter)
        self._wire = struct.Struct(">" + letter)

    def from_disk(self, data: Buffer) -> int:
        value: int = self._disk.unpack(data)[0]
        return value

    def to_disk(self, value: Any) -> bytes:
        return self._disk.pack(value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        return parse_int(text, self._size)

    def output(self, value: Any) -> str:
        return str(value)

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        if len(data) != self._size:
            raise short_message()
        value: int = self._wire.unpack(data)[0]
        return value

    def send(self, value: Any) -> bytes:
        return self._wire.pack(value)


register_codec(IntCodec, INT2OID, INT4OID, INT8OID)


def truncated_div(dividend: int, divisor: int) -> int:
    """Quotient rounded toward zero."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def check_range(value: int, size: int) -> int:
    """The value, if it fits an integer of ``size`` bytes; else 22003."""
    bound = 1 << (size * 8 - 1)
    if -bound <= value < bound:
        return value
    raise out_of_range(SQL_NAMES[size])


def _checked(operation: Callable[[int, int], int], size: int) -> Callable[[int, int], int]:
    bound = 1 << (size * 8 - 1)
    name = SQL_NAMES[size]

    def calculate(left: int, right: int) -> int:
        value = operation(left, right)
        if -bound <= value < bound:
            return value
        raise out_of_range(name)

    return calculate


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise division_by_zero()
    return truncated_div(left, right)


def _modulo(left: int, right: int) -> int:
    if right == 0:
        raise division_by_zero()
    return left - right * truncated_div(left, right)


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "pl": operator.add,
    "mi": operator.sub,
    "mul": operator.mul,
    "div": _divide,
}


def _compare(left: int, right: int) -> int:
    return (left > right) - (left < right)


def _register_pairs() -> None:
    for left, right in ((2, 2), (4, 4), (8, 8), (2, 4), (4, 2), (2, 8), (8, 2), (4, 8), (8, 4)):
        pair = f"int{left}" if left == right else f"int{left}{right}"
        for name, operation in _ARITHMETIC.items():
            function(pair + name)(_checked(operation, max(left, right)))
        for name in ("eq", "ne", "lt", "le", "gt", "ge"):
            function(pair + name)(getattr(operator, name))
        function("bt" + pair + "cmp")(_compare)
    for size in (2, 4, 8):
        _register_size(size)


def _register_size(size: int) -> None:
    name = f"int{size}"
    bits = size * 8

    def absolute(value: int) -> int:
        return check_range(abs(value), size)

    def negative(value: int) -> int:
        return check_range(-value, size)

    def shift_left(value: int, count: int) -> int:
        # C shifts an int2 as an int and lets the machine mask the count.
        shifted = value << (count & (63 if size == 8 else 31))
        shifted &= (1 << bits) - 1
        return shifted - (1 << bits) if shifted >> (bits - 1) else shifted

    def shift_right(value: int, count: int) -> int:
        return value >> (count & (63 if size == 8 else 31))

    function(name + "mod")(_modulo)
    function(name + "abs")(absolute)
    function(name + "um")(negative)
    function(name + "up")(operator.pos)
    function(name + "and")(operator.and_)
    function(name + "or")(operator.or_)
    function(name + "xor")(operator.xor)
    function(name + "not")(operator.invert)
    function(name + "shl")(shift_left)
    function(name + "shr")(shift_right)
    function(name + "larger")(max)
    function(name + "smaller")(min)
    if size > 2:

        def gcd(left: int, right: int) -> int:
            return check_range(math.gcd(left, right), size)

        def lcm(left: int, right: int) -> int:
            return check_range(math.lcm(left, right), size)

        def increment(value: int) -> int:
            return check_range(value + 1, size)

        function(name + "gcd")(gcd)
        function(name + "lcm")(lcm)
        function(name + "inc")(increment)


_register_pairs()


def _same(value: int) -> int:
    return value


def _narrow(size: int) -> Callable[[int], int]:
    def narrow(value: int) -> int:
        return check_range(value, size)

    return narrow


function("i2toi4", "int28", "int48", "oidtoi8")(_same)
function("i4toi2", "int82")(_narrow(2))
function("int84")(_narrow(4))


@function("i8tooid")
def _int8_oid(value: int) -> int:
    if not 0 <= value < 1 << 32:
        raise out_of_range("OID")
    return value


@function("int8inc_any")
def _increment_any(count: int, value: Any) -> int:
    return check_range(count + 1, 8)


@function("int8inc_float8_float8")
def _increment_pair(count: int, y: float, x: float) -> int:
    return check_range(count + 1, 8)


@function("int8dec")
def _decrement(count: int) -> int:
    return check_range(count - 1, 8)


@function("int8dec_any")
def _decrement_any(count: int, value: Any) -> int:
    return check_range(count - 1, 8)


def _unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


for _bits in (32, 64):
    function(f"to_hex{_bits}")(lambda value, bits=_bits: format(_unsigned(value, bits), "x"))
    function(f"to_oct{_bits}")(lambda value, bits=_bits: format(_unsigned(value, bits), "o"))
    function(f"to_bin{_bits}")(lambda value, bits=_bits: format(_unsigned(value, bits), "b"))


def _bytes(size: int) -> Callable[[int], bytes]:
    return lambda value: value.to_bytes(size, "big", signed=True)


for _size in (2, 4, 8):
    function(f"int{_size}_bytea")(_bytes(_size))


def _from_bytes(size: int) -> Callable[[bytes], int]:
    def convert(value: bytes) -> int:
        if len(value) > size:
            raise out_of_range(SQL_NAMES[size])
        # PostgreSQL accumulates the bytes unsigned: only a full-length value can be negative.
        return int.from_bytes(value, "big", signed=len(value) == size)

    return convert


for _size in (2, 4, 8):
    function(f"bytea_int{_size}")(_from_bytes(_size))


def _series(start: int, stop: int, step: int, bound: int) -> Iterator[int]:
    if step == 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "step size cannot equal zero")
    yield from range(start, stop + (1 if step > 0 else -1), step)


for _size in (4, 8):
    function(f"generate_series_int{_size}", set_returning=True)(
        lambda start, stop, size=_size: _series(start, stop, 1, size)
    )
    function(f"generate_series_step_int{_size}", set_returning=True)(
        lambda start, stop, step, size=_size: _series(start, stop, step, size)
    )


def _register_in_range(size: int, offset_size: int) -> None:
    bound = 1 << (size * 8 - 1)

    def in_range(value: int, base: int, offset: int, sub: bool, less: bool) -> bool:
        if offset < 0:
            raise SqlError(
                errcode.INVALID_PRECEDING_OR_FOLLOWING_SIZE, "invalid preceding or following size in window function"
            )
        limit = base - offset if sub else base + offset
        if not -bound <= limit < bound:
            # An end beyond the type's range includes everything on that side.
            return not less if sub else less
        return value <= limit if less else value >= limit

    function(f"in_range_int{size}_int{offset_size}")(in_range)


for _size in (2, 4, 8):
    for _offset in (2, 4, 8):
        _register_in_range(_size, _offset)
