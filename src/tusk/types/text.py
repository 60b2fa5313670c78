"""text: length, parts, padding, quoting, searching and replacing, format, conversions to other bases."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from tusk.catalog.identifiers import quote_identifier, quote_literal
from tusk.errors import SqlError, errcode
from tusk.types.bytea import substring_error
from tusk.types.codec import codec_for
from tusk.types.collate import is_bytewise
from tusk.types.registry import CallContext, function, out_of_range
from tusk.types.text_format import clip_name
from tusk.types.values import Array

TEXTOID = 25
MAX_TEXT = 0x3FFFFFFF


def _check_length(nbytes: int) -> None:
    if nbytes > MAX_TEXT - 4:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "requested length too large")


def encoded(text: str) -> bytes:
    """The bytes of a text."""
    return text.encode("utf-8", "surrogateescape")


function("textlen")(len)
function("textoctetlen")(lambda text: len(text) if text.isascii() else len(encoded(text)))
function("bpcharlen")(lambda text: len(text.rstrip(" ")))
function("bpcharoctetlen")(lambda text: len(encoded(text)))
function("textcat")(lambda left, right: left + right)
function("text_reverse")(lambda text: text[::-1])


@function("text_substr")
def substring(text: str, start: int, length: int) -> str:
    """SQL's substring: characters before the first count, but are not there."""
    if length < 0:
        raise substring_error()
    return text[max(start - 1, 0) : max(start - 1 + length, 0)]


@function("text_substr_no_len")
def _substring_rest(text: str, start: int) -> str:
    return text[max(start - 1, 0) :]


@function("text_left")
def _left(text: str, count: int) -> str:
    return text[:count]


@function("text_right")
def _right(text: str, count: int) -> str:
    if count >= 0:
        return text[max(len(text) - count, 0) :]
    return text[-count:]


@function("textoverlay")
def _overlay(text: str, new: str, start: int, length: int) -> str:
    if start <= 0:
        raise substring_error()
    if start + length > 0x7FFFFFFF:
        raise out_of_range("integer")
    return text[: start - 1] + new + text[max(start - 1 + length, 0) :]


@function("textoverlay_no_len")
def _overlay_whole(text: str, new: str, start: int) -> str:
    return _overlay(text, new, start, len(new))


@function("textpos", context=True)
def _position(ctx: CallContext, text: str, part: str) -> int:
    return text.find(part) + 1


@function("text_starts_with", context=True)
def _starts_with(ctx: CallContext, text: str, prefix: str) -> bool:
    return text.startswith(prefix)


@function("repeat")
def _repeat(text: str, count: int) -> str:
    _check_length(len(text) * max(count, 0))
    return text * count


def _pad(text: str, length: int, fill: str, left: bool) -> str:
    length = max(length, 0)
    _check_length(length)
    if len(text) >= length:
        return text[:length]
    if not fill:
        return text
    missing = length - len(text)
    padding = (fill * (missing // len(fill) + 1))[:missing]
    return padding + text if left else text + padding


function("lpad")(lambda text, length, fill: _pad(text, length, fill, True))
function("rpad")(lambda text, length, fill: _pad(text, length, fill, False))
function("btrim")(lambda text, characters: text.strip(characters) if characters else text)
function("ltrim")(lambda text, characters: text.lstrip(characters) if characters else text)
function("rtrim")(lambda text, characters: text.rstrip(characters) if characters else text)
function("btrim1")(lambda text: text.strip(" "))
function("ltrim1")(lambda text: text.lstrip(" "))
function("rtrim1")(lambda text: text.rstrip(" "))


@function("translate")
def _translate(text: str, source: str, target: str) -> str:
    table: dict[int, str | None] = {}
    for index, character in enumerate(source):
        table.setdefault(ord(character), target[index] if index < len(target) else None)
    return text.translate(table)


@function("replace_text", context=True)
def _replace(ctx: CallContext, text: str, old: str, new: str) -> str:
    return text.replace(old, new) if old else text


@function("split_part", context=True)
def _split_part(ctx: CallContext, text: str, delimiter: str, number: int) -> str:
    if number == 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "field position must not be zero")
    if not text:
        return ""
    parts = text.split(delimiter) if delimiter else [text]
    index = number - 1 if number > 0 else len(parts) + number
    return parts[index] if 0 <= index < len(parts) else ""


def _split(text: str, delimiter: str | None, null_text: str | None) -> list[str | None]:
    if not text:
        return []
    if delimiter is None:
        parts = list(text)
    elif not delimiter:
        parts = [text]
    else:
        parts = text.split(delimiter)
    return [None if null_text is not None and part == null_text else part for part in parts]


function("text_to_array")(
    lambda text, delimiter: None if text is None else Array.of(TEXTOID, _split(text, delimiter, None))
)
function("text_to_array_null")(
    lambda text, delimiter, null: None if text is None else Array.of(TEXTOID, _split(text, delimiter, null))
)


@function("text_to_table", set_returning=True)
def _to_table(text: str | None, delimiter: str | None) -> Iterator[str | None]:
    yield from _split(text, delimiter, None) if text is not None else ()


@function("text_to_table_null", set_returning=True)
def _to_table_null(text: str | None, delimiter: str | None, null: str | None) -> Iterator[str | None]:
    yield from _split(text, delimiter, null) if text is not None else ()


@function("ascii")
def _ascii(text: str) -> int:
    return ord(text[0]) if text else 0


@function("chr")
def _chr(code: int) -> str:
    if code < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "character number must be positive")
    if code == 0:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "null character not permitted")
    if code > 0x10FFFF:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, f"requested character too large for encoding: {code}")
    if 0xD800 <= code <= 0xDFFF:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, f"requested character not valid for encoding: {code}")
    return chr(code)


function("quote_ident")(quote_identifier)
function("quote_literal")(quote_literal)
function("quote_nullable")(lambda text: "NULL" if text is None else quote_literal(text))


def _arguments(ctx: CallContext, values: tuple[Any, ...], fixed: int) -> list[tuple[int, Any]] | None:
    """(type, value) of the variadic arguments; None for VARIADIC NULL."""
    if not ctx.variadic:
        return list(zip(ctx.argument_types[fixed:], values[fixed:], strict=False))
    array = values[-1]
    return None if array is None else [(array.element_type, element) for element in array.elements]


def to_text(type_oid: int, value: Any) -> str:
    """Text form of any value."""
    return value if type_oid in (25, 1043, 705) else codec_for(type_oid).output(value)


@function("text_concat", context=True)
def _concat(ctx: CallContext, *values: Any) -> str | None:
    arguments = _arguments(ctx, values, 0)
    if arguments is None:
        return None
    return "".join(to_text(oid, value) for oid, value in arguments if value is not None)


@function("text_concat_ws", context=True)
def _concat_ws(ctx: CallContext, *values: Any) -> str | None:
    if values[0] is None:
        return None
    arguments = _arguments(ctx, values, 1)
    if arguments is None:
        return None
    separator: str = values[0]
    return separator.join(to_text(oid, value) for oid, value in arguments if value is not None)


class _Formatter:
    """format(): %[position$][flags][width]type with types s, I and L."""

    def __init__(self, pattern: str, arguments: list[tuple[int, Any]]) -> None:
        self.pattern = pattern
        self.arguments = arguments
        self.position = 0
        self.next_argument = 0
        self.out: list[str] = []

    def fail(self, message: str, hint: str | None = None) -> SqlError:
        return SqlError(errcode.INVALID_PARAMETER_VALUE, message, hint=hint)

    def peek(self) -> str:
        if self.position >= len(self.pattern):
            raise self.fail("unterminated format() type specifier", 'For a single "%" use "%%".')
        return self.pattern[self.position]

    def number(self) -> int | None:
        start = self.position
        while self.peek().isdigit():
            self.position += 1
        if self.position == start:
            return None
        value = int(self.pattern[start : self.position])
        if value > 0x7FFFFFFF:
            raise self.fail("number is out of range")
        return value

    def take(self, index: int | None) -> tuple[int, Any]:
        if index is None:
            index = self.next_argument
        if index >= len(self.arguments):
            raise self.fail("too few arguments for format()")
        self.next_argument = index + 1
        return self.arguments[index]

    def explicit(self, value: int) -> int:
        if value == 0:
            raise self.fail("format specifies argument 0, but arguments are numbered from 1")
        return value - 1

    def run(self) -> str:
        pattern = self.pattern
        while self.position < len(pattern):
            character = pattern[self.position]
            self.position += 1
            if character != "%":
                self.out.append(character)
                continue
            if self.peek() == "%":
                self.out.append("%")
                self.position += 1
                continue
            self.specifier()
        return "".join(self.out)

    def specifier(self) -> None:
        index: int | None = None
        width = 0
        left = False
        number = self.number()
        if number is not None and self.peek() == "$":
            index = self.explicit(number)
            self.position += 1
            number = None
        if number is None:
            while self.peek() == "-":
                left = True
                self.position += 1
            if self.peek() == "*":
                self.position += 1
                width_index: int | None = None
                if self.peek().isdigit():
                    width_index = self.explicit(self.number() or 0)
                    if self.peek() != "$":
                        raise self.fail('width argument position must be ended by "$"')
                    self.position += 1
                oid, value = self.take(width_index)
                width = 0 if value is None else int(to_text(oid, value))
                if width < 0:
                    left, width = True, -width
            else:
                number = self.number()
        if number is not None:
            width = number
        kind = self.peek()
        self.position += 1
        if kind not in "sIL":
            raise self.fail(f'unrecognized format() type specifier "{kind}"', 'For a single "%" use "%%".')
        oid, value = self.take(index)
        self.emit(kind, None if value is None else to_text(oid, value), width, left)

    def emit(self, kind: str, text: str | None, width: int, left: bool) -> None:
        if text is None:
            if kind == "I":
                raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "null values cannot be formatted as an SQL identifier")
            text = "NULL" if kind == "L" else ""
        elif kind == "I":
            text = quote_identifier(text)
        elif kind == "L":
            text = quote_literal(text)
        self.out.append(text.ljust(width) if left else text.rjust(width))


@function("text_format", "text_format_nv", context=True)
def _format(ctx: CallContext, *values: Any) -> str | None:
    if values[0] is None:
        return None
    arguments = _arguments(ctx, values, 1)
    return _Formatter(values[0], arguments or []).run()


@function("unicode_normalize_func")
def _normalize(text: str, form: str) -> str:
    return unicodedata.normalize(_form(form), text)  # type: ignore[arg-type]  # checked by _form


@function("unicode_is_normalized")
def _is_normalized(text: str, form: str) -> bool:
    return unicodedata.is_normalized(_form(form), text)  # type: ignore[arg-type]  # checked by _form


def _form(form: str) -> str:
    if form.upper() not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid normalization form: {form}")
    return form.upper()


@function("unicode_assigned")
def _assigned(text: str) -> bool:
    return all(unicodedata.category(character) != "Cn" for character in text)


@function("unicode_version")
def _unicode_version() -> str:
    return ".".join(unicodedata.unidata_version.split(".")[:2])


def _escape_error(message: str) -> SqlError:
    return SqlError(errcode.SYNTAX_ERROR, message)


@function("unistr")
def _unistr(text: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character != "\\":
            out.append(character)
            position += 1
            continue
        if text[position + 1 : position + 2] == "\\":
            out.append("\\")
            position += 2
            continue
        for prefix, digits in (("", 4), ("u", 4), ("+", 6), ("U", 8)):
            start = position + 1 + len(prefix)
            body = text[start : start + digits]
            if text.startswith(prefix, position + 1) and len(body) == digits and _is_hex(body):
                out.append(chr(_valid_code(int(body, 16))))
                position = start + digits
                break
        else:
            raise SqlError(
                errcode.SYNTAX_ERROR,
                "invalid Unicode escape",
                hint="Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.",
            )
    try:
        return "".join(out).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _escape_error("invalid Unicode surrogate pair") from error


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdefABCDEF" for c in text)


def _valid_code(code: int) -> int:
    if code == 0 or code > 0x10FFFF:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid Unicode code point: {code:04X}")
    return code


@function("nameconcatoid")
def _name_concat_oid(name: str, oid: int) -> str:
    suffix = f"_{oid}"
    data = encoded(name)
    if len(data) + len(suffix) >= 64:
        name = data[: 63 - len(suffix)].decode("utf-8", "ignore")
    return clip_name(name + suffix)


@function("parse_ident")
def _parse_ident(text: str, strict: bool) -> Array:
    return Array.of(TEXTOID, parse_identifiers(text, strict))


def parse_identifiers(text: str, strict: bool = True) -> list[str]:
    """The parts of a dotted, possibly quoted name."""
    parts: list[str] = []
    position = 0
    end = len(text)

    def skip() -> None:
        nonlocal position
        while position < end and text[position] in " \t\n\r\f\v":
            position += 1

    def fail(detail: str | None = None) -> SqlError:
        return SqlError(errcode.INVALID_PARAMETER_VALUE, f'string is not a valid identifier: "{text}"', detail=detail)

    skip()
    after_dot = False
    while True:
        if position < end and text[position] == '"':
            close = position + 1
            while True:
                close = text.find('"', close)
                if close < 0:
                    raise fail("String has unclosed double quotes.")
                if text[close + 1 : close + 2] != '"':
                    break
                close += 2
            name = text[position + 1 : close].replace('""', '"')
            if not name:
                raise fail("Quoted identifier must not be empty.")
            position = close + 1
        elif position < end and (text[position].isalpha() or text[position] == "_"):
            start = position
            while position < end and (text[position].isalnum() or text[position] in "_$"):
                position += 1
            name = text[start:position].lower()
        else:
            if position < end and text[position] == ".":
                raise fail('No valid identifier before ".".')
            raise fail('No valid identifier after ".".' if after_dot else None)
        parts.append(name)
        skip()
        if position < end and text[position] == ".":
            after_dot = True
            position += 1
            skip()
            continue
        if position < end and strict:
            raise fail()
        return parts


@function("btvarstrequalimage", context=True)
def _equal_image(ctx: CallContext, operator_class: int) -> bool:
    return is_bytewise(ctx.collation)


@function("btequalimage")
def _always_equal_image(operator_class: int) -> bool:
    return True


@function("to_ascii_default", "to_ascii_enc", "to_ascii_encname")
def _to_ascii(text: str, encoding: Any = None) -> str:
    raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "encoding conversion from UTF8 to ASCII not supported")
