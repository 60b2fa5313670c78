"""oid, xid, cid, xid8, pg_lsn and tid: formats, comparisons, arithmetic; and the pseudo-types that have text forms."""

import operator
import re
import struct
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, TextBacked, register_codec, short_message
from tusk.types.registry import CallContext, TypeInfo, function, invalid_text, out_of_range, services
from tusk.types.values import Tid

OIDOID, TIDOID, XIDOID, CIDOID, XID8OID, LSNOID = 26, 27, 28, 29, 5069, 3220
CSTRINGOID, UNKNOWNOID, VOIDOID = 2275, 705, 2278

_UNSIGNED = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)[ \t\n\v\f\r]*")


def parse_unsigned(text: str, bits: int, name: str) -> int:
    """An unsigned integer in C's notation (0x hexadecimal, leading 0 octal); negative numbers wrap around."""
    match = _UNSIGNED.fullmatch(text)
    if match is None:
        raise invalid_text(name, text)
    sign, digits = match.groups()
    try:
        if digits[:2].lower() == "0x":
            value = int(digits, 16)
        else:
            value = int(digits, 8 if digits[0] == "0" else 10)
    except ValueError as error:
        raise invalid_text(name, text) from error
    if sign == "-":
        value = (1 << 64) - value
        # Only what fits the signed type of the width may be negative.
        wraps = bits == 64 or value >= (1 << 64) - (1 << 31)
        value = value & ((1 << bits) - 1) if wraps else 1 << bits
    if not 0 <= value < 1 << bits:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f'value "{text}" is out of range for type {name}')
    return value


class UnsignedCodec(Codec):
    """An unsigned integer of four or eight bytes."""

    __slots__ = ("_disk", "_wire")

    def __init__(self, info: TypeInfo) -> None:
        super().__init__(info)
        letter = "I" if info.typlen == 4 else "Q"
        self._disk = struct.Struct("<" + letter)
        self._wire = struct.Struct(">" + letter)

    def from_disk(self, data: Buffer) -> int:
        value: int = self._disk.unpack(data)[0]
        return value

    def to_disk(self, value: Any) -> bytes:
        return self._disk.pack(value)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        return parse_unsigned(text, self.typlen * 8, self.name)

    def output(self, value: Any) -> str:
        return str(value)

    def receive(self, data: Buffer, typmod: int = -1) -> int:
        if len(data) != self.typlen:
            raise short_message()
        value: int = self._wire.unpack(data)[0]
        return value

    def send(self, value: Any) -> bytes:
        return self._wire.pack(value)


_LSN = re.compile(r"([0-9a-fA-F]{1,8})/([0-9a-fA-F]{1,8})")


class LsnCodec(UnsignedCodec):
    """A WAL position as two hexadecimal halves."""

    __slots__ = ()

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> int:
        match = _LSN.fullmatch(text)
        if match is None:
            raise invalid_text("pg_lsn", text)
        return int(match[1], 16) << 32 | int(match[2], 16)

    def output(self, value: Any) -> str:
        return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


_TID = re.compile(r"\(([^,)]*),([^)]*)\).*", re.DOTALL)


class TidCodec(Codec):
    """Block number in two halves of 16 bits, high one first, then the offset number."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Tid:
        high, low, offset = struct.unpack("<HHH", data)
        return Tid(high << 16 | low, offset)

    def to_disk(self, value: Any) -> bytes:
        return struct.pack("<HHH", value.block >> 16, value.block & 0xFFFF, value.offset)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Tid:
        match = _TID.match(text)
        if match is None:
            raise invalid_text("tid", text)
        try:
            block, offset = int(match[1]), int(match[2])
        except ValueError as error:
            raise invalid_text("tid", text) from error
        if not (-(1 << 31) <= block < 1 << 32 and 0 <= offset < 1 << 16):
            raise invalid_text("tid", text)
        return Tid(block & 0xFFFFFFFF, offset)

    def output(self, value: Any) -> str:
        return f"({value.block},{value.offset})"

    def receive(self, data: Buffer, typmod: int = -1) -> Tid:
        if len(data) != 6:
            raise short_message()
        return Tid(*struct.unpack(">IH", data))

    def send(self, value: Any) -> bytes:
        return struct.pack(">IH", value.block, value.offset)


class CstringCodec(TextBacked):
    """cstring and unknown: bare text."""

    __slots__ = ()


class VoidCodec(Codec):
    """void: an empty result."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> None:
        return None

    def to_disk(self, value: Any) -> bytes:
        return bytes(4)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> None:
        return None

    def output(self, value: Any) -> str:
        return ""

    def receive(self, data: Buffer, typmod: int = -1) -> None:
        return None

    def send(self, value: Any) -> bytes:
        return b""


register_codec(UnsignedCodec, OIDOID, XIDOID, CIDOID, XID8OID)
register_codec(LsnCodec, LSNOID)
register_codec(TidCodec, TIDOID)
register_codec(CstringCodec, CSTRINGOID, UNKNOWNOID)
register_codec(VoidCodec, VOIDOID)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _operation = getattr(operator, _name)
    function("oid" + _name, "tid" + _name, "xid8" + _name, "pg_lsn_" + _name)(_operation)


@function("btoidcmp", "bttidcmp", "xid8cmp", "pg_lsn_cmp")
def _compare(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


function("oidlarger", "tidlarger", "xid8_larger", "pg_lsn_larger")(max)
function("oidsmaller", "tidsmaller", "xid8_smaller", "pg_lsn_smaller")(min)


@function("xideq")
def _xid_eq(left: int, right: int) -> bool:
    # The same function serves xid = int4, where a negative number stands for its bits.
    return left & 0xFFFFFFFF == right & 0xFFFFFFFF


@function("xidneq")
def _xid_ne(left: int, right: int) -> bool:
    return left & 0xFFFFFFFF != right & 0xFFFFFFFF


@function("cideq")
def _cid_eq(left: int, right: int) -> bool:
    return left == right


@function("xid8toxid")
def _xid(value: int) -> int:
    return value & 0xFFFFFFFF


@function("xid_age")
def _xid_age(xid: int) -> int:
    if xid < 3:
        return 0x7FFFFFFF
    return _signed(services.call("next_transaction_id") - xid)


@function("mxid_age")
def _multixact_age(xid: int) -> int:
    if xid == 0:
        return 0x7FFFFFFF
    return _signed(services.call("next_multixact_id") - xid)


def _signed(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


@function("pg_lsn_mi", "pg_wal_lsn_diff")
def _lsn_difference(left: int, right: int) -> Decimal:
    return Decimal(left - right)


def _move(lsn: int, nbytes: Decimal, sign: int) -> int:
    if nbytes.is_nan():
        verb = "add NaN to" if sign > 0 else "subtract NaN from"
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f"cannot {verb} pg_lsn")
    if not nbytes.is_finite():
        raise out_of_range("pg_lsn")
    moved = int((lsn + sign * nbytes).to_integral_value(rounding="ROUND_HALF_UP"))
    if not 0 <= moved < 1 << 64:
        raise out_of_range("pg_lsn")
    return moved


@function("pg_lsn_pli")
def _lsn_plus(lsn: int, nbytes: Decimal) -> int:
    return _move(lsn, nbytes, 1)


@function("pg_lsn_mii")
def _lsn_minus(lsn: int, nbytes: Decimal) -> int:
    return _move(lsn, nbytes, -1)


@function("numeric_pg_lsn")
def _lsn_of_numeric(value: Decimal) -> int:
    if not value.is_finite():
        what = "NaN" if value.is_nan() else "infinity"
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"cannot convert {what} to pg_lsn")
    return _move(0, value, 1)


