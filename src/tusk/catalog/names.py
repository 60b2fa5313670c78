"""How objects are written: type names, function and operator signatures."""

from __future__ import annotations

from collections.abc import Sequence

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.namespace import (
    function_is_visible,
    get_namespace_name,
    operator_is_visible,
    relation_is_visible,
    type_is_visible,
)

_SQL_NAMES = {
    16: "boolean", 1042: "character", 18: '"char"', 700: "real", 701: "double precision", 23: "integer",
    21: "smallint", 20: "bigint", 1700: "numeric", 1186: "interval", 1083: "time without time zone",
    1266: "time with time zone", 1114: "timestamp without time zone", 1184: "timestamp with time zone",
    1043: "character varying", 1560: "bit", 1562: "bit varying", 114: "json",
}  # fmt: skip
_INTERVAL_RANGES = {
    4: " year", 2: " month", 8: " day", 1024: " hour", 2048: " minute", 4096: " second", 6: " year to month",
    1032: " day to hour", 3080: " day to minute", 7176: " day to second", 3072: " hour to minute",
    7168: " hour to second", 6144: " minute to second",
}  # fmt: skip
INTERVAL_FULL_RANGE, INTERVAL_FULL_PRECISION = 0x7FFF, 0xFFFF


def typmod_text(type_oid: int, typmod: int) -> str:
    """What the type's typmodout function gives: ``(10,2)``, ``(30)``, `` hour to second(3)``."""
    if typmod < 0:
        return ""
    if type_oid == 1700:
        body = typmod - 4
        if body < 0:
            return ""
        scale = ((body & 0x7FF) ^ 1024) - 1024
        return f"({body >> 16 & 0xFFFF},{scale})"
    if type_oid in (1042, 1043):
        return f"({typmod - 4})" if typmod > 4 else ""
    if type_oid in (1083, 1114):
        return f"({typmod}) without time zone"
    if type_oid in (1266, 1184):
        return f"({typmod}) with time zone"
    if type_oid == 1186:
        fields = typmod >> 16 & 0x7FFF
        precision = typmod & 0xFFFF
        text = "" if fields == INTERVAL_FULL_RANGE else _INTERVAL_RANGES.get(fields, "")
        return text + (f"({precision})" if precision != INTERVAL_FULL_PRECISION else "")
    return f"({typmod})"


def format_type(
    type_oid: int, typmod: int | None = None, *, qualify: bool = False, invalid_as: str | None = None
) -> str:
    """The SQL name of a type; with a typmod, its modifier too (format_type_extended).

    ``typmod`` None means that none is asked for, -1 that there is none: the difference shows with character and bit.
    """
    if type_oid == 0:
        return "-"
    row = lookup(c.TYPEOID, type_oid)
    if row is None:
        return "???" if invalid_as is None else invalid_as
    suffix = ""
    if row.typsubscript == 6179 and row.typstorage != "p" and row.typelem:
        element = lookup(c.TYPEOID, row.typelem)
        if element is None:
            return "???[]"
        suffix = "[]"
        row = element
    oid = row.oid
    name = _SQL_NAMES.get(oid)
    given = typmod is not None and typmod >= 0
    if name is not None:
        if oid in (1042, 1560) and typmod is not None and not given:
            # A bare CHAR or BIT would mean a length of one: the internal name has no such reading.
            name = "bpchar" if oid == 1042 else '"bit"'
        elif given:
            assert typmod is not None
            if oid in (1083, 1114, 1266, 1184):
                name = name.split(" ")[0] + typmod_text(oid, typmod)
            elif oid in (1700, 1042, 1043, 1186, 1560, 1562):
                name += typmod_text(oid, typmod)
        return name + suffix
    if qualify or not type_is_visible(oid):
        schema = get_namespace_name(row.typnamespace)
        text = quote_qualified_identifier(schema, row.typname)
    else:
        text = quote_identifier(row.typname)
    if given:
        assert typmod is not None
        text += typmod_text(oid, typmod)
    return text + suffix


def format_procedure(oid: int, *, qualify: bool = False) -> str:
    """``name(type,type)``, with its schema where it is not visible; the OID if it does not exist (regprocedureout)."""
    row = lookup(c.PROCOID, oid)
    if row is None:
        return str(oid)
    schema = get_namespace_name(row.pronamespace) if qualify or not function_is_visible(oid) else None
    arguments = ",".join(format_type(argument, qualify=qualify) for argument in row.proargtypes)
    return f"{quote_qualified_identifier(schema, row.proname)}({arguments})"


def format_operator(oid: int, *, qualify: bool = False) -> str:
    """``name(type,type)`` of an operator (regoperatorout)."""
    row = lookup(c.OPEROID, oid)
    if row is None:
        return str(oid)
    prefix = ""
    if qualify or not operator_is_visible(oid):
        prefix = quote_identifier(get_namespace_name(row.oprnamespace) or "") + "."
    left = format_type(row.oprleft, qualify=qualify) if row.oprleft else "NONE"
    return f"{prefix}{row.oprname}({left},{format_type(row.oprright, qualify=qualify)})"


def relation_name(oid: int) -> str:
    """A relation's name, with its schema where it is not visible."""
    row = lookup(c.RELOID, oid)
    if row is None:
        return str(oid)
    schema = None if relation_is_visible(oid) else get_namespace_name(row.relnamespace)
    return quote_qualified_identifier(schema, row.relname)


def list_words(words: Sequence[str]) -> str:
    """Words with commas, for messages."""
    return ", ".join(words)
