"""text, varchar, bpchar, name, "char" and the types stored like text: formats, typmods and length coercions."""

from collections.abc import Callable, Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, TextBacked, decode_text, invalid_binary, register_codec
from tusk.types.integers import parse_int
from tusk.types.registry import CallContext, function

TEXTOID, NAMEOID, CHAROID, BPCHAROID, VARCHAROID = 25, 19, 18, 1042, 1043
PG_NODE_TREEOID, REFCURSOROID, XMLOID = 194, 1790, 142
NAMEDATALEN = 64
MAX_TYPMOD_LENGTH = 10485760


def clip_name(text: str) -> str:
    """The text cut to the 63 bytes that a name holds, never within a character."""
    if len(text) * 4 < NAMEDATALEN:
        return text
    data = text.encode("utf-8", "surrogateescape")
    if len(data) < NAMEDATALEN:
        return text
    return data[: NAMEDATALEN - 1].decode("utf-8", "ignore")


class TextCodec(TextBacked):
    """Text without further rules."""

    __slots__ = ()


class VarcharCodec(TextBacked):
    """At most n characters."""

    __slots__ = ()

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> str:
        return varchar_length(text, typmod, False)


class BpcharCodec(TextBacked):
    """Exactly n characters, blank-padded."""

    __slots__ = ()

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> str:
        return bpchar_length(text, typmod, False)


class NameCodec(TextBacked):
    """64 bytes, NUL-padded."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> str:
        raw = bytes(data)
        end = raw.find(0)
        return str(raw if end < 0 else raw[:end], "utf-8", "surrogateescape")

    def to_disk(self, value: Any) -> bytes:
        data = str.encode(value, "utf-8", "surrogateescape")
        if len(data) >= NAMEDATALEN:
            data = clip_name(value).encode("utf-8", "surrogateescape")
        return data.ljust(NAMEDATALEN, b"\0")

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> str:
        return clip_name(text)

    def receive(self, data: Buffer, typmod: int = -1) -> str:
        text = decode_text(data)
        if len(data) >= NAMEDATALEN:
            raise SqlError(
                errcode.NAME_TOO_LONG,
                "identifier too long",
                detail=f"Identifier must be less than {NAMEDATALEN} characters.",
            )
        return text


class CharCodec(Codec):
    """One byte. The value is the empty string for 0, else the one character with that code."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> str:
        return chr(data[0]) if data[0] else ""

    def to_disk(self, value: Any) -> bytes:
        return value.encode("latin-1") or b"\0"

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> str:
        if len(text) == 4 and text[0] == "\\" and text[1] in "0123" and all(c in "01234567" for c in text[2:]):
            code = int(text[1:], 8)
        else:
            code = text.encode("utf-8", "surrogateescape")[0] if text else 0
        return chr(code) if code else ""

    def output(self, value: Any) -> str:
        return f"\\{ord(value):03o}" if value >= "\x80" else value

    def receive(self, data: Buffer, typmod: int = -1) -> str:
        if len(data) != 1:
            raise invalid_binary("char")
        return self.from_disk(data)

    def send(self, value: Any) -> bytes:
        return self.to_disk(value)


register_codec(TextCodec, TEXTOID, PG_NODE_TREEOID, REFCURSOROID)
register_codec(VarcharCodec, VARCHAROID)
register_codec(BpcharCodec, BPCHAROID)
register_codec(NameCodec, NAMEOID)
register_codec(CharCodec, CHAROID)


def _too_long(name: str, length: int) -> SqlError:
    return SqlError(errcode.STRING_DATA_RIGHT_TRUNCATION, f"value too long for type {name}({length})")


def varchar_length(text: str, typmod: int, explicit: bool) -> str:
    """Enforce varchar(n): only spaces may be lost, unless the cast is explicit."""
    limit = typmod - 4
    if typmod < 4 or len(text) <= limit:
        return text
    if not explicit and text[limit:].strip(" "):
        raise _too_long("character varying", limit)
    return text[:limit]


def bpchar_length(text: str, typmod: int, explicit: bool) -> str:
    """Enforce character(n): cut as varchar is, pad with blanks."""
    if typmod < 4:
        return text
    limit = typmod - 4
    if len(text) <= limit:
        return text.ljust(limit)
    if not explicit and text[limit:].strip(" "):
        raise _too_long("character", limit)
    return text[:limit]


function("varchar")(varchar_length)
function("bpchar")(bpchar_length)


def _length_typmod_in(name: str) -> Callable[[Sequence[str]], int]:
    def typmod_in(words: Sequence[str]) -> int:
        if len(words) != 1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "invalid type modifier")
        length = parse_int(next(iter(words)), 4)
        if length < 1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"length for type {name} must be at least 1")
        if length > MAX_TYPMOD_LENGTH:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f"length for type {name} cannot exceed {MAX_TYPMOD_LENGTH}"
            )
        return length + 4

    return typmod_in


function("varchartypmodin")(_length_typmod_in("varchar"))
function("bpchartypmodin")(_length_typmod_in("char"))


@function("varchartypmodout", "bpchartypmodout")
def _length_typmod_out(typmod: int) -> str:
    return f"({typmod - 4})" if typmod > 4 else ""


@function("char_text", "char_bpchar")
def _char_text(value: str) -> str:
    return f"\\{ord(value):03o}" if value >= "\x80" else value


@function("text_char")
def _text_char(text: str) -> str:
    if len(text) == 4 and text[0] == "\\" and text[1] in "0123" and all(c in "01234567" for c in text[2:]):
        code = int(text[1:], 8)
    else:
        code = text.encode("utf-8", "surrogateescape")[0] if text else 0
    return chr(code) if code else ""


@function("i4tochar")
def _int4_char(value: int) -> str:
    if not -128 <= value <= 127:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, '"char" out of range')
    return chr(value & 0xFF) if value else ""


@function("chartoi4")
def _char_int4(value: str) -> int:
    code = ord(value) if value else 0
    return code - 256 if code > 127 else code


@function("text_name", "bpchar_name")
def _to_name(text: str) -> str:
    return clip_name(text.rstrip(" "))


@function("name_text", "name_bpchar")
def _from_name(name: str) -> str:
    return name
