"""Frontend/backend protocol 3.0 to 3.2: message types, and building the messages a server sends.

Source: manual, "Frontend/Backend Protocol", "Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from traceback import walk_tb

from tusk.errors import Fatal, Message, Panic, Severity, SqlError

PROTOCOL_EARLIEST = 0x00030000
PROTOCOL_LATEST = 0x00030002
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
MAX_STARTUP_PACKET = 10000
MAX_MESSAGE = 0x3FFFFFFF
# Messages whose length is bounded by their nature; anything longer is an attack or garbage.
SMALL_MESSAGES = frozenset(b"SHXcCDEf")
SMALL_LIMIT = 10000

AUTH_OK, AUTH_CLEARTEXT, AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL = 0, 3, 10, 11, 12

_int32 = struct.Struct("!i").pack
_row_field = struct.Struct("!ihihih").pack


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message: type byte, length including itself, body."""
    return kind + _int32(len(body) + 4) + body


_encode_text: Callable[[str, bool], bytes] | None = None


def set_text_encoder(encoder: Callable[[str, bool], bytes] | None) -> None:
    """How strings become bytes: ``encoder(text, whether it is part of an error or notice)``; None for UTF-8."""
    global _encode_text
    _encode_text = encoder


def cstring(text: str, is_report: bool = False) -> bytes:
    """Text with the terminating zero byte."""
    if _encode_text is not None:
        return _encode_text(text, is_report) + b"\0"
    return text.encode("utf-8", "surrogateescape") + b"\0"


def authentication(code: int, data: bytes = b"") -> bytes:
    """An Authentication request, or AuthenticationOk."""
    return message(b"R", _int32(code) + data)


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus."""
    return message(b"S", cstring(name) + cstring(value))


def backend_key_data(pid: int, key: bytes) -> bytes:
    """BackendKeyData: 4 key bytes up to protocol 3.1, 32 from 3.2."""
    return message(b"K", _int32(pid) + key)


def negotiate_protocol_version(unknown_options: Sequence[str]) -> bytes:
    """NegotiateProtocolVersion: the newest version served and the options not understood."""
    body = _int32(PROTOCOL_LATEST) + _int32(len(unknown_options))
    return message(b"v", body + b"".join(cstring(name) for name in unknown_options))


def ready_for_query(status: bytes) -> bytes:
    """ReadyForQuery; status is I, T or E."""
    return b"Z\0\0\0\x05" + status


def command_complete(tag: str) -> bytes:
    """CommandComplete."""
    return message(b"C", tag.encode() + b"\0")


def row_description(columns: Iterable[tuple[str, int, int, int, int, int, int]]) -> bytes:
    """RowDescription. Each column: name, table oid, attribute number, type oid, type length, typmod, format code."""
    fields = [
        cstring(name) + _row_field(_signed(table), attnum, _signed(type_oid), type_length, typmod, format_code)
        for name, table, attnum, type_oid, type_length, typmod, format_code in columns
    ]
    return message(b"T", struct.pack("!h", len(fields)) + b"".join(fields))


def _signed(oid: int) -> int:
    return oid - (1 << 32) if oid >= 1 << 31 else oid


def parameter_description(type_oids: Sequence[int]) -> bytes:
    """ParameterDescription."""
    return message(b"t", struct.pack(f"!H{len(type_oids)}I", len(type_oids), *type_oids))


def notification(pid: int, channel: bytes, payload: bytes) -> bytes:
    """NotificationResponse."""
    return message(b"A", _int32(pid) + channel + b"\0" + payload + b"\0")


def copy_response(kind: bytes, is_binary: bool, ncolumns: int) -> bytes:
    """CopyInResponse (G) or CopyOutResponse (H): one overall and one format code a column."""
    code = 1 if is_binary else 0
    return message(kind, struct.pack(f"!bh{ncolumns}h", code, ncolumns, *([code] * ncolumns)))


PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
PORTAL_SUSPENDED = message(b"s")
EMPTY_QUERY = message(b"I")
COPY_DONE = message(b"c")

_FIELD_CODES = (
    ("detail", b"D"),
    ("hint", b"H"),
    ("position", b"P"),
    ("internal_position", b"p"),
    ("internal_query", b"q"),
    ("context", b"W"),
    ("schema", b"s"),
    ("table", b"t"),
    ("column", b"c"),
    ("datatype", b"d"),
    ("constraint", b"n"),
)


def error_response(error: SqlError | Fatal | Panic, severity: str | None = None) -> bytes:
    """ErrorResponse with every field the error has."""
    level = severity or error.severity
    return _report(b"E", level, error.sqlstate, error.message, error)


def notice_response(notice: Message) -> bytes:
    """NoticeResponse."""
    level = notice.severity.name if notice.severity >= Severity.LOG else "DEBUG"
    return _report(b"N", level, notice.sqlstate, notice.message, notice)


def _report(kind: bytes, severity: str, sqlstate: str, text: str, source: object) -> bytes:
    parts = [b"S", cstring(severity), b"V", cstring(severity), b"C", cstring(sqlstate), b"M", cstring(text, True)]
    for name, code in _FIELD_CODES:
        value = getattr(source, name, None)
        if value:
            parts += [code, cstring(str(value), True)]
    parts += _origin(source)
    parts.append(b"\0")
    return message(kind, b"".join(parts))


def _origin(source: object) -> list[bytes]:
    """File, line and routine that raised an error; empty for what was not raised."""
    if not isinstance(source, BaseException) or source.__traceback__ is None:
        return []
    frame, line = list(walk_tb(source.__traceback__))[-1]
    file = frame.f_code.co_filename.rsplit("/", 1)[-1]
    return [b"F", cstring(file), b"L", cstring(str(line)), b"R", cstring(frame.f_code.co_name)]


def old_style_error(text: str) -> bytes:
    """The error message of protocol 2, for clients too old to understand another."""
    return b"E" + cstring(text)


class MessageReader:
    """Reads the fields of one message body; a short or overlong body is a protocol violation (08P01)."""

    __slots__ = ("body", "position")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.position = 0

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self.body):
            raise SqlError("08P01", "insufficient data left in message")
        piece = self.body[self.position : end]
        self.position = end
        return piece

    def byte(self) -> int:
        """One unsigned byte."""
        if self.position >= len(self.body):
            raise SqlError("08P01", "no data left in message")
        return self._take(1)[0]

    def int16(self) -> int:
        """A signed 16-bit integer."""
        return int.from_bytes(self._take(2), "big", signed=True)

    def uint16(self) -> int:
        """An unsigned 16-bit integer."""
        return int.from_bytes(self._take(2), "big")

    def int32(self) -> int:
        """A signed 32-bit integer."""
        return int.from_bytes(self._take(4), "big", signed=True)

    def uint32(self) -> int:
        """An unsigned 32-bit integer."""
        return int.from_bytes(self._take(4), "big")

    def take(self, count: int) -> bytes:
        """Exactly that many bytes."""
        return self._take(count)

    def cstring(self) -> bytes:
        """The bytes up to a zero byte, which is skipped."""
        end = self.body.find(b"\0", self.position)
        if end < 0:
            raise SqlError("08P01", "invalid string in message")
        piece = self.body[self.position : end]
        self.position = end + 1
        return piece

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self.body) - self.position)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.position != len(self.body):
            raise SqlError("08P01", "invalid message format")
