"""Checks of settings whose text has more than one spelling (commands/variable.h)."""

from __future__ import annotations

from typing import Any

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
    for word in (part.strip().lower() for part in str(value).split(",")):
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


@on_check("client_encoding")
def check_client_encoding(value: Any, _source: Any) -> str:
    """The canonical name of an encoding that can be served: UTF8, and SQL_ASCII for bytes as they are. 22023, 0A000."""
    name = str(value).upper().replace("-", "").replace("_", "")
    if name in ("UTF8", "UNICODE"):
        return "UTF8"
    if name == "SQLASCII":
        return "SQL_ASCII"
    known = ("LATIN", "ISO8859", "WIN", "EUC", "SJIS", "BIG5", "GBK", "GB18030", "KOI8", "UHC", "JOHAB", "MULE")
    if name.startswith(known):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'client encoding "{value}" is not supported yet'
        )
    raise SqlError(
        errcode.INVALID_PARAMETER_VALUE,
        f'invalid value for parameter "client_encoding": "{value}"',
    )
