"""jsonpath: reading, writing, and the on-disk format (utils/jsonpath.h).

On disk a path is a header word and the items one after another, each with its type, the offset of the item that
follows in the chain, and what belongs to its type; all offsets count from the item that holds them.
"""

import re
import struct
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import Buffer, Codec, decode_text, register_codec
from tusk.types.jsonb_format import quote
from tusk.types.numeric_format import numeric_from_disk, numeric_text, numeric_to_disk, parse_numeric
from tusk.types.regex import Options, compile_regex
from tusk.types.registry import CallContext

JSONPATHOID = 4072
_VERSION, _LAX = 1, 0x80000000

KINDS = (
    "null", "string", "numeric", "bool", "&&", "||", "!", "is unknown", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*",
    "/", "%", "plus", "minus", "[*]", ".*", "[]", ".**", "key", "@", "$", "variable", "?", "exists", "type", "size",
    "abs", "floor", "ceiling", "double", "datetime", "keyvalue", "subscript", "last", "starts with", "like_regex",
    "bigint", "boolean", "date", "decimal", "integer", "number", "string()", "time", "time_tz", "timestamp",
    "timestamp_tz",
)  # fmt: skip
_CODES = {kind: code for code, kind in enumerate(KINDS)}
BINARY = {"&&", "||", "==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "starts with", "decimal"}
_UNARY = {"!", "is unknown", "plus", "minus", "?", "exists", "datetime", "time", "time_tz", "timestamp", "timestamp_tz"}
PREDICATES = {"&&", "||", "!", "is unknown", "==", "!=", "<", ">", "<=", ">=", "exists", "starts with", "like_regex"}
_METHODS = {"type", "size", "abs", "floor", "ceiling", "double", "keyvalue", "bigint", "boolean", "date", "integer",
            "number", "string", "datetime", "decimal", "time", "time_tz", "timestamp", "timestamp_tz"}  # fmt: skip
_PRIORITY = {"||": 0, "&&": 1, "==": 2, "!=": 2, "<": 2, ">": 2, "<=": 2, ">=": 2, "starts with": 2, "+": 3, "-": 3,
             "*": 4, "/": 4, "%": 4, "plus": 5, "minus": 5}  # fmt: skip
LAST = 0xFFFFFFFF
_FLAGS = {"i": 0x01, "s": 0x02, "m": 0x04, "x": 0x08, "q": 0x10}


class Item:
    """One node of a path; accessors form a chain by ``next``."""

    __slots__ = ("kind", "left", "next", "right", "value")

    def __init__(self, kind: str, value: Any = None, left: "Item | None" = None, right: "Item | None" = None) -> None:
        self.kind = kind
        self.value = value
        self.left = left
        self.right = right
        self.next: Item | None = None

    def append(self, item: "Item") -> "Item":
        """Add to the end of the chain."""
        last = self
        while last.next is not None:
            last = last.next
        last.next = item
        return self


class JsonPath:
    """A jsonpath value."""

    __slots__ = ("lax", "root")

    def __init__(self, root: Item, lax: bool) -> None:
        self.root = root
        self.lax = lax

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonPath) and path_text(self) == path_text(other)

    def __hash__(self) -> int:
        return hash(path_text(self))


_TOKEN = re.compile(
    r"\s*(?:/\*.*?\*/\s*)*(?:"
    r"(?P<string>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>(?:0[xX][0-9a-fA-F]+(?:_[0-9a-fA-F]+)*|0[oO][0-7]+(?:_[0-7]+)*|0[bB][01]+(?:_[01]+)*"
    r"|(?:(?:0|[1-9](?:_?\d)*)(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?)(?![A-Za-z_]))"
    r"|(?P<variable>\$(?:\"(?:[^\"\\]|\\.)*\"|[^\W\d][\w$]*))"
    r"|(?P<op>&&|\|\||==|!=|<>|<=|>=|\*\*|[-+*/%()\[\]{}.,?@$<>!:=])"
    r"|(?P<word>(?:\\.[^\s]?|[^\s\"$&|=!<>()\[\]{}.,?@+*/%:-])+)"
    r")", re.DOTALL,
)  # fmt: skip


def _syntax_error(near: str | None) -> SqlError:
    where = f'at or near "{near}" of' if near else "at end of"
    return SqlError(errcode.SYNTAX_ERROR, f"syntax error {where} jsonpath input")


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None or match.lastgroup is None:
                raise _syntax_error(stripped[position:].strip()[:1])
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self.position = 0
        self.filters = self.subscripts = 0

    def peek(self, ahead: int = 0) -> str:
        """Text of a token, lower case for words; strings and numbers are never mistaken for operators."""
        if self.position + ahead >= len(self.tokens):
            return ""
        kind, text = self.tokens[self.position + ahead]
        return text.lower() if kind == "word" else text if kind == "op" else kind

    def take(self) -> tuple[str, str]:
        if self.position >= len(self.tokens):
            raise _syntax_error(None)
        self.position += 1
        return self.tokens[self.position - 1]

    def fail(self) -> SqlError:
        if self.position >= len(self.tokens):
            return _syntax_error(None)
        return _syntax_error(self.tokens[self.position][1])

    def expect(self, text: str) -> None:
        if self.peek() != text:
            raise self.fail()
        self.position += 1

    def accept(self, *words: str) -> bool:
        for offset, word in enumerate(words):
            if self.peek(offset) != word:
                return False
        self.position += len(words)
        return True

    def parse(self) -> JsonPath:
        lax = True
        if self.peek() in ("strict", "lax") and self.peek(1) != "":
            lax = self.peek() == "lax"
            self.position += 1
        root = self.disjunction()
        if self.position < len(self.tokens):
            raise self.fail()
        return JsonPath(root, lax)

    def need(self, item: Item, predicate: bool) -> Item:
        if (item.kind in PREDICATES and item.next is None) != predicate:
            raise self.fail()
        return item

    def disjunction(self) -> Item:
        left = self.conjunction()
        while self.peek() == "||":
            self.need(left, True)
            self.position += 1
            left = Item("||", None, left, self.need(self.conjunction(), True))
        return left

    def conjunction(self) -> Item:
        left = self.comparison()
        while self.peek() == "&&":
            self.need(left, True)
            self.position += 1
            left = Item("&&", None, left, self.need(self.comparison(), True))
        return left

    def comparison(self) -> Item:
        if self.accept("!"):
            if self.peek() not in ("(", "exists"):
                raise self.fail()
            return Item("!", None, self.need(self.primary(), True))
        left = self.additive()
        operator = self.peek()
        if operator in ("==", "=", "!=", "<>", "<", ">", "<=", ">="):
            self.need(left, False)
            self.position += 1
            operator = {"=": "==", "<>": "!="}.get(operator, operator)
            return Item(operator, None, left, self.need(self.additive(), False))
        if self.accept("starts", "with"):
            kind, text = self.take()
            if kind == "string":
                return Item("starts with", None, left, Item("string", _unquote(text)))
            if kind == "variable":
                return Item("starts with", None, left, Item("variable", _variable(text)))
            self.position -= 1
            raise self.fail()
        if self.accept("like_regex"):
            kind, pattern = self.take()
            if kind != "string":
                self.position -= 1
                raise self.fail()
            flags = 0
            if self.accept("flag"):
                for letter in _unquote(self.take()[1]):
                    if letter not in _FLAGS:
                        raise SqlError(
                            errcode.SYNTAX_ERROR,
                            "invalid input syntax for type jsonpath",
                            detail=f'Unrecognized flag character "{letter}" in LIKE_REGEX predicate.',
                        )
                    flags |= _FLAGS[letter]
            item = Item("like_regex", (_unquote(pattern), flags), left)
            like_options(item)
            return item
        return left

    def additive(self) -> Item:
        left = self.multiplicative()
        while self.peek() in ("+", "-"):
            operator = self.take()[1]
            self.need(left, False)
            left = Item(operator, None, left, self.need(self.multiplicative(), False))
        return left

    def multiplicative(self) -> Item:
        left = self.unary()
        while self.peek() in ("*", "/", "%"):
            operator = self.take()[1]
            self.need(left, False)
            left = Item(operator, None, left, self.need(self.unary(), False))
        return left

    def unary(self) -> Item:
        if self.peek() in ("+", "-"):
            sign = self.take()[1]
            operand = self.need(self.unary(), False)
            if operand.kind == "numeric" and operand.next is None:
                return Item("numeric", operand.value if sign == "+" else operand.value.copy_negate())
            return Item("plus" if sign == "+" else "minus", None, operand)
        return self.primary()

    def primary(self) -> Item:
        item = self.atom()
        while self.peek() in (".", "[", "?") and self.peek():
            item.append(self.accessor())
        return item

    def atom(self) -> Item:
        kind, text = self.take()
        word = text.lower() if kind == "word" else ""
        if kind == "string":
            return Item("string", _unquote(text))
        if kind == "number":
            return Item("numeric", parse_numeric(text))
        if kind == "variable":
            return Item("variable", _variable(text))
        if text == "$":
            return Item("$")
        if text == "@":
            if not self.filters:
                raise SqlError(errcode.SYNTAX_ERROR, "@ is not allowed in root expressions")
            return Item("@")
        if text == "(":
            inner = self.disjunction()
            self.expect(")")
            if inner.kind in PREDICATES and inner.next is None and self.accept("is", "unknown"):
                return Item("is unknown", None, inner)
            return inner
        if word == "exists":
            self.expect("(")
            inner = self.need(self.additive(), False)
            self.expect(")")
            return Item("exists", None, inner)
        if word == "last":
            if not self.subscripts:
                raise SqlError(errcode.SYNTAX_ERROR, "LAST is allowed only in array subscripts")
            return Item("last")
        if text in ("true", "false", "null"):
            return Item("null") if text == "null" else Item("bool", text == "true")
        self.position -= 1
        raise self.fail()

    def accessor(self) -> Item:
        opening = self.take()[1]
        if opening == "?":
            self.expect("(")
            self.filters += 1
            condition = self.need(self.disjunction(), True)
            self.filters -= 1
            self.expect(")")
            return Item("?", None, condition)
        if opening == "[":
            return self.subscript()
        if self.accept("*"):
            return Item(".*")
        if self.accept("**"):
            return self.any_level()
        kind, text = self.take()
        if kind == "string":
            return Item("key", _unquote(text))
        if kind == "variable":
            # In a key a dollar sign is an ordinary character.
            return Item("key", text)
        if kind != "word":
            self.position -= 1
            raise self.fail()
        name = _unescape(text)
        if self.peek() == "(" and name.lower() in _METHODS:
            return self.method(name.lower())
        return Item("key", name)

    def any_level(self) -> Item:
        first, last = 0, LAST
        if self.accept("{"):
            first = last = self.level()
            if self.accept("to"):
                last = self.level()
            self.expect("}")
        return Item(".**", (first, last))

    def level(self) -> int:
        if self.accept("last"):
            return LAST
        kind, text = self.take()
        if kind != "number" or not text.isdigit():
            self.position -= 1
            raise self.fail()
        return int(text)

    def subscript(self) -> Item:
        if self.accept("*"):
            self.expect("]")
            return Item("[*]")
        ranges: list[tuple[Item, Item | None]] = []
        self.subscripts += 1
        while True:
            start = self.need(self.additive(), False)
            end = self.need(self.additive(), False) if self.accept("to") else None
            ranges.append((start, end))
            if not self.accept(","):
                break
        self.subscripts -= 1
        self.expect("]")
        return Item("[]", ranges)

    def method(self, name: str) -> Item:
        self.expect("(")
        arguments: list[Item] = []
        while self.peek() != ")":
            arguments.append(self.unary())
            if not self.accept(","):
                break
        self.expect(")")
        limit = 2 if name == "decimal" else 1 if name in _UNARY else 0
        if len(arguments) > limit:
            raise self.fail()
        left, right = (*arguments, None, None)[:2]
        return Item("string()" if name == "string" else name, None, left, right)


_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        if match[1] or match[2] or match[3]:
            return chr(int(match[1] or match[2] or match[3], 16))
        return _SIMPLE.get(match[4], match[4])

    plain = re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(.))", replace, text, flags=re.DOTALL
    )
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unquote(text: str) -> str:
    return _unescape(text[1:-1])


def _variable(text: str) -> str:
    return _unquote(text[1:]) if text[1:2] == '"' else text[1:]


def like_options(item: Item) -> Any:
    """The compiled pattern of a like_regex item; 2201B when it is none."""
    pattern, flags = item.value
    options = Options()
    options.ignore_case = bool(flags & _FLAGS["i"])
    # XQuery's defaults are the other way round: without s a dot stops at newlines, with m ^ and $ match there.
    options.newline_stop = not flags & _FLAGS["s"]
    options.newline_anchor = bool(flags & _FLAGS["m"])
    options.quote = bool(flags & _FLAGS["q"])
    if flags & _FLAGS["x"] and not options.quote:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, 'XQuery "x" flag (expanded regular expressions) is not implemented'
        )
    return compile_regex(pattern, options)


# Text form.


def _priority(item: Item) -> int:
    return _PRIORITY.get(item.kind, 6)


def _operand(item: Item, parent: Item) -> str:
    return _text(item, False, _priority(item) <= _priority(parent))


def _text(item: Item, in_key: bool, brackets: bool) -> str:
    body = _body(item, in_key, brackets)
    return body if item.next is None else body + _text(item.next, True, True)


def _body(item: Item, in_key: bool, brackets: bool) -> str:
    kind, value, left, right = item.kind, item.value, item.left, item.right
    opening, closing = ("(", ")") if brackets else ("", "")
    match kind:
        case "null":
            return "null"
        case "string":
            return quote(value)
        case "bool":
            return "true" if value else "false"
        case "numeric":
            text = numeric_text(value)
            return f"({text})" if item.next is not None else text
        case "variable":
            return "$" + quote(value)
        case "key":
            return ("." if in_key else "") + quote(value)
        case "$" | "@" | "last" | "[*]":
            return kind
        case ".*":
            return ".*" if in_key else "*"
        case "[]":
            parts = (
                _text(a, False, False) + (f" to {_text(b, False, False)}" if b is not None else "") for a, b in value
            )
            return "[" + ",".join(parts) + "]"
        case ".**":
            return ("." if in_key else "") + "**" + _levels(*value)
        case "like_regex":
            assert left is not None
            pattern, flags = value
            letters = "".join(letter for letter, bit in _FLAGS.items() if flags & bit)
            text = f"{_operand(left, item)} like_regex {quote(pattern)}" + (f' flag "{letters}"' if letters else "")
            return opening + text + closing
    if kind in BINARY and kind != "decimal":
        assert left is not None and right is not None
        return f"{opening}{_operand(left, item)} {kind} {_operand(right, item)}{closing}"
    if kind in ("plus", "minus"):
        assert left is not None
        return f"{opening}{'+' if kind == 'plus' else '-'}{_operand(left, item)}{closing}"
    wrapped = {"!": "!({})", "is unknown": "({}) is unknown", "?": "?({})", "exists": "exists ({})"}.get(kind)
    if wrapped is not None:
        assert left is not None
        return wrapped.format(_text(left, False, False))
    arguments = ",".join(_text(argument, False, False) for argument in (left, right) if argument is not None)
    return f".{kind.removesuffix('()')}({arguments})"


def _levels(first: int, last: int) -> str:
    if first == 0 and last == LAST:
        return ""
    names = ["last" if level == LAST else str(level) for level in (first, last)]
    return f"{{{names[0]}}}" if first == last else f"{{{names[0]} to {names[1]}}}"


def path_text(path: JsonPath) -> str:
    """Text form of a path."""
    return ("" if path.lax else "strict ") + _text(path.root, False, True)


# Disk form. Offsets count from the varlena header, which the payload does not have.


def _flatten(out: bytearray, item: Item) -> int:
    start = len(out)
    out.append(_CODES[item.kind])
    out += bytes(-len(out) % 4)
    next_place = _reserve(out)
    kind = item.kind
    if kind in ("string", "variable", "key"):
        _put_string(out, item.value)
    elif kind == "numeric":
        payload = numeric_to_disk(item.value)
        out += struct.pack("<I", len(payload) + 4 << 2) + payload
    elif kind == "bool":
        out.append(item.value)
    elif kind in BINARY:
        places = [_reserve(out), _reserve(out)]
        for place, child in zip(places, (item.left, item.right), strict=True):
            _point(out, place, 0 if child is None else _flatten(out, child) - start)
    elif kind == "like_regex":
        pattern, flags = item.value
        out += struct.pack("<I", flags)
        place = _reserve(out)
        _put_string(out, pattern)
        assert item.left is not None
        _point(out, place, _flatten(out, item.left) - start)
    elif kind in _UNARY:
        place = _reserve(out)
        _point(out, place, 0 if item.left is None else _flatten(out, item.left) - start)
    elif kind == "[]":
        out += struct.pack("<i", len(item.value))
        place = len(out)
        out += bytes(8 * len(item.value))
        for index, (first, last) in enumerate(item.value):
            _point(out, place + 8 * index, _flatten(out, first) - start)
            _point(out, place + 8 * index + 4, 0 if last is None else _flatten(out, last) - start)
    elif kind == ".**":
        out += struct.pack("<II", *item.value)
    if item.next is not None:
        _point(out, next_place, _flatten(out, item.next) - start)
    return start


def _reserve(out: bytearray) -> int:
    out += bytes(4)
    return len(out) - 4


def _point(out: bytearray, place: int, offset: int) -> None:
    struct.pack_into("<i", out, place, offset)


def _put_string(out: bytearray, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    out += struct.pack("<i", len(data)) + data + b"\0"


def _read(data: bytes, start: int) -> Item:
    kind = KINDS[data[start]]
    position = start + 1
    position += -position % 4
    following = struct.unpack_from("<i", data, position)[0]
    position += 4
    item = Item(kind)

    def child(offset: int) -> Item | None:
        return _read(data, start + offset) if offset else None

    if kind in ("string", "variable", "key"):
        item.value = _get_string(data, position)
    elif kind == "numeric":
        size = struct.unpack_from("<I", data, position)[0] >> 2
        item.value = numeric_from_disk(data[position + 4 : position + size])
    elif kind == "bool":
        item.value = data[position] != 0
    elif kind in BINARY:
        left, right = struct.unpack_from("<ii", data, position)
        item.left, item.right = child(left), child(right)
    elif kind == "like_regex":
        flags, left = struct.unpack_from("<Ii", data, position)
        item.value = (_get_string(data, position + 8), flags)
        item.left = child(left)
    elif kind in _UNARY:
        item.left = child(struct.unpack_from("<i", data, position)[0])
    elif kind == "[]":
        count = struct.unpack_from("<i", data, position)[0]
        offsets = struct.unpack_from(f"<{2 * count}i", data, position + 4)
        item.value = [(child(offsets[2 * i]), child(offsets[2 * i + 1])) for i in range(count)]
    elif kind == ".**":
        item.value = struct.unpack_from("<II", data, position)
    item.next = child(following)
    return item


def _get_string(data: bytes, position: int) -> str:
    size = struct.unpack_from("<i", data, position)[0]
    return data[position + 4 : position + 4 + size].decode("utf-8", "surrogateescape")


class JsonPathCodec(Codec):
    """An SQL/JSON path."""

    __slots__ = ()

    def from_disk(self, data: Buffer) -> JsonPath:
        raw = bytes(data)
        header = struct.unpack_from("<I", raw)[0]
        # Items are aligned from the varlena header on; header word and length make 8 bytes, so the payload's are too.
        return JsonPath(_read(raw[4:], 0), bool(header & _LAX))

    def to_disk(self, value: Any) -> bytes:
        out = bytearray()
        _flatten(out, value.root)
        return struct.pack("<I", _VERSION | (_LAX if value.lax else 0)) + bytes(out)

    def input(self, text: str, typmod: int = -1, ctx: CallContext | None = None) -> JsonPath:
        if not text.strip():
            raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, f'invalid input syntax for type jsonpath: "{text}"')
        return _Parser(text).parse()

    def output(self, value: Any) -> str:
        return path_text(value)

    def receive(self, data: Buffer, typmod: int = -1) -> JsonPath:
        if not data or data[0] != 1:
            raise SqlError(errcode.INTERNAL_ERROR, f"unsupported jsonpath version number: {data[0] if data else 0}")
        return self.input(decode_text(data[1:]))

    def send(self, value: Any) -> bytes:
        return b"\1" + path_text(value).encode("utf-8", "surrogateescape")


register_codec(JsonPathCodec, JSONPATHOID)
