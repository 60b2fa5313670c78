"""Session information, sizes, checks of input, options, time zone lists, and the pseudo-types' refusals."""

import os
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import codec_for
from tusk.types.dates import now
from tusk.types.format_type import format_type
from tusk.types.numeric import multiply, numeric_round
from tusk.types.numeric_format import numeric_text, parse_numeric
from tusk.types.registry import CallContext, function, services
from tusk.types.timezone import Zone, instant_offset, load_zone, session_zone, zone_names
from tusk.types.timezone_abbreviations import ABBREVIATIONS
from tusk.types.values import Array, Interval

NAMEOID = 19
SERVER_VERSION = "18.4"


@function("pgsql_version")
def version() -> str:
    """The version string: programs parse its first two words."""
    bits = "64-bit" if sys.maxsize > 1 << 32 else "32-bit"
    return f"PostgreSQL {SERVER_VERSION} (Tusk) on {os.uname().machine}-pc-linux-gnu, {bits}"


@function("current_database")
def _current_database() -> str:
    return str(services.call("current_database"))


@function("current_user")
def _current_user() -> str:
    return str(services.call("current_user"))


@function("session_user")
def _session_user() -> str:
    return str(services.call("session_user"))


@function("system_user")
def _system_user() -> str | None:
    name: str | None = services.call("system_user")
    return name


@function("current_schema")
def _current_schema() -> str | None:
    path = services.call("search_path", False)
    return path[0] if path else None


@function("current_schemas")
def _current_schemas(implicit: bool) -> Array:
    return Array.of(NAMEOID, services.call("search_path", implicit))


@function("current_query")
def _current_query() -> str | None:
    text: str | None = services.call("current_query")
    return text


@function("pg_column_size", context=True)
def _column_size(ctx: CallContext, value: Any) -> int:
    codec = codec_for(ctx.argument_types[0])
    if codec.typlen > 0:
        return codec.typlen
    payload = codec.to_disk(value)
    # As an untoasted datum: a short header where that is enough.
    return len(payload) + 1 if codec.typlen == -2 else len(payload) + 4


def _count_nulls(ctx: CallContext, values: tuple[Any, ...]) -> tuple[int, int] | None:
    if ctx.variadic:
        if values[-1] is None:
            return None
        values = values[-1].elements
    nulls = sum(value is None for value in values)
    return nulls, len(values) - nulls


@function("pg_num_nulls", context=True)
def _num_nulls(ctx: CallContext, *values: Any) -> int | None:
    counts = _count_nulls(ctx, values)
    return None if counts is None else counts[0]


@function("pg_num_nonnulls", context=True)
def _num_nonnulls(ctx: CallContext, *values: Any) -> int | None:
    counts = _count_nulls(ctx, values)
    return None if counts is None else counts[1]


_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


@function("pg_size_pretty")
def _size_pretty(size: int) -> str:
    sign, size = (-1, -size) if size < 0 else (1, size)
    if size < 10 * 1024:
        return f"{sign * size} bytes"
    # One bit more than shown is kept for rounding half up.
    size >>= 9
    for unit in _UNITS[1:]:
        if size < 20 * 1024 - 1 or unit == _UNITS[-1]:
            return f"{sign * ((size + 1) // 2)} {unit}"
        size >>= 10
    raise AssertionError


@function("pg_size_pretty_numeric")
def _size_pretty_numeric(size: Decimal) -> str:
    magnitude = abs(size)
    for index, unit in enumerate(_UNITS):
        limit = 10 * 1024 if index == 0 else 20 * 1024 - 1
        if magnitude < limit or unit == _UNITS[-1]:
            if index:
                half = magnitude.to_integral_value(rounding="ROUND_FLOOR")
                rounded = (int(half) + 1) // 2
                return f"{-rounded if size < 0 else rounded} {unit}"
            return f"{numeric_text(size)} {unit}"
        magnitude = Decimal(int(magnitude) >> (9 if index == 0 else 10))
    raise AssertionError


_SIZE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)
_FACTORS = {"bytes": 0, "b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "pb": 5}


@function("pg_size_bytes")
def _size_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid size: "{text}"')
    number = parse_numeric(match[1])
    unit = match[2]
    if unit:
        power = _FACTORS.get(unit.lower())
        if power is None:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f'invalid size: "{text}"',
                detail=f'Invalid size unit: "{unit}".',
                hint='Valid units are "bytes", "B", "kB", "MB", "GB", "TB", and "PB".',
            )
        number = multiply(number, Decimal(1024**power))
    size = int(numeric_round(number, 0))
    if not -(1 << 63) <= size < 1 << 63:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
    return size


def _try_input(text: str, type_name: str) -> SqlError | None:
    type_oid, typmod = services.call("parse_type", type_name)
    try:
        codec_for(type_oid).input(text, typmod)
    except SqlError as error:
        if not error.sqlstate.startswith(("22", "23")):
            raise
        return error
    return None


@function("pg_input_is_valid")
def _input_is_valid(text: str, type_name: str) -> bool:
    return _try_input(text, type_name) is None


@function("pg_input_error_info")
def _input_error_info(text: str, type_name: str) -> tuple[str | None, str | None, str | None, str | None]:
    error = _try_input(text, type_name)
    if error is None:
        return None, None, None, None
    return error.message, error.detail, error.hint, error.sqlstate


@function("pg_options_to_table", set_returning=True)
def _options(options: Array) -> Iterator[tuple[str, str | None]]:
    for option in options.elements:
        name, separator, value = option.partition("=")
        yield name, value if separator else None


@function("pg_basetype")
def _basetype(type_oid: int) -> int | None:
    info = services.type_info(type_oid)
    if info is None:
        return None
    while info.typtype == "d":
        type_oid = info.typbasetype
        following = services.type_info(type_oid)
        assert following is not None
        info = following
    return type_oid


@function("pg_collation_for", context=True)
def _collation_for(ctx: CallContext, value: Any) -> str | None:
    info = services.type_info(ctx.argument_types[0])
    if info is None or (not info.typcollation and info.typname != "unknown"):
        raise SqlError(
            errcode.DATATYPE_MISMATCH, f"collations are not supported by type {format_type(ctx.argument_types[0])}"
        )
    if not ctx.collation:
        return None
    name = services.call("collation_name", ctx.collation)
    return None if name is None else str(name)


@function("pg_timezone_names", set_returning=True)
def _timezone_names() -> Iterator[tuple[str, str, Interval, bool]]:
    us = now()
    for name in sorted(zone_names().values()):
        zone = load_zone(name)
        if zone is not None:
            east, daylight, abbreviation = instant_offset(zone, us)
            yield name, abbreviation, Interval(0, 0, east * 1_000_000), daylight


@function("pg_timezone_abbrevs_abbrevs", set_returning=True)
def _timezone_abbreviations() -> Iterator[tuple[str, Interval, bool]]:
    us = now()
    for name, entry in sorted(ABBREVIATIONS.items()):
        if isinstance(entry, str):
            zone = load_zone(entry)
            if zone is None:
                continue
            found = zone.abbreviation_at(name, us // 1_000_000 + 946684800)
            east, daylight = found if found is not None else instant_offset(zone, us)[:2]
        else:
            east, daylight = entry
        yield name.upper(), Interval(0, 0, east * 1_000_000), daylight


@function("pg_timezone_abbrevs_zone", set_returning=True)
def _zone_abbreviations() -> Iterator[tuple[str, Interval, bool]]:
    zone: Zone = session_zone()
    for name in zone.abbreviations():
        meaning = zone.abbreviation(name)
        if meaning is not None:
            yield name, Interval(0, 0, meaning[0] * 1_000_000), meaning[1]


# Pseudo-types: no values of them come from or go to a client.

_PSEUDO = (
    "any", "anyarray", "anyelement", "anynonarray", "anyenum", "anyrange", "anymultirange", "anycompatible",
    "anycompatiblearray", "anycompatiblenonarray", "anycompatiblerange", "anycompatiblemultirange", "trigger",
    "event_trigger", "language_handler", "fdw_handler", "table_am_handler", "index_am_handler", "tsm_handler",
    "internal", "pg_ddl_command",
)  # fmt: skip


def _refuse(verb: str, name: str) -> Any:
    def refuse(*arguments: Any) -> Any:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"cannot {verb} a value of type {name}")

    return refuse


for _name in _PSEUDO:
    function(_name + "_in")(_refuse("accept", _name))
    if _name not in ("anyarray", "anycompatiblearray", "anyenum", "anyrange", "anymultirange",
                     "anycompatiblerange", "anycompatiblemultirange"):  # fmt: skip
        function(_name + "_out")(_refuse("display", _name))
function("anyarray_recv", "anycompatiblearray_recv")(_refuse("accept", "anyarray"))
function("shell_in")(_refuse("accept", "a shell type"))
function("shell_out")(_refuse("display", "a shell type"))


@function("anyenum_out", context=True)
def _anyenum_out(ctx: CallContext, value: int) -> str:
    return codec_for(ctx.argument_types[0]).output(value)
