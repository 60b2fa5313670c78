"""The C library libpg_query inside the ``postgast`` package, through ctypes.

Only the shared object is used: importing ``postgast`` itself pulls in protobuf, which costs more than a server start.
"""

from __future__ import annotations

import ctypes
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tusk.errors import SqlError, errcode


class _Error(ctypes.Structure):
    _fields_ = [
        ("message", ctypes.c_char_p),
        ("funcname", ctypes.c_char_p),
        ("filename", ctypes.c_char_p),
        ("lineno", ctypes.c_int),
        ("cursorpos", ctypes.c_int),
        ("context", ctypes.c_char_p),
    ]


class _ParseResult(ctypes.Structure):
    _fields_ = [
        ("tree", ctypes.c_char_p),
        ("stderr_buffer", ctypes.c_char_p),
        ("error", ctypes.POINTER(_Error)),
    ]


@cache
def _library() -> ctypes.CDLL:
    spec = find_spec("postgast")
    if spec is None or not spec.submodule_search_locations:
        raise SqlError(errcode.UNDEFINED_FILE, 'could not find the package "postgast"')
    library = ctypes.CDLL(str(Path(spec.submodule_search_locations[0], "libpg_query.so")))
    library.pg_query_parse.argtypes = [ctypes.c_char_p]
    library.pg_query_parse.restype = _ParseResult
    library.pg_query_free_parse_result.argtypes = [_ParseResult]
    library.pg_query_free_parse_result.restype = None
    library.pg_query_parse_plpgsql.argtypes = [ctypes.c_char_p]
    library.pg_query_parse_plpgsql.restype = _ParseResult
    library.pg_query_free_plpgsql_parse_result.argtypes = [_ParseResult]
    library.pg_query_free_plpgsql_parse_result.restype = None
    return library


# Messages of the scanner and grammar that have an SQLSTATE other than syntax error.
_STATES = (
    ("unsafe use of string constant with Unicode escapes", errcode.FEATURE_NOT_SUPPORTED),
    ("unsafe use of \\' in a string literal", errcode.NONSTANDARD_USE_OF_ESCAPE_CHARACTER),
    ("invalid Unicode escape", errcode.INVALID_ESCAPE_SEQUENCE),
    ("is not yet implemented", errcode.FEATURE_NOT_SUPPORTED),
    ("not implemented", errcode.FEATURE_NOT_SUPPORTED),
    ("not supported", errcode.FEATURE_NOT_SUPPORTED),
    ("cannot be marked", errcode.FEATURE_NOT_SUPPORTED),
    ("invalid byte sequence", errcode.CHARACTER_NOT_IN_REPERTOIRE),
    ("column number must be in range", errcode.INVALID_PARAMETER_VALUE),
    ("interval precision specified twice", errcode.SYNTAX_ERROR),
    ("frame starting from", errcode.WINDOWING_ERROR),
    ("frame start cannot be", errcode.WINDOWING_ERROR),
    ("frame end cannot be", errcode.WINDOWING_ERROR),
    ("precision for type", errcode.INVALID_PARAMETER_VALUE),
    ("WITH TIES cannot be specified without ORDER BY", errcode.SYNTAX_ERROR),
)


def _raise(error: _Error) -> None:
    message = (error.message or b"syntax error").decode("utf-8", "replace")
    state = next((state for words, state in _STATES if words in message), errcode.SYNTAX_ERROR)
    raise SqlError(state, message, position=max(error.cursorpos, 0))


def parse_to_json(text: str) -> dict[str, Any]:
    """The raw parse trees of a query string as libpg_query's JSON; 42601 with its position when it cannot be parsed."""
    library = _library()
    result = library.pg_query_parse(text.encode("utf-8", "surrogateescape"))
    try:
        if result.error:
            _raise(result.error.contents)
        tree: dict[str, Any] = json.loads(result.tree)
    finally:
        library.pg_query_free_parse_result(result)
    return tree


def parse_plpgsql_to_json(text: str) -> list[Any]:
    """The statements of the PL/pgSQL functions in a CREATE FUNCTION or DO text, as libpg_query's JSON."""
    library = _library()
    result = library.pg_query_parse_plpgsql(text.encode("utf-8", "surrogateescape"))
    try:
        if result.error:
            _raise(result.error.contents)
        tree: list[Any] = json.loads(result.tree)
    finally:
        library.pg_query_free_plpgsql_parse_result(result)
    return tree
