"""Options of utility statements: the values of DefElem nodes, and storage parameters (define.c, reloptions.c)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tusk.errors import SqlError, errcode
from tusk.sql.analyze.typenames import type_name_to_string
from tusk.sql.nodes import A_Star, Boolean, Float, Integer, String, TypeName


def string_of(item: Any) -> str:
    """The value of an option as text; 42601 without one (defGetString)."""
    value = item.arg
    if value is None:
        raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a parameter")
    match value:
        case Integer():
            return str(value.ival)
        case Float():
            return str(value.fval)
        case Boolean():
            return "true" if value.boolval else "false"
        case String():
            return value.sval or ""
        case TypeName():
            return type_name_to_string(value)
        case A_Star():
            return "*"
        case list():
            return ".".join(part.sval for part in value)
    raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized node type: {type(value).__name__}")


def boolean_of(item: Any) -> bool:
    """A Boolean option; without a value it is true (defGetBoolean)."""
    value = item.arg
    if value is None:
        return True
    if isinstance(value, Integer):
        if value.ival in (0, 1):
            return bool(value.ival)
    elif not isinstance(value, Float):
        text = string_of(item).lower()
        if text in ("true", "on"):
            return True
        if text in ("false", "off"):
            return False
    raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a Boolean value")


def integer_of(item: Any) -> int:
    """A whole number of 64 bits (defGetInt64)."""
    value = item.arg
    if value is None:
        raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a numeric value")
    if isinstance(value, Integer):
        return int(value.ival)
    if isinstance(value, Float):
        try:
            number = int(value.fval or "")
        except ValueError:
            raise SqlError(
                errcode.INVALID_TEXT_REPRESENTATION, f'invalid input syntax for type bigint: "{value.fval}"'
            ) from None
        if not -(2**63) <= number < 2**63:
            raise SqlError(
                errcode.NUMERIC_VALUE_OUT_OF_RANGE, f'value "{value.fval}" is out of range for type bigint'
            )
        return number
    raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a numeric value")


def names_of(item: Any) -> list[str]:
    """A possibly qualified name (defGetQualifiedName)."""
    value = item.arg
    if isinstance(value, TypeName):
        return [part.sval or "" for part in value.names]
    if isinstance(value, list):
        return [part.sval for part in value]
    if isinstance(value, String):
        return [value.sval or ""]
    raise SqlError(errcode.SYNTAX_ERROR, f"argument of {item.defname} must be a name")


def conflicting(item: Any, context: Any = None) -> SqlError:
    """The error for an option given twice."""
    error = SqlError(errcode.SYNTAX_ERROR, "conflicting or redundant options")
    if context is not None and item.location >= 0:
        error.position = position(context, item.location)
    return error


def position(context: Any, location: int) -> int:
    """The character position, from 1, of a byte location in the statement text."""
    if location is None or location < 0:
        return 0
    text: str = context.query_text
    if text.isascii():
        return location + 1
    return len(text.encode("utf-8", "surrogateescape")[:location].decode("utf-8", "replace")) + 1


class Parameter(NamedTuple):
    """A storage parameter: its kind (bool, int, real, enum), bounds, and the relations that have it.

    Kinds of relations are letters: t heap table, T toast table, b b-tree, h hash, g gist, s spgist, i gin, r brin,
    v view.
    """

    kind: str
    relations: str
    low: float = 0
    high: float = 0
    values: tuple[str, ...] = ()


_INT_MAX = 2147483647
PARAMETERS: dict[str, Parameter] = {
    "autosummarize": Parameter("bool", "r"),
    "autovacuum_enabled": Parameter("bool", "tT"),
    "user_catalog_table": Parameter("bool", "t"),
    "fastupdate": Parameter("bool", "i"),
    "security_barrier": Parameter("bool", "v"),
    "security_invoker": Parameter("bool", "v"),
    "vacuum_truncate": Parameter("bool", "tT"),
    "deduplicate_items": Parameter("bool", "b"),
    "fillfactor": Parameter("int", "tbhgs", 10, 100),
    "autovacuum_vacuum_threshold": Parameter("int", "tT", 0, _INT_MAX),
    "autovacuum_vacuum_max_threshold": Parameter("int", "tT", -1, _INT_MAX),
    "autovacuum_vacuum_insert_threshold": Parameter("int", "tT", -1, _INT_MAX),
    "autovacuum_analyze_threshold": Parameter("int", "t", 0, _INT_MAX),
    "autovacuum_vacuum_cost_limit": Parameter("int", "tT", 1, 10000),
    "autovacuum_freeze_min_age": Parameter("int", "tT", 0, 1000000000),
    "autovacuum_multixact_freeze_min_age": Parameter("int", "tT", 0, 1000000000),
    "autovacuum_freeze_max_age": Parameter("int", "tT", 100000, 2000000000),
    "autovacuum_multixact_freeze_max_age": Parameter("int", "tT", 10000, 2000000000),
    "autovacuum_freeze_table_age": Parameter("int", "tT", 0, 2000000000),
    "autovacuum_multixact_freeze_table_age": Parameter("int", "tT", 0, 2000000000),
    "log_autovacuum_min_duration": Parameter("int", "tT", -1, _INT_MAX),
    "toast_tuple_target": Parameter("int", "t", 128, 8160),
    "pages_per_range": Parameter("int", "r", 1, 131072),
    "gin_pending_list_limit": Parameter("int", "i", 64, _INT_MAX),
    "parallel_workers": Parameter("int", "t", 0, 1024),
    "autovacuum_vacuum_cost_delay": Parameter("real", "tT", 0.0, 100.0),
    "autovacuum_vacuum_scale_factor": Parameter("real", "tT", 0.0, 100.0),
    "autovacuum_vacuum_insert_scale_factor": Parameter("real", "tT", 0.0, 100.0),
    "autovacuum_analyze_scale_factor": Parameter("real", "t", 0.0, 100.0),
    "vacuum_max_eager_freeze_failure_rate": Parameter("real", "tT", 0.0, 1.0),
    "vacuum_index_cleanup": Parameter(
        "enum", "tT", values=("auto", "on", "off", "true", "false", "yes", "no", "1", "0")
    ),
    "check_option": Parameter("enum", "v", values=("local", "cascaded")),
    "buffering": Parameter("enum", "g", values=("auto", "on", "off")),
}
_BOOLEANS = {"true", "on", "yes", "1", "false", "off", "no", "0", "t", "f"}
_ENUM_DETAIL = {
    "vacuum_index_cleanup": 'Valid values are "on", "off", and "auto".',
    "check_option": 'Valid values are "local" and "cascaded".',
    "buffering": 'Valid values are "on", "off", and "auto".',
}
# Parameters of tables and indexes that this server keeps, shows and obeys where it applies; the rest are kept only.
COLUMN_PARAMETERS = ("n_distinct", "n_distinct_inherited")


def _number(text: str, name: str, kind: str) -> float:
    try:
        return int(text, 0) if kind == "int" else float(text)
    except ValueError:
        what = "integer" if kind == "int" else "floating point"
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'invalid value for {what} option "{name}": {text}'
        ) from None


def check_parameter(name: str, text: str, relation: str) -> None:
    """Raise 22023 unless a storage parameter exists for this kind of relation and has such values."""
    known = PARAMETERS.get(name)
    if known is None or relation not in known.relations:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'unrecognized parameter "{name}"')
    if known.kind == "bool":
        if text.lower() not in _BOOLEANS:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid value for boolean option "{name}": {text}')
    elif known.kind == "enum":
        if text.lower() not in known.values:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f'invalid value for enum option "{name}": {text}',
                detail=_ENUM_DETAIL[name],
            )
    else:
        number = _number(text, name, known.kind)
        if not known.low <= number <= known.high:
            if known.kind == "int":
                low, high = str(int(known.low)), str(int(known.high))
            else:
                low, high = f"{known.low:f}", f"{known.high:f}"
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f'value {text} out of bounds for option "{name}"',
                detail=f'Valid values are between "{low}" and "{high}".',
            )


def storage_parameters(
    items: Iterable[Any],
    relation: str,
    *,
    namespace: str | None = None,
    namespaces: Sequence[str] = (),
    old: tuple[str, ...] | None = None,
    reset: bool = False,
) -> tuple[str, ...] | None:
    """reloptions after SET or RESET of the items of one namespace (None, or "toast") (transformRelOptions)."""
    items = list(items)
    for item in items:
        if item.defnamespace is not None and item.defnamespace not in namespaces:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f'unrecognized parameter namespace "{item.defnamespace}"'
            )
    mine = [item for item in items if item.defnamespace == namespace]
    names = {item.defname for item in mine}
    kept = [text for text in old or () if text.partition("=")[0] not in names]
    if reset:
        for item in mine:
            if item.arg is not None:
                raise SqlError(errcode.SYNTAX_ERROR, "RESET must not include values for parameters")
        return tuple(kept) or None
    seen: set[str] = set()
    for item in mine:
        text = "true" if item.arg is None else string_of(item)
        if namespace is None and item.defname == "oids":
            # WITH OIDS is gone; WITH (oids = false) is still taken.
            if boolean_of(item):
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED, "tables declared WITH OIDS are not supported"
                )
            continue
        if "=" in item.defname:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f'invalid option name "{item.defname}": must not contain "="',
            )
        if item.defname in seen:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'parameter "{item.defname}" specified more than once')
        seen.add(item.defname)
        check_parameter(item.defname, text, relation)
        kept.append(f"{item.defname}={text}")
    return tuple(kept) or None
