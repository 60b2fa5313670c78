"""SQL values as JSON: to_json, row_to_json, array_to_json, json_build_*, json_agg and their jsonb forms."""

from collections.abc import Callable, Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.calendar import DATE_NOBEGIN, DATE_NOEND, from_days
from tusk.types.codec import codec_for
from tusk.types.datetime_format import json_timestamp
from tusk.types.json_parse import parse_tree
from tusk.types.jsonb_format import JSONBOID, JSONOID, normalise, quote, tree_text
from tusk.types.numeric_format import parse_numeric
from tusk.types.records import columns_of
from tusk.types.registry import CallContext, TypeInfo, function, services
from tusk.types.timezone import instant_offset, session_zone
from tusk.types.values import Array, Jsonb, Record

_NUMBERS = {20, 21, 23, 700, 701, 1700}
BOOLOID, DATEOID, TIMESTAMPOID, TIMESTAMPTZOID = 16, 1082, 1114, 1184
_NUMBER_START = frozenset("0123456789-")


def _base(type_oid: int) -> tuple[int, TypeInfo | None]:
    info = services.type_info(type_oid)
    while info is not None and info.typtype == "d":
        type_oid = info.typbasetype
        info = services.type_info(type_oid)
    return type_oid, info


def _date_text(days: int) -> str:
    if days == DATE_NOBEGIN:
        return "-infinity"
    if days == DATE_NOEND:
        return "infinity"
    year, month, day = from_days(days)
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}{'' if year > 0 else ' BC'}"


def _is_number(text: str) -> bool:
    return text[:1] in _NUMBER_START and text != "-Infinity"


def _scalar_string(type_oid: int, value: Any) -> str:
    """Text of a value that becomes a JSON string."""
    if type_oid == DATEOID:
        return _date_text(value)
    if type_oid == TIMESTAMPOID:
        return json_timestamp(value, None)
    if type_oid == TIMESTAMPTZOID:
        return json_timestamp(value, instant_offset(session_zone(), value)[0] if abs(value) < 1 << 62 else 0)
    return codec_for(type_oid).output(value)


def json_text(type_oid: int, value: Any, line_feeds: bool = False) -> str:
    """Any value as JSON text."""
    if value is None:
        return "null"
    type_oid, info = _base(type_oid)
    if type_oid == BOOLOID:
        return "true" if value else "false"
    if type_oid in _NUMBERS:
        text = codec_for(type_oid).output(value)
        return text if _is_number(text) else quote(text)
    if type_oid == JSONOID:
        return str(value)
    if type_oid == JSONBOID:
        return tree_text(value.tree)
    if isinstance(value, Array) and info is not None and info.is_array:
        return _array_text(value, line_feeds)
    if isinstance(value, Record):
        return _record_text(value, line_feeds)
    return quote(_scalar_string(type_oid, value))


def _array_text(value: Array, line_feeds: bool) -> str:
    if not value.elements:
        return "[]"
    items = [json_text(value.element_type, item) for item in value.elements]
    for level, dim in enumerate(reversed(value.dims)):
        outermost = level == len(value.dims) - 1
        separator = ",\n " if line_feeds and outermost else ","
        items = ["[" + separator.join(items[i : i + dim]) + "]" for i in range(0, len(items), dim)]
    return items[0]


def _record_text(value: Record, line_feeds: bool) -> str:
    parts = [
        f"{quote(column.name)}:{json_text(column.type_oid, item)}"
        for column, item in zip(columns_of(value), value.values, strict=True)
        if not column.is_dropped
    ]
    return "{" + (",\n " if line_feeds else ",").join(parts) + "}"


def json_tree(type_oid: int, value: Any) -> Any:
    """Any value as a jsonb tree."""
    if value is None:
        return None
    type_oid, info = _base(type_oid)
    if type_oid == BOOLOID:
        return bool(value)
    if type_oid == 1700:
        return value if value.is_finite() else codec_for(1700).output(value)
    if type_oid in _NUMBERS:
        text = codec_for(type_oid).output(value)
        return parse_numeric(text) if _is_number(text) else text
    if type_oid == JSONOID:
        return normalise(parse_tree(value, parse_numeric))
    if type_oid == JSONBOID:
        return value.tree
    if isinstance(value, Array) and info is not None and info.is_array:
        items: list[Any] = [json_tree(value.element_type, item) for item in value.elements]
        for dim in reversed(value.dims[1:]):
            items = [items[i : i + dim] for i in range(0, len(items), dim)]
        return items
    if isinstance(value, Record):
        pairs = zip(columns_of(value), value.values, strict=True)
        return normalise({c.name: json_tree(c.type_oid, item) for c, item in pairs if not c.is_dropped})
    return _scalar_string(type_oid, value)


@function("to_json", context=True)
def _to_json(ctx: CallContext, value: Any) -> str:
    return json_text(ctx.argument_types[0], value)


@function("to_jsonb", context=True)
def _to_jsonb(ctx: CallContext, value: Any) -> Jsonb:
    return Jsonb(None, json_tree(ctx.argument_types[0], value))


@function("row_to_json")
def _row_to_json(value: Record) -> str:
    return _record_text(value, False)


@function("row_to_json_pretty")
def _row_to_json_pretty(value: Record, pretty: bool) -> str:
    return _record_text(value, pretty)


@function("array_to_json")
def _array_to_json(value: Array) -> str:
    return _array_text(value, False)


@function("array_to_json_pretty")
def _array_to_json_pretty(value: Array, pretty: bool) -> str:
    return _array_text(value, pretty)


Pairs = list[tuple[int, Any]]


def _arguments(ctx: CallContext, values: tuple[Any, ...]) -> Pairs | None:
    """(type, value) of variadic arguments; None for VARIADIC NULL."""
    if not ctx.variadic:
        return list(zip(ctx.argument_types, values, strict=False))
    array = values[-1]
    return None if array is None else [(array.element_type, item) for item in array.elements]


def _key_text(type_oid: int, value: Any) -> str:
    """A value as an object's key."""
    type_oid, _ = _base(type_oid)
    if isinstance(value, Array | Record) or type_oid in (JSONOID, JSONBOID):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, "key value must be scalar, not array, composite, or json"
        )
    if type_oid == BOOLOID:
        return "true" if value else "false"
    return _scalar_string(type_oid, value)


def _check_even(arguments: Pairs, name: str) -> None:
    if len(arguments) % 2:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            "argument list must have even number of elements",
            hint=f"The arguments of {name}() must consist of alternating keys and values.",
        )


def _null_key(position: int) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, f"argument {position + 1}: key must not be null")


@function("json_build_object", context=True)
def _json_build_object(ctx: CallContext, *values: Any) -> str | None:
    arguments = _arguments(ctx, values)
    if arguments is None:
        return None
    _check_even(arguments, "json_build_object")
    parts = []
    for i in range(0, len(arguments), 2):
        if arguments[i][1] is None:
            raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key")
        parts.append(f"{quote(_key_text(*arguments[i]))} : {json_text(*arguments[i + 1])}")
    return "{" + ", ".join(parts) + "}"


@function("jsonb_build_object", context=True)
def _jsonb_build_object(ctx: CallContext, *values: Any) -> Jsonb | None:
    arguments = _arguments(ctx, values)
    if arguments is None:
        return None
    _check_even(arguments, "jsonb_build_object")
    tree = {}
    for i in range(0, len(arguments), 2):
        if arguments[i][1] is None:
            raise _null_key(i)
        tree[_key_text(*arguments[i])] = json_tree(*arguments[i + 1])
    return Jsonb(None, normalise(tree))


@function("json_build_array", context=True)
def _json_build_array(ctx: CallContext, *values: Any) -> str | None:
    arguments = _arguments(ctx, values)
    return None if arguments is None else "[" + ", ".join(json_text(*item) for item in arguments) + "]"


@function("jsonb_build_array", context=True)
def _jsonb_build_array(ctx: CallContext, *values: Any) -> Jsonb | None:
    arguments = _arguments(ctx, values)
    return None if arguments is None else Jsonb(None, [json_tree(*item) for item in arguments])


function("json_build_object_noargs")(lambda: "{}")
function("json_build_array_noargs")(lambda: "[]")
function("jsonb_build_object_noargs")(lambda: Jsonb(None, {}))
function("jsonb_build_array_noargs")(lambda: Jsonb(None, []))


def _text_pairs(array: Array) -> list[tuple[str, str | None]]:
    if not array.dims:
        return []
    if len(array.dims) == 1:
        if array.dims[0] % 2:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array must have even number of elements")
    elif len(array.dims) == 2:
        if array.dims[1] != 2:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array must have two columns")
    else:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
    return _checked_pairs(array.elements[::2], array.elements[1::2])


def _two_arrays(keys: Array, values: Array) -> list[tuple[str, str | None]]:
    if len(keys.dims) > 1 or len(values.dims) > 1:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
    if len(keys.elements) != len(values.elements):
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "mismatched array dimensions")
    return _checked_pairs(keys.elements, values.elements)


def _checked_pairs(keys: Sequence[str | None], values: Sequence[str | None]) -> list[tuple[str, str | None]]:
    pairs = []
    for key, value in zip(keys, values, strict=True):
        if key is None:
            raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key")
        pairs.append((key, value))
    return pairs


def _object_text(pairs: list[tuple[str, str | None]]) -> str:
    parts = (f"{quote(key)} : {'null' if value is None else quote(value)}" for key, value in pairs)
    return "{" + ", ".join(parts) + "}"


function("json_object")(lambda array: _object_text(_text_pairs(array)))
function("json_object_two_arg")(lambda keys, values: _object_text(_two_arrays(keys, values)))
function("jsonb_object")(lambda array: Jsonb(None, normalise(dict(_text_pairs(array)))))
function("jsonb_object_two_arg")(lambda keys, values: Jsonb(None, normalise(dict(_two_arrays(keys, values)))))


# Aggregates.


def _json_agg(strict: bool) -> Callable[..., list[str]]:
    def transition(ctx: CallContext, state: list[str] | None, value: Any) -> list[str]:
        state = [] if state is None else state
        if value is None and strict:
            return state
        text = json_text(ctx.argument_types[1], value)
        # Structured items start on lines of their own.
        state.append("\n " + text if state and isinstance(value, Array | Record) else text)
        return state

    return transition


function("json_agg_transfn", context=True)(_json_agg(False))
function("json_agg_strict_transfn", context=True)(_json_agg(True))


@function("json_agg_finalfn")
def _json_agg_final(state: list[str] | None) -> str | None:
    return None if state is None else "[" + ", ".join(state) + "]"


def _jsonb_agg(strict: bool) -> Callable[..., list[Any]]:
    def transition(ctx: CallContext, state: list[Any] | None, value: Any) -> list[Any]:
        state = [] if state is None else state
        if value is not None or not strict:
            state.append(json_tree(ctx.argument_types[1], value))
        return state

    return transition


function("jsonb_agg_transfn", context=True)(_jsonb_agg(False))
function("jsonb_agg_strict_transfn", context=True)(_jsonb_agg(True))
function("jsonb_agg_finalfn")(lambda state: None if state is None else Jsonb(None, list(state)))


def _duplicate(key: str) -> SqlError:
    return SqlError(errcode.DUPLICATE_JSON_OBJECT_KEY_VALUE, f"duplicate JSON object key value: {quote(key)}")


def _object_agg(binary: bool, strict: bool, unique: bool) -> Callable[..., list[tuple[str, Any]]]:
    def transition(
        ctx: CallContext, state: list[tuple[str, Any]] | None, key: Any, value: Any
    ) -> list[tuple[str, Any]]:
        state = [] if state is None else state
        if key is None:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE if binary else errcode.NULL_VALUE_NOT_ALLOWED,
                "field name must not be null" if binary else "null value not allowed for object key",
            )
        if value is None and strict and not unique:
            return state
        text = _key_text(ctx.argument_types[1], key)
        if unique and any(text == known for known, _ in state):
            raise _duplicate(text)
        if value is None and strict:
            return state
        make = json_tree if binary else json_text
        state.append((text, make(ctx.argument_types[2], value)))
        return state

    return transition


for _prefix, _binary in (("json", False), ("jsonb", True)):
    for _middle, _strict, _unique in (
        ("", False, False), ("_strict", True, False), ("_unique", False, True), ("_unique_strict", True, True),
    ):  # fmt: skip
        function(f"{_prefix}_object_agg{_middle}_transfn", context=True)(_object_agg(_binary, _strict, _unique))


@function("json_object_agg_finalfn")
def _json_object_final(state: list[tuple[str, str]] | None) -> str | None:
    if state is None:
        return None
    return "{ " + ", ".join(f"{quote(key)} : {text}" for key, text in state) + " }"


@function("jsonb_object_agg_finalfn")
def _jsonb_object_final(state: list[tuple[str, Any]] | None) -> Jsonb | None:
    return None if state is None else Jsonb(None, normalise(dict(state)))
