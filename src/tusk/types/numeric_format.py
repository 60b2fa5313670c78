"""numeric: the text, disk and binary formats, and typmods.

A value is a Decimal whose exponent is minus the display scale. On disk it is base-10000 digits behind a two-byte
(short) or four-byte (long) header; leading and trailing zero digits are not stored (utils/adt/numeric.c describes it).
"""

import re
import struct
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.integers import parse_int
from tusk.types.registry import CallContext, function, invalid_text

NUMERICOID = 1700

# Exact for everything a numeric can hold: 131072 digits before the point and 16383 after it.
EXACT = Context(
    prec=400000,
    rounding=ROUND_HALF_UP,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)

MAX_SCALE = 16383
MAX_WEIGHT = 0x7FFF
_NEGATIVE, _SHORT, _SPECIAL = 0x4000, 0x8000, 0xC000
_NAN, _POSITIVE_INFINITY, _NEGATIVE_INFINITY = 0xC000, 0xD000, 0xF000

NAN, INFINITY, NEGATIVE_INFINITY = Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")
ZERO = Decimal(0)
_SPECIALS = {"nan": NAN, "inf": INFINITY, "infinity": INFINITY, "+inf": INFINITY, "+infinity": INFINITY,
             "-inf": NEGATIVE_INFINITY, "-infinity": NEGATIVE_INFINITY}  # fmt: skip
_SYNTAX = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)"
    r"(?:[eE]([+-]?[0-9](?:_?[0-9])*))?"
)
_PREFIXED = re.compile(r"([+-]?)0(?:[xX]((?:_?[0-9a-fA-F])+)|[oO]((?:_?[0-7])+)|[bB]((?:_?[01])+))")
_SPACE = " \t\n\v\f\r"


def overflow() -> SqlError:
    """22003: more digits than a numeric can have."""
    return SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")


def make(coefficient: int, scale: int) -> Decimal:
    """The value coefficient * 10**-scale, shown with ``scale`` fractional digits."""
    return Decimal(coefficient).scaleb(-scale, EXACT) if scale else Decimal(coefficient)


def scale_of(value: Decimal) -> int:
    """Display scale of a finite value."""
    return -value.as_tuple().exponent  # type: ignore[operator]  # finite: the exponent is an int


def coefficient_of(value: Decimal, scale: int) -> int:
    """The integer value * 10**scale; ``scale`` is at least the value's own."""
    return int(value.scaleb(scale, EXACT))


def rescale(value: Decimal, scale: int) -> Decimal:
    """Round half away from zero to ``scale`` fractional digits, or pad to them. -0 becomes 0."""
    result = value.quantize(Decimal((0, (1,), -scale)), ROUND_HALF_UP, EXACT)
    return result if result else abs(result)


def parse_numeric(text: str) -> Decimal:
    """Value of the text form, without typmod."""
    body = text.strip(_SPACE)
    match = _SYNTAX.fullmatch(body)
    if match is None:
        return _parse_rare(body, text)
    exponent = match[1]
    if exponent is None:
        value = Decimal(body)
    else:
        if abs(int(exponent)) > 0x3FFFFFFF:
            raise overflow()
        value = Decimal(body)
    return check_limits(value if value else value.copy_abs())


def _parse_rare(body: str, text: str) -> Decimal:
    special = _SPECIALS.get(body.lower())
    if special is not None:
        return special
    match = _PREFIXED.fullmatch(body)
    if match is None:
        raise invalid_text("numeric", text)
    sign, hexadecimal, octal, binary = match.groups()
    digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (binary, 2)
    value = int(digits.replace("_", ""), base)
    return check_limits(Decimal(-value if sign == "-" else value))


def check_limits(value: Decimal) -> Decimal:
    """The value with a non-positive exponent and at most MAX_SCALE fractional digits; 22003 if it is too large."""
    exponent = value.as_tuple().exponent
    if exponent == 0:
        return value
    if isinstance(exponent, str):
        return value
    if value and value.adjusted() >= (MAX_WEIGHT + 1) * 4:
        raise overflow()
    if exponent > 0:
        return value.quantize(Decimal(1), ROUND_HALF_UP, EXACT) if value else ZERO
    if -exponent > MAX_SCALE:
        raise overflow()
    return value


def numeric_text(value: Decimal) -> str:
    """Text form: never with an exponent."""
    text = str(value)
    return format(value, "f") if "E" in text else text


def numeric_from_disk(data: Buffer) -> Decimal:
    """Value of the on-disk payload."""
    header = data[0] | data[1] << 8
    if header & _SPECIAL == _SPECIAL:
        return NAN if header == _NAN else NEGATIVE_INFINITY if header & 0x2000 else INFINITY
    if header & _SHORT:
        negative = header & 0x2000
        scale = (header & 0x1F80) >> 7
        weight = (header & 0x3F) - (header & 0x40)
        start = 2
    else:
        negative = header & _NEGATIVE
        scale = header & 0x3FFF
        weight = data[2] | data[3] << 8
        weight -= (weight & 0x8000) << 1
        start = 4
    count = (len(data) - start) // 2
    coefficient = 0
    for digit in struct.unpack_from(f"<{count}h", data, start):
        coefficient = coefficient * 10000 + digit
    return _assemble(coefficient, 4 * (weight - count + 1), scale, bool(negative))


def _assemble(coefficient: int, exponent: int, scale: int, negative: bool) -> Decimal:
    shift = exponent + scale
    if shift > 0:
        coefficient *= 10**shift
    elif shift < 0:
        coefficient //= 10**-shift
    return make(-coefficient if negative else coefficient, scale)


def to_digits(value: Decimal) -> tuple[list[int], int]:
    """Base-10000 digits of a finite value without leading and trailing zeros, and the weight of the first."""
    whole, _, fraction = format(value.copy_abs(), "f").partition(".")
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    text = whole + fraction
    digits = [int(text[i : i + 4]) for i in range(0, len(text), 4)]
    weight = len(whole) // 4 - 1
    start, end = 0, len(digits)
    while start < end and digits[start] == 0:
        start += 1
        weight -= 1
    while end > start and digits[end - 1] == 0:
        end -= 1
    return (digits[start:end], weight) if start < end else ([], 0)


def numeric_to_disk(value: Decimal) -> bytes:
    """On-disk payload."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, str):
        header = _NAN if exponent != "F" else _NEGATIVE_INFINITY if value < 0 else _POSITIVE_INFINITY
        return struct.pack("<H", header)
    digits, weight = to_digits(value)
    negative = bool(digits) and value < 0
    scale = -exponent
    if scale <= 63 and -64 <= weight <= 63:
        header = _SHORT | (0x2000 if negative else 0) | scale << 7 | (weight & 0x7F)
        return struct.pack(f"<H{len(digits)}h", header, *digits)
    if weight > MAX_WEIGHT:
        raise overflow()
    return struct.pack(f"<Hh{len(digits)}h", (_NEGATIVE if negative else 0) | scale, weight, *digits)


def _malformed(what: str) -> SqlError:
    return SqlError(errcode.INVALID_BINARY_REPRESENTATION, f'invalid {what} in external "numeric" value')


def numeric_receive(data: Buffer) -> Decimal:
    """Value of the binary protocol form."""
    if len(data) < 8:
        raise SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")
    count, weight, sign, scale = struct.unpack_from(">HhHH", data)
    if sign == _NAN:
        return NAN
    if sign == _POSITIVE_INFINITY:
        return INFINITY
    if sign == _NEGATIVE_INFINITY:
        return NEGATIVE_INFINITY
    if sign not in (0, _NEGATIVE):
        raise _malformed("sign")
    if scale & 0x3FFF != scale:
        raise _malformed("scale")
    if len(data) != 8 + 2 * count:
        raise SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")
    coefficient = 0
    for digit in struct.unpack_from(f">{count}h", data, 8):
        if not 0 <= digit < 10000:
            raise _malformed("digit")
        coefficient = coefficient * 10000 + digit
    return _assemble(coefficient, 4 * (weight - count + 1), scale, bool(sign and coefficient))


def numeric_send(value: Decimal) -> bytes:
    """Binary protocol form."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, str):
        sign = _NAN if exponent != "F" else _NEGATIVE_INFINITY if value < 0 else _POSITIVE_INFINITY
        # The scale sent with an infinity is what its short header's scale bits happen to be.
        return struct.pack(">HhHH", 0, 0, sign, (sign & 0x1F80) >> 7)
    digits, weight = to_digits(value)
    sign = _NEGATIVE if digits and value < 0 else 0
    return struct.pack(f">HhHH{len(digits)}h", len(digits), weight, sign, -exponent, *digits)


def unpack_typmod(typmod: int) -> tuple[int, int]:
    """Precision and scale of a valid typmod; the scale may be negative."""
    packed = typmod - 4
    return packed >> 16 & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024


def apply_typmod(value: Decimal, typmod: int) -> Decimal:
    """Round to the typmod's scale; 22003 when the precision does not suffice."""
    if typmod < 4:
        return value
    precision, scale = unpack_typmod(typmod)
    if not value.is_finite():
        if value.is_nan():
            return value
        raise SqlError(
            errcode.NUMERIC_VALUE_OUT_OF_RANGE,
            "numeric field overflow",
            detail=f"A field with precision {precision}, scale {scale} cannot hold an infinite value.",
        )
    rounded = rescale(value, scale)
    if scale < 0:
        rounded = rescale(rounded, 0)
    if rounded and rounded.adjusted() >= precision - scale:
        digits = precision - scale
        raise SqlError(
            errcode.NUMERIC_VALUE_OUT_OF_RANGE,
            "numeric field overflow",
            detail=f"A field with precision {precision}, scale {scale} must round to an absolute value less than "
            f"{'10^' if digits else ''}{digits or 1}.",
        )
    return rounded


class NumericCodec(Codec):
    """Arbitrary precision decimal."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Decimal:
        return numeric_from_disk(data)

    def to_disk(self, value: Any) -> bytes:
        return numeric_to_disk(value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Decimal:
        return apply_typmod(parse_numeric(text), typmod)

    def output(self, value: Any) -> str:
        return numeric_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> Decimal:
        return apply_typmod(numeric_receive(data), typmod)

    def send(self, value: Any) -> bytes:
        return numeric_send(value)


register_codec(NumericCodec, NUMERICOID)


@function("numerictypmodin")
def _typmod_in(words: Any) -> int:
    numbers = [_typmod_number(word) for word in words]
    if len(numbers) == 2:
        precision, scale = numbers
    elif len(numbers) == 1:
        precision, scale = numbers[0], 0
    else:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid NUMERIC type modifier")
    if not 1 <= precision <= 1000:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"NUMERIC precision {precision} must be between 1 and 1000")
    if not -1000 <= scale <= 1000:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"NUMERIC scale {scale} must be between -1000 and 1000")
    return (precision << 16 | scale & 0x7FF) + 4


def _typmod_number(word: str) -> int:
    return parse_int(word, 4)


@function("numerictypmodout")
def _typmod_out(typmod: int) -> str:
    if typmod < 4:
        return ""
    precision, scale = unpack_typmod(typmod)
    return f"({precision},{scale})"


@function("numeric")
def _numeric(value: Decimal, typmod: int) -> Decimal:
    return apply_typmod(value, typmod)
