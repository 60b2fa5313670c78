"""Text between the client and the server: from and to ``client_encoding`` (pg_client_to_server, pg_server_to_client).

Inside, text is Unicode. ``is_plain`` says that the client's bytes are UTF-8 (or SQL_ASCII: bytes as they are), so that
rows may be encoded without going through Python strings.
"""

from __future__ import annotations

from typing import Any

from tusk.backend import protocol
from tusk.config import on_assign
from tusk.types import encoding
from tusk.types.codec import invalid_encoding

is_plain = True
name = "UTF8"
_codec = "utf-8"
# Types whose binary form is text in the client's encoding: bytea's kin are not among them.
TEXT_TYPES = frozenset({18, 19, 25, 114, 705, 1042, 1043, 2275})


@on_assign("client_encoding")
def _assign(value: Any) -> None:
    global is_plain, name, _codec
    number = encoding.encoding_number(str(value))
    name, _codec, _ = encoding.ENCODINGS[number] if number >= 0 else ("UTF8", "utf-8", 4)
    if name == "SQL_ASCII":
        _codec = "utf-8"
    is_plain = _codec == "utf-8"
    protocol.set_text_encoder(None if is_plain else _encode_for_message)


def to_text(data: bytes) -> str:
    """Text from the client. 22021 for bytes that are not in the encoding, 22P05 for what has no Unicode character."""
    shown = "UTF8" if is_plain else name
    if b"\0" in data:
        raise invalid_encoding(data, data.index(b"\0"), shown)
    return encoding.decode(data, shown, _codec)


def from_text(text: str) -> bytes:
    """Text for the client; 22P05 for a character that its encoding does not have."""
    return encoding.encode(text, "UTF8" if is_plain else name, _codec)


def _encode_for_message(text: str, is_report: bool) -> bytes:
    """A string of a message. An error that cannot be told exactly is better told with question marks."""
    return text.encode(_codec, "replace") if is_report else from_text(text)


def to_server_bytes(data: bytes) -> bytes:
    """The binary form of a text value from the client."""
    return data if is_plain else to_text(data).encode()


def to_client_bytes(data: bytes) -> bytes:
    """The binary form of a text value for the client."""
    return data if is_plain else from_text(data.decode())
