"""pg_snapshot and txid_snapshot: which transactions had ended at a moment, by their 64-bit ids."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, register_codec
from tusk.types.registry import CallContext, function, invalid_text

PG_SNAPSHOTOID, TXID_SNAPSHOTOID = 5038, 2970


class SnapshotValue(NamedTuple):
    """All below xmin have ended; none from xmax on had begun; xip are those between that were running, sorted."""

    xmin: int
    xmax: int
    xip: tuple[int, ...]

    def sees(self, xid: int) -> bool:
        """Whether the transaction had ended."""
        if xid < self.xmin:
            return True
        return xid < self.xmax and xid not in self.xip


def parse_snapshot(text: str) -> SnapshotValue:
    """``xmin:xmax:xip,...``; 22P02 unless in order."""
    try:
        low, high, rest = text.split(":")
        xmin, xmax = int(low), int(high)
        running = [int(word) for word in rest.split(",")] if rest else []
    except ValueError:
        raise invalid_text("pg_snapshot", text) from None
    last = 0
    kept: list[int] = []
    for xid in running:
        if not xmin <= xid < xmax or xid < last:
            raise invalid_text("pg_snapshot", text)
        if xid != last:
            kept.append(xid)
        last = xid
    if xmin <= 0 or xmax <= 0 or xmin > xmax:
        raise invalid_text("pg_snapshot", text)
    return SnapshotValue(xmin, xmax, tuple(kept))


class SnapshotCodec(Codec):
    """Count, xmin, xmax, ids: 4 + 8 * (2 + n) bytes; in the wire's order big-endian."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> SnapshotValue:
        count, xmin, xmax = struct.unpack_from("<IQQ", data)
        return SnapshotValue(xmin, xmax, struct.unpack_from(f"<{count}Q", data, 20))

    def to_disk(self, value: Any) -> bytes:
        return struct.pack(f"<IQQ{len(value.xip)}Q", len(value.xip), value.xmin, value.xmax, *value.xip)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> SnapshotValue:
        return parse_snapshot(text)

    def output(self, value: Any) -> str:
        return f"{value.xmin}:{value.xmax}:{','.join(map(str, value.xip))}"

    def receive(self, data: Buffer, typmod: int = -1) -> SnapshotValue:
        count, xmin, xmax = struct.unpack_from(">IQQ", data)
        if len(data) != 20 + 8 * count:
            raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, "invalid external pg_snapshot data")
        running = struct.unpack_from(f">{count}Q", data, 20)
        ordered = list(running) == sorted(set(running)) and all(xmin <= xid < xmax for xid in running)
        if not 0 < xmin <= xmax or not ordered:
            raise SqlError(errcode.INVALID_BINARY_REPRESENTATION, "invalid external pg_snapshot data")
        return SnapshotValue(xmin, xmax, running)

    def send(self, value: Any) -> bytes:
        return struct.pack(f">IQQ{len(value.xip)}Q", len(value.xip), value.xmin, value.xmax, *value.xip)


register_codec(SnapshotCodec, PG_SNAPSHOTOID, TXID_SNAPSHOTOID)


@function("pg_snapshot_xmin")
def _xmin(value: SnapshotValue) -> int:
    return value.xmin


@function("pg_snapshot_xmax")
def _xmax(value: SnapshotValue) -> int:
    return value.xmax


@function("pg_snapshot_xip", set_returning=True)
def _xip(value: SnapshotValue) -> Iterator[int]:
    yield from value.xip


@function("pg_visible_in_snapshot")
def _visible(xid: int, value: SnapshotValue) -> bool:
    return value.sees(xid)
