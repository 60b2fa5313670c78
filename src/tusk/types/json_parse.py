"""Reading JSON text.

Two readers: the standard library's, fast, for the value alone; and `parse_nodes`, which keeps where each part stands
in the text, for operators on json (they return parts as they were written) and for PostgreSQL's error messages.
"""

import importlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from tusk.errors import SqlError, errcode

_SPACE = " \t\n\r"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Node:
    """A value within a JSON text: where it stands, and its children if it has some."""

    __slots__ = ("children", "end", "kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int, children: Any = None) -> None:
        self.kind = kind
        self.text = text
        self.start = start
        self.end = end
        self.children = children

    @property
    def source(self) -> str:
        """The value as it was written."""
        return self.text[self.start : self.end]

    def string(self) -> str:
        """Value of a string."""
        return unescape(self.text, self.start, self.end)

    def as_text(self) -> str | None:
        """What ->> gives: a string's value, null as None, anything else as written."""
        if self.kind == "string":
            return self.string()
        return None if self.kind == "null" else self.source

    def field(self, name: str) -> "Node | None":
        """The last member of that name of an object."""
        if self.kind != "object":
            return None
        for key, child in reversed(self.children):
            if key == name:
                found: Node = child
                return found
        return None

    def element(self, index: int) -> "Node | None":
        """An element of an array; negative indexes count from the end."""
        if self.kind != "array" or not -len(self.children) <= index < len(self.children):
            return None
        found: Node = self.children[index]
        return found


def json_error(detail: str, text: str, position: int) -> SqlError:
    """22P02 for text that is no JSON."""
    line = text.count("\n", 0, position) + 1
    start = text.rfind("\n", 0, position) + 1
    shown = text[max(start, position - 50) : position]
    prefix = "..." if position - 50 > start else ""
    return SqlError(
        errcode.INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type json",
        detail=detail,
        context=f"JSON data, line {line}: {prefix}{shown}",
    )


def unescape(text: str, start: int, end: int) -> str:
    """Value of the quoted string that stands at start:end."""
    body = text[start + 1 : end - 1]
    if "\\" not in body:
        return body
    out: list[str] = []
    position = 0
    while position < len(body):
        character = body[position]
        if character != "\\":
            out.append(character)
            position += 1
            continue
        letter = body[position + 1]
        if letter != "u":
            out.append(_ESCAPES[letter])
            position += 2
            continue
        code = int(body[position + 2 : position + 6], 16)
        position += 6
        if code == 0:
            raise SqlError(
                errcode.UNTRANSLATABLE_CHARACTER,
                "unsupported Unicode escape sequence",
                detail="\\u0000 cannot be converted to text.",
            )
        if 0xD800 <= code <= 0xDBFF:
            low = -1
            if body.startswith("\\u", position):
                low = int(body[position + 2 : position + 6], 16)
            if not 0xDC00 <= low <= 0xDFFF:
                raise _surrogate("Unicode low surrogate must follow a high surrogate.", text)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            position += 6
        elif 0xDC00 <= code <= 0xDFFF:
            raise _surrogate("Unicode low surrogate must follow a high surrogate.", text)
        out.append(chr(code))
    return "".join(out)


def _surrogate(detail: str, text: str) -> SqlError:
    return json_error(detail, text, len(text))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def skip(self) -> str:
        text, position = self.text, self.position
        while position < len(text) and text[position] in _SPACE:
            position += 1
        self.position = position
        return text[position] if position < len(text) else ""

    def fail(self, expected: str) -> NoReturn:
        """Complain about the token at the current position."""
        text, start = self.text, self.position
        if start >= len(text):
            raise json_error("The input string ended unexpectedly.", text, start)
        if text[start] in '{}[],:"':
            if text[start] == '"':
                end = self.string_end(start)
            else:
                end = start + 1
            raise json_error(expected.format(text[start:end]), text, end)
        end = start
        while end < len(text) and (text[end].isalnum() or text[end] in "_-+.$" or ord(text[end]) > 127):
            end += 1
        end = max(end, start + 1)
        word = text[start:end]
        if word in ("true", "false", "null") or self.number_end(start) == end:
            raise json_error(expected.format(word), text, end)
        raise json_error(f'Token "{word}" is invalid.', text, end)

    def value(self, expected: str = 'Expected JSON value, but found "{}".') -> Node:
        character = self.skip()
        start = self.position
        text = self.text
        if character == '"':
            self.position = self.string_end(start)
            return Node("string", text, start, self.position)
        if character == "{":
            return self.object()
        if character == "[":
            return self.array()
        for word in ("true", "false", "null"):
            if character == word[0] and text.startswith(word, start):
                end = start + len(word)
                if end >= len(text) or not (text[end].isalnum() or text[end] == "_"):
                    self.position = end
                    return Node(word, text, start, end)
        if character and character in "-0123456789":
            end = self.number_end(start)
            if end < 0:
                self.fail(expected)
            self.position = end
            return Node("number", text, start, end)
        self.fail(expected)

    def number_end(self, start: int) -> int:
        """Where the number at ``start`` ends; -1 when there is none."""
        text = self.text
        n = len(text)
        i = start + (text[start : start + 1] == "-")
        if text[i : i + 1] == "0":
            i += 1
        elif text[i : i + 1].isdigit():
            while i < n and text[i] in "0123456789":
                i += 1
        else:
            return -1
        if text[i : i + 1] == ".":
            j = i + 1
            while j < n and text[j] in "0123456789":
                j += 1
            if j == i + 1:
                return -1
            i = j
        if text[i : i + 1] in ("e", "E") and i < n:
            j = i + 1
            if text[j : j + 1] in ("+", "-") and j < n:
                j += 1
            k = j
            while k < n and text[k] in "0123456789":
                k += 1
            if k == j:
                return -1
            i = k
        if i < n and (text[i].isalnum() or text[i] in "_." or ord(text[i]) > 127):
            return -1
        return i

    def string_end(self, start: int) -> int:
        text = self.text
        position = start + 1
        while True:
            if position >= len(text):
                raise json_error(f'Token "{text[start:]}" is invalid.', text, len(text))
            character = text[position]
            if character == '"':
                return position + 1
            if character < " ":
                raise json_error(f"Character with value 0x{ord(character):02x} must be escaped.", text, position)
            if character == "\\":
                position += 1
                letter = text[position : position + 1]
                if letter == "u":
                    digits = text[position + 1 : position + 5]
                    if len(digits) < 4 or any(c not in "0123456789abcdefABCDEF" for c in digits):
                        raise json_error('"\\u" must be followed by four hexadecimal digits.', text, position)
                    position += 4
                elif letter not in _ESCAPES or not letter:
                    if not letter:
                        raise json_error(f'Token "{text[start:]}" is invalid.', text, len(text))
                    raise json_error(f'Escape sequence "\\{letter}" is invalid.', text, position + 1)
            position += 1

    def enter(self) -> int:
        self.depth += 1
        if self.depth > 6400:
            raise SqlError(errcode.STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        start = self.position
        self.position += 1
        return start

    def object(self) -> Node:
        start = self.enter()
        members: list[tuple[str, Node]] = []
        character = self.skip()
        if character == "}":
            self.position += 1
        else:
            expected = 'Expected string or "}}", but found "{}".'
            while True:
                if self.skip() != '"':
                    self.fail(expected)
                expected = 'Expected string, but found "{}".'
                key_start = self.position
                self.position = self.string_end(key_start)
                key = unescape(self.text, key_start, self.position)
                if self.skip() != ":":
                    self.fail('Expected ":", but found "{}".')
                self.position += 1
                members.append((key, self.value()))
                character = self.skip()
                if character == "}":
                    self.position += 1
                    break
                if character != ",":
                    self.fail('Expected "," or "}}", but found "{}".')
                self.position += 1
        self.depth -= 1
        return Node("object", self.text, start, self.position, members)

    def array(self) -> Node:
        start = self.enter()
        elements: list[Node] = []
        if self.skip() == "]":
            self.position += 1
        else:
            expected = 'Expected array element or "]", but found "{}".'
            while True:
                elements.append(self.value(expected))
                expected = 'Expected JSON value, but found "{}".'
                character = self.skip()
                if character == "]":
                    self.position += 1
                    break
                if character != ",":
                    self.fail('Expected "," or "]", but found "{}".')
                self.position += 1
        self.depth -= 1
        return Node("array", self.text, start, self.position, elements)


def parse_nodes(text: str) -> Node:
    """The whole text as nodes; 22P02 when it is not JSON."""
    reader = _Reader(text)
    try:
        node = reader.value()
    except RecursionError as error:
        raise SqlError(errcode.STATEMENT_TOO_COMPLEX, "stack depth limit exceeded") from error
    if reader.skip():
        reader.fail('Expected end of input, but found "{}".')
    return node


def node_tree(node: Node, number: Callable[[str], Any]) -> Any:
    """The value of a node: None, bool, str, list, dict, and what ``number`` makes of a number's text."""
    match node.kind:
        case "object":
            return {key: node_tree(child, number) for key, child in node.children}
        case "array":
            return [node_tree(child, number) for child in node.children]
        case "string":
            return node.string()
        case "number":
            return number(node.source)
    return {"true": True, "false": False, "null": None}[node.kind]


_decoder: Any = None


def _reject(name: str) -> NoReturn:
    raise ValueError(name)


def parse_fast(text: str, number: Callable[[str], Any] = Decimal) -> Any:
    """The value by the standard library's reader; ValueError or RecursionError when it cannot."""
    global _decoder
    if _decoder is None or _decoder[0] is not number:
        decoder = importlib.import_module("json").JSONDecoder
        _decoder = (number, decoder(parse_float=number, parse_int=number, parse_constant=_reject))
    return _decoder[1].decode(text)


def validate(text: str) -> None:
    """22P02 unless the text is JSON."""
    try:
        parse_fast(text, str)
    except (ValueError, RecursionError):
        parse_nodes(text)


def parse_tree(text: str, number: Callable[[str], Any]) -> Any:
    """The value; escapes are checked as for text of the database's encoding."""
    if "\\u" not in text:
        try:
            return parse_fast(text, number)
        except (ValueError, RecursionError):
            pass
    return node_tree(parse_nodes(text), number)
