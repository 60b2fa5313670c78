"""bit and varbit: formats, typmods, bitwise operators, conversion from and to integers."""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.bytea import substring_error
from tusk.types.codec import Buffer, Codec, register_codec, short_message
from tusk.types.integers import parse_int
from tusk.types.registry import CallContext, TypeInfo, function, out_of_range
from tusk.types.values import BitString

BITOID, VARBITOID = 1560, 1562
_MAX_BITS = 83886080


def from_int(number: int, nbits: int) -> BitString:
    """The low ``nbits`` bits of a number."""
    nbytes = (nbits + 7) // 8
    return BitString(nbits, ((number & (1 << nbits) - 1) << nbytes * 8 - nbits).to_bytes(nbytes, "big"))


def to_int(value: BitString) -> int:
    """The bits as an unsigned number."""
    return int.from_bytes(value.data, "big") >> len(value.data) * 8 - value.nbits


class BitCodec(Codec):
    """A bit count and the bits."""

    __slots__ = ("_varying",)

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        self._varying = info.oid == VARBITOID

    def from_disk(self, data: Buffer) -> BitString:
        return BitString(struct.unpack_from("<i", data)[0], bytes(data[4:]))

    def to_disk(self, value: Any) -> bytes:
        return struct.pack("<i", value.nbits) + bytes(value.data)

    def _check(self, value: BitString, typmod: int) -> BitString:
        return _varbit_length(value, typmod, False) if self._varying else _bit_length(value, typmod, False)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> BitString:
        body, base = text, 2
        if text[:1] in ("x", "X"):
            body, base = text[1:], 16
        elif text[:1] in ("b", "B"):
            body = text[1:]
        digits = "0123456789abcdefABCDEF" if base == 16 else "01"
        for character in body:
            if character not in digits:
                kind = "hexadecimal" if base == 16 else "binary"
                raise SqlError(
                    errcode.INVALID_TEXT_REPRESENTATION, f'"{character}" is not a valid {kind} digit'
                )
        nbits = len(body) * (4 if base == 16 else 1)
        return self._check(from_int(int(body, base) if body else 0, nbits), typmod)

    def output(self, value: Any) -> str:
        return format(to_int(value), f"0{value.nbits}b") if value.nbits else ""

    def receive(self, data: Buffer, typmod: int = -1) -> BitString:
        if len(data) < 4:
            raise short_message()
        nbits = struct.unpack_from(">i", data)[0]
        if nbits < 0:
            raise SqlError(
                errcode.INVALID_BINARY_REPRESENTATION, "invalid length in external bit string"
            )
        if len(data) != 4 + (nbits + 7) // 8:
            raise short_message()
        return self._check(from_int(to_int(BitString(nbits, bytes(data[4:]))), nbits), typmod)

    def send(self, value: Any) -> bytes:
        return struct.pack(">i", value.nbits) + bytes(value.data)


def _bit_length(value: BitString, typmod: int, explicit: bool) -> BitString:
    if typmod <= 0 or value.nbits == typmod:
        return value
    if not explicit:
        raise SqlError(
            errcode.STRING_DATA_LENGTH_MISMATCH,
            f"bit string length {value.nbits} does not match type bit({typmod})",
        )
    number, shift = to_int(value), typmod - value.nbits
    return from_int(number << shift if shift > 0 else number >> -shift, typmod)


def _varbit_length(value: BitString, typmod: int, explicit: bool) -> BitString:
    if typmod <= 0 or value.nbits <= typmod:
        return value
    if not explicit:
        raise SqlError(
            errcode.STRING_DATA_RIGHT_TRUNCATION, f"bit string too long for type bit varying({typmod})"
        )
    return from_int(to_int(value) >> value.nbits - typmod, typmod)


register_codec(BitCodec, BITOID, VARBITOID)
function("bit")(_bit_length)
function("varbit")(_varbit_length)


def _typmod_in(name: str) -> Callable[[Sequence[str]], int]:
    def typmod_in(words: Sequence[str]) -> int:
        if len(words) != 1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid type modifier")
        length = parse_int(next(iter(words)), 4)
        if length < 1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"length for type {name} must be at least 1")
        if length > _MAX_BITS:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"length for type {name} cannot exceed {_MAX_BITS}")
        return length

    return typmod_in


function("bittypmodin")(_typmod_in("bit"))
function("varbittypmodin")(_typmod_in("varbit"))


@function("bittypmodout", "varbittypmodout")
def _typmod_out(typmod: int) -> str:
    return f"({typmod})" if typmod >= 0 else ""


@function("bitcmp")
def bit_compare(left: BitString, right: BitString) -> int:
    """Three-way comparison: the bytes, then the length."""
    n = min(len(left.data), len(right.data))
    a, b = left.data[:n], right.data[:n]
    if a != b:
        return 1 if a > b else -1
    return (left.nbits > right.nbits) - (left.nbits < right.nbits)


for _name, _test in (
    ("eq", lambda a, b: bit_compare(a, b) == 0),
    ("ne", lambda a, b: bit_compare(a, b) != 0),
    ("lt", lambda a, b: bit_compare(a, b) < 0),
    ("le", lambda a, b: bit_compare(a, b) <= 0),
    ("gt", lambda a, b: bit_compare(a, b) > 0),
    ("ge", lambda a, b: bit_compare(a, b) >= 0),
):
    function("bit" + _name)(_test)

function("bitlength")(lambda value: value.nbits)
function("bitoctetlength")(lambda value: len(value.data))
function("bit_bit_count")(lambda value: to_int(value).bit_count())


@function("bitcat")
def _cat(left: BitString, right: BitString) -> BitString:
    return from_int(to_int(left) << right.nbits | to_int(right), left.nbits + right.nbits)


def _bitwise(name: str, operation: Callable[[int, int], int]) -> Callable[[BitString, BitString], BitString]:
    def apply(left: BitString, right: BitString) -> BitString:
        if left.nbits != right.nbits:
            raise SqlError(
                errcode.STRING_DATA_LENGTH_MISMATCH, f"cannot {name} bit strings of different sizes"
            )
        return from_int(operation(to_int(left), to_int(right)), left.nbits)

    return apply


function("bit_and")(_bitwise("AND", lambda a, b: a & b))
function("bit_or")(_bitwise("OR", lambda a, b: a | b))
function("bitxor")(_bitwise("XOR", lambda a, b: a ^ b))
function("bitnot")(lambda value: from_int(~to_int(value), value.nbits))


@function("bitshiftleft")
def _shift_left(value: BitString, count: int) -> BitString:
    if count < 0:
        return from_int(to_int(value) >> -count, value.nbits)
    return from_int(to_int(value) << min(count, value.nbits), value.nbits)


@function("bitshiftright")
def _shift_right(value: BitString, count: int) -> BitString:
    return _shift_left(value, -count)


@function("bitsubstr")
def _substring(value: BitString, start: int, length: int) -> BitString:
    if length < 0:
        raise substring_error()
    first = max(start, 1)
    end = min(start + length, value.nbits + 1)
    if first > value.nbits or end <= first:
        return BitString(0, b"")
    return from_int(to_int(value) >> value.nbits + 1 - end, end - first)


@function("bitsubstr_no_len")
def _substring_rest(value: BitString, start: int) -> BitString:
    return _substring(value, max(start, 1), value.nbits)


@function("bitoverlay")
def _overlay(value: BitString, new: BitString, start: int, length: int) -> BitString:
    if start <= 0:
        raise substring_error()
    if start + length > 0x7FFFFFFF:
        raise out_of_range("integer")
    return _cat(_cat(_substring(value, 1, start - 1), new), _substring_rest(value, start + length))


@function("bitoverlay_no_len")
def _overlay_whole(value: BitString, new: BitString, start: int) -> BitString:
    return _overlay(value, new, start, new.nbits)


@function("bitposition")
def _position(value: BitString, part: BitString) -> int:
    if part.nbits == 0:
        return 1 if value.nbits or not part.nbits else 0
    text, wanted = (format(to_int(v), f"0{v.nbits}b") if v.nbits else "" for v in (value, part))
    return text.find(wanted) + 1


def _check_index(value: BitString, index: int) -> int:
    if not 0 <= index < value.nbits:
        raise SqlError(
            errcode.ARRAY_SUBSCRIPT_ERROR, f"bit index {index} out of valid range (0..{value.nbits - 1})"
        )
    return value.nbits - 1 - index


@function("bitgetbit")
def _get_bit(value: BitString, index: int) -> int:
    return to_int(value) >> _check_index(value, index) & 1


@function("bitsetbit")
def _set_bit(value: BitString, index: int, bit: int) -> BitString:
    shift = _check_index(value, index)
    if bit not in (0, 1):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "new bit must be 0 or 1")
    return from_int(to_int(value) & ~(1 << shift) | bit << shift, value.nbits)


@function("bitfromint4", "bitfromint8")
def _from_integer(number: int, typmod: int) -> BitString:
    return from_int(number, typmod if typmod > 0 else 1)


def _to_integer(size: int, name: str) -> Callable[[BitString], int]:
    def convert(value: BitString) -> int:
        if value.nbits > size:
            raise out_of_range(name)
        number = to_int(value)
        return number - (1 << size) if number >> size - 1 else number

    return convert


function("bittoint4")(_to_integer(32, "integer"))
function("bittoint8")(_to_integer(64, "bigint"))
