"""Checks of settings whose text has more than one spelling (commands/variable.h)."""

from __future__ import annotations

import re
from typing import Any

from tusk.config.parameters import parse_bool
from tusk.config.registry import on_check, settings
from tusk.errors import SqlError, errcode

_STYLES = {"iso": "ISO", "sql": "SQL", "postgres": "Postgres", "german": "German"}
_ORDERS = {
    "mdy": "MDY", "us": "MDY", "noneuro": "MDY", "noneuropean": "MDY", "dmy": "DMY", "euro": "DMY", "european": "DMY",
    "ymd": "YMD",
}  # fmt: skip


@on_check("DateStyle")
def check_date_style(value: Any, _source: Any) -> str:
    """``style, order`` in PostgreSQL's spelling; what is not mentioned stays as it is. 22023."""
    style, _, order = (part.strip() for part in str(settings.DateStyle).partition(","))
    have_style = have_order = False
    words = [part.strip() for part in str(value).split(",")] if str(value).strip() else []
    if not all(words):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "DateStyle": "{value}"',
            detail="List syntax is invalid.",
        )
    for part in words:
        word = (part[1:-1] if part[0] == part[-1] == '"' and len(part) > 1 else part).lower()
        if word == "default":
            style, order = "ISO", "MDY"
        elif word in _STYLES:
            if have_style and style != _STYLES[word]:
                raise _conflict(value)
            style, have_style = _STYLES[word], True
            if word == "german" and not have_order:
                order = "DMY"
        else:
            found = next((name for name in _ORDERS if word == name or (len(word) > 3 and name.startswith(word))), None)
            if found is None:
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE,
                    f'invalid value for parameter "DateStyle": "{value}"',
                    detail=f'Unrecognized key word: "{word}".',
                )
            if have_order and order != _ORDERS[found]:
                raise _conflict(value)
            order, have_order = _ORDERS[found], True
    return f"{style}, {order}"


def _conflict(value: Any) -> SqlError:
    return SqlError(
        errcode.INVALID_PARAMETER_VALUE,
        f'invalid value for parameter "DateStyle": "{value}"',
        detail='Conflicting "DateStyle" specifications.',
    )


def _list_items(name: str, value: Any, complaint: str) -> list[str]:
    """The items of a comma-separated list of identifiers, in lower case. 22023."""
    text = str(value).strip()
    items: list[str] = []
    while text:
        match = _LIST_ITEM.match(text)
        if match is None:
            raise _bad_value(name, value, complaint)
        quoted, plain, comma = match.groups()
        items.append((quoted.replace('""', '"') if quoted is not None else plain).lower())
        text = text[match.end() :].strip()
        if comma is None and text or comma is not None and not text:
            raise _bad_value(name, value, complaint)
    return items


_LIST_ITEM = re.compile(r'(?:"((?:[^"]|"")*)"|([^\s,"]+))\s*(,)?')


def _bad_value(name: str, value: Any, detail: str) -> SqlError:
    return SqlError(
        errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "{name}": "{value}"', detail=detail
    )


@on_check("log_destination")
def check_log_destination(value: Any, _source: Any) -> str:
    """A list of destinations that exist here (eventlog is Windows'). 22023."""
    for item in _list_items("log_destination", value, "List syntax is invalid."):
        if item not in ("stderr", "syslog", "csvlog", "jsonlog"):
            raise _bad_value("log_destination", value, f'Unrecognized key word: "{item}".')
    return str(value)


CONNECTION_ASPECTS = ("receipt", "authentication", "authorization", "setup_durations")


def connection_aspects(value: str) -> frozenset[str]:
    """What ``log_connections`` asks for: a list, ``all``, or the Boolean of earlier releases (the first three)."""
    items = _list_items("log_connections", value, 'Invalid list syntax in parameter "log_connections".')
    if len(items) == 1:
        word = parse_bool(items[0])
        if word is not None:
            return frozenset(CONNECTION_ASPECTS[:3]) if word else frozenset()
    found: set[str] = set()
    for item in items:
        if item == "all":
            found |= set(CONNECTION_ASPECTS)
        elif item in CONNECTION_ASPECTS:
            found.add(item)
        elif parse_bool(item) is not None:
            raise _bad_value(
                "log_connections", value,
                f'Cannot specify log_connections option "{item}" in a list with other options.',
            )
        else:
            raise _bad_value("log_connections", value, f'Invalid option "{item}".')
    return frozenset(found)


@on_check("log_connections")
def check_log_connections(value: Any, _source: Any) -> str:
    """A value that `connection_aspects` understands. 22023."""
    connection_aspects(str(value))
    return str(value)
