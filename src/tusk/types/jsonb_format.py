"""jsonb: the on-disk format (utils/jsonb.h), text form, order and hashing of keys.

A container is a header word (count and kind), an entry word for each child, then the children's data. Every 32nd entry
holds the end offset of its child, the others their length, so that both compress well and are found quickly.
"""

import struct
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, decode_text, register_codec
from tusk.types.json_parse import parse_tree, validate
from tusk.types.numeric_format import numeric_from_disk, numeric_text, numeric_to_disk, parse_numeric
from tusk.types.registry import CallContext
from tusk.types.values import Jsonb, set_jsonb_format

JSONOID, JSONBOID = 114, 3802

_COUNT_MASK = 0x0FFFFFFF
_FSCALAR, _FOBJECT, _FARRAY = 0x10000000, 0x20000000, 0x40000000
_TYPE_MASK, _HAS_OFFSET, _LENGTH_MASK = 0x70000000, 0x80000000, 0x0FFFFFFF
_STRING, _NUMERIC, _FALSE, _TRUE, _NULL, _CONTAINER = (i << 28 for i in range(6))
_STRIDE = 32
_MAX_COUNT = 0x0FFFFFFF


def key_order(key: str) -> tuple[int, bytes]:
    """Keys are ordered by their length in bytes, then by their bytes."""
    data = key.encode("utf-8", "surrogateescape")
    return len(data), data


def normalise(value: Any) -> Any:
    """The tree with all dicts in key order."""
    if isinstance(value, dict):
        return {key: normalise(value[key]) for key in sorted(value, key=key_order)}
    if isinstance(value, list):
        return [normalise(item) for item in value]
    return value


def encode(tree: Any) -> bytes:
    """On-disk bytes of a tree."""
    out = bytearray()
    if isinstance(tree, dict):
        _encode_object(out, tree)
    elif isinstance(tree, list):
        _encode_array(out, tree, False)
    else:
        _encode_array(out, [tree], True)
    return bytes(out)


def _pad(out: bytearray) -> None:
    out += bytes(-len(out) % 4)


def _encode_array(out: bytearray, items: list[Any], scalar: bool) -> None:
    _pad(out)
    start = len(out)
    out += bytes(4 + 4 * len(items))
    struct.pack_into("<I", out, start, len(items) | _FARRAY | (_FSCALAR if scalar else 0))
    _encode_children(out, start + 4, items, 0, 0)


def _encode_object(out: bytearray, value: dict[str, Any]) -> None:
    _pad(out)
    start = len(out)
    keys = sorted(value, key=key_order)
    out += bytes(4 + 8 * len(keys))
    struct.pack_into("<I", out, start, len(keys) | _FOBJECT)
    total = _encode_children(out, start + 4, keys, 0, 0)
    _encode_children(out, start + 4, [value[key] for key in keys], len(keys), total)


def _encode_children(out: bytearray, entries: int, items: list[Any], first: int, total: int) -> int:
    for index, item in enumerate(items, first):
        before = len(out)
        kind = _encode_value(out, item)
        length = len(out) - before
        total += length
        if total > _LENGTH_MASK:
            raise SqlError(
                errcode.PROGRAM_LIMIT_EXCEEDED,
                f"total size of jsonb {'object' if first else 'array'} elements exceeds the maximum of"
                f" {_LENGTH_MASK} bytes",
            )
        entry = kind | (total | _HAS_OFFSET if index % _STRIDE == 0 else length)
        struct.pack_into("<I", out, entries + 4 * index, entry)
    return total


def _encode_value(out: bytearray, value: Any) -> int:
    if value is None:
        return _NULL
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if isinstance(value, str):
        out += value.encode("utf-8", "surrogateescape")
        return _STRING
    if isinstance(value, Decimal):
        _pad(out)
        payload = numeric_to_disk(value)
        out += struct.pack("<I", len(payload) + 4 << 2) + payload
        return _NUMERIC
    if isinstance(value, dict):
        _encode_object(out, value)
    else:
        _encode_array(out, value, False)
    return _CONTAINER


def decode(data: Buffer) -> Any:
    """Tree of on-disk bytes."""
    header = int.from_bytes(data[:4], "little")
    tree = _decode_container(bytes(data), 0)
    return tree[0] if header & _FSCALAR else tree


def _decode_container(data: bytes, position: int) -> Any:
    position += -position % 4
    header = struct.unpack_from("<I", data, position)[0]
    count = header & _COUNT_MASK
    nentries = count * 2 if header & _FOBJECT else count
    entries = struct.unpack_from(f"<{nentries}I", data, position + 4)
    base = position + 4 + 4 * nentries
    offset = 0
    values: list[Any] = []
    for entry in entries:
        end = entry & _LENGTH_MASK if entry & _HAS_OFFSET else offset + (entry & _LENGTH_MASK)
        kind = entry & _TYPE_MASK
        if kind == _STRING:
            values.append(data[base + offset : base + end].decode("utf-8", "surrogateescape"))
        elif kind == _NUMERIC:
            start = base + offset
            start += -start % 4
            size = int.from_bytes(data[start : start + 4], "little") >> 2
            values.append(numeric_from_disk(data[start + 4 : start + size]))
        elif kind == _CONTAINER:
            values.append(_decode_container(data, base + offset))
        else:
            values.append(None if kind == _NULL else kind == _TRUE)
        offset = end
    if header & _FOBJECT:
        return dict(zip(values[:count], values[count:], strict=True))
    return values


set_jsonb_format(encode, decode)

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES.update((chr(c), f"\\u{c:04x}") for c in range(32) if chr(c) not in _ESCAPES)
_ESCAPE_TABLE = str.maketrans(_ESCAPES)


def quote(text: str) -> str:
    """The text as a JSON string."""
    return '"' + text.translate(_ESCAPE_TABLE) + '"'


def tree_text(value: Any) -> str:
    """Text form of a tree."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Decimal):
        return numeric_text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(key)}: {tree_text(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(tree_text, value)) + "]"


def pretty_text(value: Any, depth: int = 0) -> str:
    """Text form with a line for each value, indented by four."""
    if not isinstance(value, dict | list):
        return tree_text(value)
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict):
        lines = [f"{inner}{quote(key)}: {pretty_text(item, depth + 1)}" for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        lines = [inner + pretty_text(item, depth + 1) for item in value]
        opening, closing = "[", "]"
    if not lines:
        return f"{opening}\n{outer}{closing}"
    return opening + "\n" + ",\n".join(lines) + f"\n{outer}{closing}"


def parse_jsonb(text: str) -> Jsonb:
    """Value of the text form."""
    return Jsonb(None, normalise(parse_tree(text, parse_numeric)))


class JsonbCodec(Codec):
    """A tree of JSON values."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> Jsonb:
        return Jsonb(bytes(data))

    def to_disk(self, value: Any) -> bytes:
        data: bytes = value.data
        return data

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> Jsonb:
        return parse_jsonb(text)

    def output(self, value: Any) -> str:
        return tree_text(value.tree)

    def receive(self, data: Buffer, typmod: int = -1) -> Jsonb:
        if not data or data[0] != 1:
            raise SqlError(
                errcode.INTERNAL_ERROR, f"unsupported jsonb version number {data[0] if data else 0}"
            )
        return parse_jsonb(decode_text(data[1:]))

    def send(self, value: Any) -> bytes:
        return b"\1" + tree_text(value.tree).encode("utf-8", "surrogateescape")


class JsonCodec(Codec):
    """JSON text, kept as it was written."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> str:
        return str(data, "utf-8", "surrogateescape")

    def to_disk(self, value: Any) -> bytes:
        return str.encode(value, "utf-8", "surrogateescape")

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> str:
        validate(text)
        return text

    def output(self, value: Any) -> str:
        text: str = value
        return text

    def receive(self, data: Buffer, typmod: int = -1) -> str:
        return self.input(decode_text(data))

    def send(self, value: Any) -> bytes:
        return str.encode(value, "utf-8", "surrogateescape")


register_codec(JsonbCodec, JSONBOID)
register_codec(JsonCodec, JSONOID)
