"""bytea: formats, comparison, substrings, bits and bytes."""

import operator
import re
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.registry import CallContext, function, setting

BYTEAOID = 17

_ESCAPE = re.compile(rb"\\(\\|[0-3][0-7][0-7])|\\")


def parse_bytea(text: str) -> bytes:
    """Value of the hex (``\\x...``) or escape form."""
    if text.startswith("\\x"):
        return parse_hex(text[2:])
    data = text.encode("utf-8", "surrogateescape")
    if b"\\" not in data:
        return data

    def unescape(match: re.Match[bytes]) -> bytes:
        body = match[1]
        if body is None:
            raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
        return b"\\" if body == b"\\" else bytes((int(body, 8),))

    return _ESCAPE.sub(unescape, data)


def parse_hex(text: str) -> bytes:
    """Bytes of hexadecimal digits; white space may stand between bytes."""
    try:
        if text.isascii() and not any(c in text for c in " \t\n\r\v\f"):
            return bytes.fromhex(text)
    except ValueError:
        pass
    result = bytearray()
    position = 0
    while position < len(text):
        first = text[position]
        if first in " \t\n\r":
            position += 1
            continue
        high = _hex_digit(first)
        if position + 1 >= len(text):
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid hexadecimal data: odd number of digits")
        result.append(high << 4 | _hex_digit(text[position + 1]))
        position += 2
    return bytes(result)


def _hex_digit(character: str) -> int:
    value = "0123456789abcdef".find(character.lower())
    if value < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid hexadecimal digit: "{character}"')
    return value


def escape_text(data: bytes) -> str:
    """The escape form: backslash doubled, bytes outside printable ASCII as octal."""
    return "".join(
        "\\\\" if byte == 0x5C else chr(byte) if 0x20 <= byte <= 0x7E else f"\\{byte:03o}" for byte in data
    )


def bytea_text(value: bytes) -> str:
    """Text form as ``bytea_output`` wants it."""
    if setting("bytea_output", "hex") == "escape":
        return escape_text(value)
    return "\\x" + value.hex()


class ByteaCodec(Codec):
    """Bytes as they are."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> bytes:
        return bytes(data)

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> bytes:
        return parse_bytea(text)

    def output(self, value: Any) -> str:
        return bytea_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> bytes:
        return bytes(data)

    def send(self, value: Any) -> bytes:
        data: bytes = value
        return data


register_codec(ByteaCodec, BYTEAOID)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    function("bytea" + _name)(getattr(operator, _name))
function("bytea_larger")(max)
function("bytea_smaller")(min)
function("byteacat")(operator.add)
function("byteaoctetlen")(len)


@function("byteacmp")
def _compare(left: bytes, right: bytes) -> int:
    return (left > right) - (left < right)


def substring_error() -> SqlError:
    """22011: a negative length."""
    return SqlError(errcode.SUBSTRING_ERROR, "negative substring length not allowed")


@function("bytea_substr")
def _substring(data: bytes, start: int, length: int) -> bytes:
    if length < 0:
        raise substring_error()
    end = start - 1 + length
    return data[max(start - 1, 0) : max(end, 0)]


@function("bytea_substr_no_len")
def _substring_rest(data: bytes, start: int) -> bytes:
    return data[max(start - 1, 0) :]


@function("byteaoverlay")
def _overlay(data: bytes, new: bytes, start: int, length: int) -> bytes:
    if start <= 0:
        raise substring_error()
    end = start + length
    if end > 0x7FFFFFFF:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")
    return data[: start - 1] + new + data[max(end - 1, 0) :]


@function("byteaoverlay_no_len")
def _overlay_whole(data: bytes, new: bytes, start: int) -> bytes:
    return _overlay(data, new, start, len(new))


@function("byteapos")
def _position(data: bytes, part: bytes) -> int:
    return data.find(part) + 1


@function("byteatrim")
def _trim(data: bytes, characters: bytes) -> bytes:
    return data.strip(characters) if characters else data


@function("bytealtrim")
def _trim_left(data: bytes, characters: bytes) -> bytes:
    return data.lstrip(characters) if characters else data


@function("byteartrim")
def _trim_right(data: bytes, characters: bytes) -> bytes:
    return data.rstrip(characters) if characters else data


@function("bytea_reverse")
def _reverse(data: bytes) -> bytes:
    return data[::-1]


@function("bytea_bit_count")
def _bit_count(data: bytes) -> int:
    return int.from_bytes(data, "big").bit_count()


def _check_index(index: int, count: int) -> None:
    if not 0 <= index < count:
        raise SqlError(
            errcode.ARRAY_SUBSCRIPT_ERROR, f"index {index} out of valid range, 0..{count - 1}"
        )


@function("byteaGetByte")
def _get_byte(data: bytes, index: int) -> int:
    _check_index(index, len(data))
    return data[index]


@function("byteaGetBit")
def _get_bit(data: bytes, index: int) -> int:
    _check_index(index, len(data) * 8)
    return data[index // 8] >> index % 8 & 1


@function("byteaSetByte")
def _set_byte(data: bytes, index: int, value: int) -> bytes:
    _check_index(index, len(data))
    return data[:index] + bytes((value & 0xFF,)) + data[index + 1 :]


@function("byteaSetBit")
def _set_bit(data: bytes, index: int, value: int) -> bytes:
    _check_index(index, len(data) * 8)
    if value not in (0, 1):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "new bit must be 0 or 1")
    changed = bytearray(data)
    mask = 1 << index % 8
    changed[index // 8] = changed[index // 8] | mask if value else changed[index // 8] & ~mask
    return bytes(changed)
