"""uuid: formats, comparison, generation of versions 4 and 7."""

import operator
import os
import re
import time
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.calendar import UNIX_EPOCH_SECS, USECS_PER_SEC
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.dates import clock_now
from tusk.types.registry import CallContext, function, invalid_text
from tusk.types.timestamps import timestamptz_plus
from tusk.types.values import Interval

UUIDOID = 2950
_SYNTAX = re.compile(r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")
_GREGORIAN_EPOCH_US = 12219292800 * 1_000_000  # from 1582-10-15 to 1970-01-01


class UuidCodec(Codec):
    """16 bytes."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> bytes:
        return bytes(data)

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> bytes:
        body = text
        if body.startswith("{"):
            if not body.endswith("}"):
                raise invalid_text("uuid", text)
            body = body[1:-1]
        if _SYNTAX.fullmatch(body) is None:
            raise invalid_text("uuid", text)
        return bytes.fromhex(body.replace("-", ""))

    def output(self, value: Any) -> str:
        h: str = value.hex()
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"

    def receive(self, data: Buffer, typmod: int = -1) -> bytes:
        if len(data) != 16:
            raise SqlError(errcode.PROTOCOL_VIOLATION, "insufficient data left in message")
        return bytes(data)

    def send(self, value: Any) -> bytes:
        data: bytes = value
        return data


register_codec(UuidCodec, UUIDOID)

for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    function("uuid_" + _name)(getattr(operator, _name))


@function("uuid_cmp")
def _compare(left: bytes, right: bytes) -> int:
    return (left > right) - (left < right)


def _stamped(data: bytes, version: int) -> bytes:
    changed = bytearray(data)
    changed[6] = changed[6] & 0x0F | version << 4
    changed[8] = changed[8] & 0x3F | 0x80
    return bytes(changed)


@function("gen_random_uuid")
def _random_uuid() -> bytes:
    return _stamped(os.urandom(16), 4)


_last_ns = 0


def _increasing_ns() -> int:
    """Time in nanoseconds, later than any before in this process by at least what 12 bits of fraction resolve."""
    global _last_ns
    _last_ns = max(time.time_ns(), _last_ns + 245)
    return _last_ns


def _version_7(unix_ns: int) -> bytes:
    ms, fraction = divmod(unix_ns, 1_000_000)
    # The 12 bits after the version hold the fraction of the millisecond.
    head = (ms & (1 << 48) - 1) << 16 | fraction * 4096 // 1_000_000
    return _stamped(head.to_bytes(8, "big") + os.urandom(8), 7)


@function("uuidv7")
def _uuid7() -> bytes:
    return _version_7(_increasing_ns())


@function("uuidv7_interval")
def _uuid7_shifted(shift: Interval) -> bytes:
    us = clock_now()
    ns = _increasing_ns() + (timestamptz_plus(us, shift) - us) * 1000
    if not 0 <= ns // 1_000_000 < 1 << 48:
        raise SqlError(errcode.DATETIME_VALUE_OUT_OF_RANGE, "timestamp out of range for UUID version 7")
    return _version_7(ns)


def _variant_is_rfc(value: bytes) -> bool:
    return value[8] & 0xC0 == 0x80


@function("uuid_extract_version")
def _extract_version(value: bytes) -> int | None:
    return value[6] >> 4 if _variant_is_rfc(value) else None


@function("uuid_extract_timestamp")
def _extract_timestamp(value: bytes) -> int | None:
    if not _variant_is_rfc(value):
        return None
    version = value[6] >> 4
    if version == 1:
        low = int.from_bytes(value[:4], "big")
        middle, high = int.from_bytes(value[4:6], "big"), int.from_bytes(value[6:8], "big") & 0x0FFF
        us = (high << 48 | middle << 32 | low) // 10 - _GREGORIAN_EPOCH_US
    elif version == 7:
        us = int.from_bytes(value[:6], "big") * 1000
    else:
        return None
    return us - UNIX_EPOCH_SECS * USECS_PER_SEC
