"""LIKE, ILIKE and SIMILAR TO."""

import re
from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.collate import to_lower
from tusk.types.registry import CallContext, function

_compiled: dict[tuple[Any, ...], Any] = {}
_MAX_CACHED = 256


def _trailing_escape() -> SqlError:
    return SqlError(errcode.INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")


def like_parts(pattern: str) -> list[str | None]:
    """The pattern as literal characters; None is %, and "" stands for _."""
    parts: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            following = next(characters, None)
            if following is None:
                raise _trailing_escape()
            parts.append(following)
        elif character == "%":
            parts.append(None)
        elif character == "_":
            parts.append("")
        else:
            parts.append(character)
    return parts


def like_matcher(pattern: str) -> Callable[[str], bool]:
    """A test for texts that match the pattern as a whole."""
    key = ("like", pattern)
    matcher = _compiled.get(key)
    if matcher is None:
        if len(_compiled) >= _MAX_CACHED:
            _compiled.clear()
        matcher = _compiled[key] = _make_matcher(pattern)
    found: Callable[[str], bool] = matcher
    return found


def _make_matcher(pattern: str) -> Callable[[str], bool]:
    parts = like_parts(pattern)
    if "" not in parts:
        # Only % wildcards: plain string searches.
        pieces: list[str] = [""]
        for part in parts:
            if part is None:
                pieces.append("")
            else:
                pieces[-1] += part
        if len(pieces) == 1:
            whole = pieces[0]
            return lambda text: text == whole
        return _pieces_matcher(pieces)
    source = "".join(".*" if p is None else "." if p == "" else re.escape(p) for p in parts)
    compiled = re.compile(source, re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _pieces_matcher(pieces: list[str]) -> Callable[[str], bool]:
    first, *middle, last = pieces
    shortest = sum(map(len, pieces))

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for piece in middle:
            position = text.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return True

    return matches


function("textlike", "bpcharlike", "namelike")(lambda text, pattern: like_matcher(pattern)(text))
function("textnlike", "bpcharnlike", "namenlike")(lambda text, pattern: not like_matcher(pattern)(text))


def _ilike(ctx: CallContext, text: str, pattern: str) -> bool:
    return like_matcher(to_lower(pattern, ctx.collation))(to_lower(text, ctx.collation))


function("texticlike", "bpchariclike", "nameiclike", context=True)(_ilike)
function("texticnlike", "bpcharicnlike", "nameicnlike", context=True)(
    lambda ctx, text, pattern: not _ilike(ctx, text, pattern)
)


def _bytes_like(data: bytes, pattern: bytes) -> bool:
    return like_matcher(pattern.decode("latin-1"))(data.decode("latin-1"))


function("bytealike")(_bytes_like)
function("byteanlike")(lambda data, pattern: not _bytes_like(data, pattern))


def _like_escape(pattern: str, escape: str) -> str:
    """The pattern rewritten so that backslash is its escape character."""
    if not escape:
        return pattern.replace("\\", "\\\\")
    if len(escape) > 1:
        raise SqlError(
            errcode.INVALID_ESCAPE_SEQUENCE,
            "invalid escape string",
            hint="Escape string must be empty or one character.",
        )
    if escape == "\\":
        return pattern
    out: list[str] = []
    after_escape = False
    for character in pattern:
        if character == escape and not after_escape:
            out.append("\\")
            after_escape = True
        elif character == "\\":
            out.append("\\" if after_escape else "\\\\")
            after_escape = False
        else:
            out.append(character)
            after_escape = False
    return "".join(out)


function("like_escape")(_like_escape)


@function("like_escape_bytea")
def _like_escape_bytes(pattern: bytes, escape: bytes) -> bytes:
    return _like_escape(pattern.decode("latin-1"), escape.decode("latin-1")).encode("latin-1")


def similar_to_regex(pattern: str, escape: str | None) -> str:
    """An SQL regular expression as one of PostgreSQL's."""
    if escape is not None and len(escape) > 1:
        raise SqlError(
            errcode.INVALID_ESCAPE_SEQUENCE,
            "invalid escape string",
            hint="Escape string must be empty or one character.",
        )
    out = ["^(?:"]
    separators = 0
    after_escape = in_bracket = False
    bracket_start = 0
    for character in pattern:
        if after_escape:
            if character == '"' and not in_bracket:
                # The two escape-double-quotes of SUBSTRING SIMILAR part the pattern in three.
                if separators == 0:
                    out.append("){1,1}?(")
                elif separators == 1:
                    out.append("){1,1}(?:")
                else:
                    raise SqlError(
                        errcode.INVALID_USE_OF_ESCAPE_CHARACTER,
                        "SQL regular expression may not contain more than two escape-double-quote separators",
                    )
                separators += 1
            else:
                out.append("\\" + character)
            after_escape = False
        elif escape and character == escape:
            after_escape = True
        elif in_bracket:
            out.append("\\\\" if character == "\\" else character)
            bracket_start += 1
            if character == "]" and bracket_start > 1:
                in_bracket = False
            elif character == "^" and bracket_start == 1:
                bracket_start = 0
        elif character == "[":
            out.append(character)
            in_bracket, bracket_start = True, 0
        elif character == "%":
            out.append(".*")
        elif character == "_":
            out.append(".")
        elif character == "(":
            out.append("(?:")
        elif character in "\\.^$":
            out.append("\\" + character)
        else:
            out.append(character)
    out.append(")$")
    return "".join(out)


function("similar_to_escape_1")(lambda pattern: similar_to_regex(pattern, "\\"))
function("similar_to_escape_2")(similar_to_regex)


@function("similar_escape")
def _similar_escape(pattern: str | None, escape: str | None) -> str | None:
    if pattern is None:
        return None
    return similar_to_regex(pattern, "\\" if escape is None else escape)
