"""Rows to the client: RowDescription and DataRow messages."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from tusk.backend import client_text, protocol
from tusk.backend.connection import ClientConnection
from tusk.catalog.cache import TYPEOID, lookup
from tusk.commands.destination import ResultColumn
from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.sql.execute._row_encoder import RowEncoder
from tusk.types.codec import codec_for

_NULL = b"\xff\xff\xff\xff"

# Domains of the information schema come first; no pinned type is one.
_FIRST_DOMAIN = 12000


def column_formats(formats: list[int], ncolumns: int) -> list[int]:
    """The format code of each column from Bind's list: none, one for all, or one each."""
    if not formats:
        return [0] * ncolumns
    if len(formats) == 1:
        return formats * ncolumns
    if len(formats) != ncolumns:
        raise SqlError(
            errcode.PROTOCOL_VIOLATION,
            f"bind message has {len(formats)} result formats but query has {ncolumns} columns",
        )
    return formats


def describe(columns: list[ResultColumn], formats: list[int], cache: dict[Any, Any] | None = None) -> bytes:
    """The RowDescription of a result; ``cache`` is a place to keep it as long as the plan lives."""
    if cache is None:
        return _describe(columns, formats)
    key = ("RowDescription", client_text.name, *formats)
    message = cache.get(key)
    if message is None:
        message = cache[key] = _describe(columns, formats)
    return message


def _sent_type(oid: int, typmod: int) -> tuple[int, int]:
    """The type that clients are told: a domain goes by its base type (getBaseTypeAndTypmod)."""
    while oid >= _FIRST_DOMAIN and (row := lookup(TYPEOID, oid)) is not None and row.typtype == "d":
        oid, typmod = row.typbasetype, row.typtypmod
    return oid, typmod


def _describe(columns: list[ResultColumn], formats: list[int]) -> bytes:
    codes = column_formats(formats, len(columns))
    return protocol.row_description(
        (
            column.name,
            column.table_oid,
            column.attribute_number,
            (sent := _sent_type(column.type_oid, column.typmod))[0],
            codec_for(sent[0]).typlen,
            sent[1],
            code,
        )
        for column, code in zip(columns, codes, strict=True)
    )


def _encoder(column: ResultColumn, code: int) -> Callable[[Any], bytes]:
    codec = codec_for(column.type_oid)
    if code == 1:
        if column.type_oid not in client_text.TEXT_TYPES:
            return codec.send
        return lambda value: client_text.to_client_bytes(codec.send(value))
    if code != 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"unsupported format code: {code}")
    output = codec.output

    def encode(value: Any) -> bytes:
        text = output(value)
        return text.encode("utf-8", "surrogateescape") if client_text.is_plain else client_text.from_text(text)

    return encode


class WireDestination:
    """Sends each row as a DataRow. ``with_description``: the simple protocol, which describes every result."""

    def __init__(
        self, connection: ClientConnection, formats: list[int], *, with_description: bool,
        cache: dict[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        self.connection = connection
        self.formats = formats
        self.with_description = with_description
        self._cache = cache
        self._encoders: list[Callable[[Any], bytes]] = []
        self._native: RowEncoder | None = None

    def startup(self, columns: list[ResultColumn]) -> None:
        """Describe the rows where the protocol wants it."""
        self._encoders = self._make_encoders(columns)
        self._native = self._make_native(columns)
        if self.with_description:
            self.connection.send(describe(columns, self.formats, self._cache))

    def _make_encoders(self, columns: list[ResultColumn]) -> list[Callable[[Any], bytes]]:
        key = ("encoders", *self.formats)
        if self._cache is not None and key in self._cache:
            known: list[Callable[[Any], bytes]] = self._cache[key]
            return known
        codes = column_formats(self.formats, len(columns))
        encoders = [_encoder(column, code) for column, code in zip(columns, codes, strict=True)]
        if self._cache is not None:
            self._cache[key] = encoders
        return encoders

    def _make_native(self, columns: list[ResultColumn]) -> RowEncoder | None:
        """The encoder of batches; it depends on settings that shape text forms."""
        if not client_text.is_plain:
            return None
        key = ("native", settings.DateStyle, settings.extra_float_digits, settings.bytea_output, *self.formats)
        if self._cache is not None and key in self._cache:
            known: RowEncoder | None = self._cache[key]
            return known
        native = RowEncoder([c.type_oid for c in columns], column_formats(self.formats, len(columns)))
        if self._cache is not None:
            self._cache[key] = native
        return native

    def receive(self, batch: Any) -> None:
        """Send the rows of a batch."""
        if self._native is None:
            self.receive_rows(batch.rows())
        else:
            self.connection.send(self._native.encode(batch))

    def receive_rows(self, rows: list[tuple[Any, ...]]) -> None:
        """Send rows of Python values."""
        encoders = self._encoders
        header = struct.pack("!h", len(encoders))
        for row in rows:
            parts = [header]
            for value, encode in zip(row, encoders, strict=True):
                if value is None:
                    parts.append(_NULL)
                else:
                    data = encode(value)
                    parts.append(len(data).to_bytes(4, "big"))
                    parts.append(data)
            self.connection.send(protocol.message(b"D", b"".join(parts)))

    def shutdown(self) -> None:
        """Nothing to add: CommandComplete is the session's."""
