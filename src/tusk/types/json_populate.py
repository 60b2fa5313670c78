"""JSON into rows: json[b]_populate_record[set] and json[b]_to_record[set]."""

from collections.abc import Iterator, Sequence
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.codec import codec_for
from tusk.types.json_functions import tree_as_text
from tusk.types.json_parse import parse_tree
from tusk.types.jsonb_format import normalise, tree_text
from tusk.types.numeric_format import parse_numeric
from tusk.types.records import DomainCodec
from tusk.types.registry import RECORDOID, CallContext, ColumnInfo, bless_record, function, services
from tusk.types.values import Array, Jsonb, Record

JSONOID, JSONBOID = 114, 3802


class _Number(str):
    """A number as it was written in a json text."""

    __slots__ = ()


def _tree(value: Any) -> Any:
    return value.tree if isinstance(value, Jsonb) else parse_tree(value, _Number)


def _text(tree: Any) -> str:
    """A JSON value as the text that a type's input function reads."""
    if isinstance(tree, str):
        return tree
    if isinstance(tree, dict | list):
        return _json_source(tree)
    text = tree_as_text(tree)
    assert text is not None
    return text


def _json_source(tree: Any) -> str:
    return tree_text(_numbers(tree))


def _numbers(tree: Any) -> Any:
    if isinstance(tree, _Number):
        return parse_numeric(tree)
    if isinstance(tree, dict):
        return {key: _numbers(value) for key, value in tree.items()}
    return [_numbers(item) for item in tree] if isinstance(tree, list) else tree


def convert(tree: Any, type_oid: int, typmod: int, name: str = "") -> Any:
    """A JSON value as a value of any SQL type."""
    if type_oid == JSONBOID:
        return Jsonb(None, normalise(_numbers(tree)))
    if type_oid == JSONOID:
        return None if tree is None else _json_source(tree)
    codec = codec_for(type_oid)
    if tree is None:
        return codec.input_null() if isinstance(codec, DomainCodec) else None
    info = services.type_info(type_oid)
    assert info is not None
    if info.typtype == "d":
        value = convert(tree, info.typbasetype, info.typtypmod, name)
        services.call("domain_check", type_oid, value)
        return value
    if info.is_array and info.typlen == -1 and isinstance(tree, list):
        return _array(tree, info.typelem, typmod, name)
    if info.is_array and not isinstance(tree, str):
        raise SqlError(
            errcode.INVALID_TEXT_REPRESENTATION,
            "expected JSON array",
            hint=f'See the value of key "{name}".' if name else None,
        )
    if info.typtype == "c" and isinstance(tree, dict):
        columns = services.row_columns(type_oid)
        assert columns is not None
        return Record(type_oid, -1, _row(tree, columns, None))
    if info.typtype == "c" and isinstance(tree, list):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "cannot call populate_composite on an array")
    return codec.input(_text(tree), typmod)


def _array(tree: list[Any], element_type: int, typmod: int, name: str) -> Array:
    dims: list[int] = []
    level: Any = tree
    while isinstance(level, list) and element_type not in (JSONOID, JSONBOID):
        dims.append(len(level))
        level = level[0] if level else None
    if not dims:
        dims = [len(tree)]
    flat: list[Any] = []

    def collect(items: Any, depth: int) -> None:
        if depth == len(dims):
            if isinstance(items, list) and element_type not in (JSONOID, JSONBOID):
                raise _malformed()
            flat.append(convert(items, element_type, typmod, name))
            return
        if not isinstance(items, list):
            raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected JSON array")
        if len(items) != dims[depth]:
            raise _malformed()
        for item in items:
            collect(item, depth + 1)

    collect(tree, 0)
    if not flat:
        return Array(element_type, (), (), ())
    return Array(element_type, tuple(dims), (1,) * len(dims), tuple(flat))


def _malformed() -> SqlError:
    return SqlError(
        errcode.INVALID_TEXT_REPRESENTATION,
        "malformed JSON array",
        detail="Multidimensional arrays must have sub-arrays with matching dimensions.",
    )


def _row(tree: dict[str, Any], columns: Sequence[ColumnInfo], base: Record | None) -> tuple[Any, ...]:
    values: list[Any] = []
    for index, column in enumerate(columns):
        if column.is_dropped:
            values.append(None)
        elif column.name in tree:
            values.append(convert(tree[column.name], column.type_oid, column.typmod, column.name))
        elif base is not None:
            values.append(base.values[index])
        else:
            values.append(convert(None, column.type_oid, column.typmod, column.name)
                          if column.type_oid != JSONBOID else None)  # fmt: skip
    return tuple(values)


def _target(ctx: CallContext, base: Record | None, name: str) -> tuple[int, int, Sequence[ColumnInfo]]:
    """Type, typmod and columns of the rows to make."""
    if ctx.argument_types and ctx.argument_types[0] not in (RECORDOID, JSONOID, JSONBOID):
        type_oid = ctx.argument_types[0]
        info = services.type_info(type_oid)
        if info is not None and info.typtype == "d":
            type_oid = info.typbasetype
        columns = services.row_columns(type_oid)
        if columns is None:
            raise SqlError(errcode.DATATYPE_MISMATCH, f"first argument of {name} must be a row type")
        return type_oid, -1, columns
    if base is not None:
        columns = services.row_columns(base.type_oid, base.typmod)
        if columns is not None:
            return base.type_oid, base.typmod, columns
    if ctx.columns is None:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            f"could not determine row type for result of {name}",
            hint="Provide a non-null record argument, or call the function in the FROM clause using a column"
            " definition list.",
        )
    return RECORDOID, bless_record(ctx.columns), ctx.columns


def _one(ctx: CallContext, base: Record | None, value: Any, name: str) -> Record | None:
    if value is None:
        return base
    type_oid, typmod, columns = _target(ctx, base, name)
    tree = _tree(value)
    if tree is None and base is not None:
        return base
    if not isinstance(tree, dict):
        what = "an array" if isinstance(tree, list) else "a scalar"
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"cannot call {name} on {what}")
    return Record(type_oid, typmod, _row(tree, columns, base))


def _many(ctx: CallContext, base: Record | None, value: Any, name: str) -> Iterator[Record]:
    if value is None:
        return
    type_oid, typmod, columns = _target(ctx, base, name)
    tree = _tree(value)
    if not isinstance(tree, list):
        what = "an object" if isinstance(tree, dict) else "a scalar"
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"cannot call {name} on {what}")
    for item in tree:
        if not isinstance(item, dict):
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f"argument of {name} must be an array of objects"
            )
        yield Record(type_oid, typmod, _row(item, columns, base))


def _register(kind: str) -> None:
    def populate_record(ctx: CallContext, base: Record | None, value: Any, as_text: bool = False) -> Record | None:
        return _one(ctx, base, value, f"{kind}_populate_record")

    def populate_set(ctx: CallContext, base: Record | None, value: Any, as_text: bool = False) -> Iterator[Record]:
        return _many(ctx, base, value, f"{kind}_populate_recordset")

    def to_record(ctx: CallContext, value: Any) -> Record | None:
        return _one(ctx, None, value, f"{kind}_to_record")

    def to_set(ctx: CallContext, value: Any) -> Iterator[Record]:
        return _many(ctx, None, value, f"{kind}_to_recordset")

    function(f"{kind}_populate_record", context=True)(populate_record)
    function(f"{kind}_populate_recordset", context=True, set_returning=True)(populate_set)
    function(f"{kind}_to_record", context=True)(to_record)
    function(f"{kind}_to_recordset", context=True, set_returning=True)(to_set)


_register("json")
_register("jsonb")


@function("jsonb_populate_record_valid", context=True)
def _populate_valid(ctx: CallContext, base: Record | None, value: Any) -> bool:
    try:
        _one(ctx, base, value, "jsonb_populate_record_valid")
    except SqlError as error:
        if not error.sqlstate.startswith(("22", "23")):
            raise
        return False
    return True
