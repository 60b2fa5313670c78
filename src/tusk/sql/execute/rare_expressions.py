"""Expressions that are evaluated row by row in Python: rows, arrays, subscripts, casts through text, and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import TYPEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import _expr, hooks, support
from tusk.sql.nodes import enums
from tusk.types._kernel_datum import type_of
from tusk.types.codec import codec_for
from tusk.types.registry import ColumnInfo, bless_record, services
from tusk.types.values import Array, Record

RECORDOID, BOOLOID = 2249, 16


def record_maker(type_oid: int, args: list[Any], names: list[str] | None) -> Callable[..., Record]:
    """A function of column values that makes a record of the given type."""
    typmod = -1
    if type_oid == RECORDOID:
        columns = [
            ColumnInfo(names[i] if names else f"f{i + 1}", arg.type.oid, arg.typmod, arg.collation)
            for i, arg in enumerate(args)
        ]
        typmod = bless_record(columns)

    def make(*values: Any) -> Record:
        return Record(type_oid, typmod, values)

    return make


def _row(c: Any, node: Any) -> Any:
    args = c.compile_list(node.args)
    if node.row_typeid != RECORDOID:
        columns = services.row_columns(node.row_typeid)
        for column in (columns or ())[len(args) :]:
            args.append(_expr.ConstExpr(None, type_of(column.type_oid or 23)))
    make = record_maker(node.row_typeid, args, [name.sval for name in node.colnames or ()] or None)
    return _expr.CallExpr(make, None, args, False, type_of(node.row_typeid))


def row_null_test(is_null: bool) -> Callable[[Any], bool]:
    """IS [NOT] NULL of a row: true when all columns are (not) null."""

    def test(row: Any) -> bool:
        if row is None:
            return is_null
        return all((value is None) == is_null for value in row.values)

    return test


def _array(c: Any, node: Any) -> Any:
    args = c.compile_list(node.elements)
    element = node.element_typeid
    if node.multidims:
        return _expr.CallExpr(_stack_arrays(element), None, args, False, type_of(node.array_typeid))

    def make(*values: Any) -> Array:
        return Array.of(element, values)

    return _expr.CallExpr(make, None, args, False, type_of(node.array_typeid))


def _stack_arrays(element: int) -> Callable[..., Array]:
    def make(*arrays: Any) -> Array:
        present = [a for a in arrays if a is not None]
        filled = [a for a in present if a.dims]
        if not filled:
            return Array(element, (), (), ())
        dims, bounds = filled[0].dims, filled[0].lower_bounds
        if len(filled) != len(arrays) or any(a.dims != dims or a.lower_bounds != bounds for a in filled):
            raise SqlError(
                errcode.ARRAY_SUBSCRIPT_ERROR,
                "multidimensional arrays must have array expressions with matching dimensions",
            )
        elements = tuple(e for a in filled for e in a.elements)
        return Array(element, (len(filled), *dims), (1, *bounds), elements)

    return make


def _via_io(c: Any, node: Any) -> Any:
    arg = c.compile(node.arg)
    output = support.text_output(arg.type.oid)
    codec = codec_for(node.resulttype)
    typmod = -1

    def convert(value: Any) -> Any:
        return codec.input(output(value), typmod)

    return _expr.CallExpr(convert, None, [arg], True, type_of(node.resulttype), typmod, node.resultcollid)


def _array_coerce(c: Any, node: Any) -> Any:
    arg = c.compile(node.arg)
    target = lookup(TYPEOID, type_of(node.resulttype).base).typelem
    source = lookup(TYPEOID, arg.type.base).typelem
    slot = support.ValueSource(type_of(source))
    c.case_stack.append(slot.placeholder)
    element = c.compile(node.elemexpr)
    c.case_stack.pop()
    context = c.state.context

    def convert(value: Array) -> Array:
        return Array(target, value.dims, value.lower_bounds, tuple(slot.map(element, context, value.elements)))

    return _expr.CallExpr(convert, None, [arg], True, type_of(node.resulttype), node.resulttypmod)


def _min_max(c: Any, node: Any) -> Any:
    args = c.compile_list(node.args)
    greatest = node.op == enums.IS_GREATEST
    compare = support.comparison(node.minmaxtype, node.inputcollid)

    def choose(*values: Any) -> Any:
        best = None
        for value in values:
            if value is None:
                continue
            if best is None:
                best = value
                continue
            order = compare(value, best)
            if (order > 0) if greatest else (order < 0):
                best = value
        return best

    return _expr.CallExpr(choose, None, args, False, type_of(node.minmaxtype), -1, node.minmaxcollid)


def _field_select(c: Any, node: Any) -> Any:
    arg = c.compile(node.arg)
    index = node.fieldnum - 1

    def select(record: Record) -> Any:
        if index >= len(record.values):
            return None
        return record.values[index]

    return _expr.CallExpr(select, None, [arg], True, type_of(node.resulttype), node.resulttypmod, node.resultcollid)


def _part(c: Any, type_: Any, fetch: Callable[..., Any], newval: Any) -> tuple[Any, Any, Any]:
    """A part for StoreExpr; in the expression of the new value a CaseTestExpr is the old one."""
    old = support.ValueSource(type_)
    c.case_stack.append(old.placeholder)
    new = c.compile(newval)
    c.case_stack.pop()
    return fetch, old.placeholder, new


def _field_store(c: Any, node: Any) -> Any:
    arg = c.compile(node.arg)
    columns = services.row_columns(node.resulttype) or ()
    width = len(columns)
    indexes = [number - 1 for number in node.fieldnums]

    def fetcher(index: int) -> Callable[[Any], Any]:
        return lambda record: None if record is None else record.values[index]

    def store(record: Any, _subscripts: Any, news: list[Any]) -> Record:
        fields = [None] * width if record is None else list(record.values)
        for index, new in zip(indexes, news, strict=True):
            fields[index] = new
        return Record(node.resulttype, -1, tuple(fields))

    parts = [
        _part(c, type_of(columns[index].type_oid), fetcher(index), newval)
        for index, newval in zip(indexes, node.newvals, strict=True)
    ]
    return _expr.StoreExpr(arg, [], parts, store, type_of(node.resulttype))


def _subscript(c: Any, node: Any) -> Any:
    base = c.compile(node.refexpr)
    upper = [None if e is None else c.compile(e) for e in node.refupperindexpr]
    lower = [None if e is None else c.compile(e) for e in node.reflowerindexpr]
    bounds = [e for e in upper + lower if e is not None]
    given_upper, given_lower = [e is not None for e in upper], [e is not None for e in lower]
    slicing = bool(node.reflowerindexpr)
    result = type_of(node.refrestype)

    def split(values: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        stream = iter(values)
        ups = [next(stream) if given else None for given in given_upper]
        downs = [next(stream) if given else None for given in given_lower]
        return ups, downs

    container = support.subscripting(node.refcontainertype, node.refelemtype)
    if node.refassgnexpr is None:

        def fetch(value: Any, *subscripts: Any) -> Any:
            if value is None or None in subscripts:
                return None
            ups, downs = split(subscripts)
            return container.fetch_slice(value, ups, downs) if slicing else container.fetch(value, ups)

        return _expr.CallExpr(fetch, None, [base, *bounds], False, result, node.reftypmod, node.refcollid)

    def old(value: Any, *subscripts: Any) -> Any:
        if value is None or None in subscripts:
            return None
        ups, downs = split(subscripts)
        return container.fetch_slice(value, ups, downs) if slicing else container.fetch(value, ups)

    def assign(value: Any, subscripts: tuple[Any, ...], news: list[Any]) -> Any:
        if None in subscripts:
            raise SqlError(
                errcode.NULL_VALUE_NOT_ALLOWED, f"{container.kind} subscript in assignment must not be null"
            )
        ups, downs = split(subscripts)
        if slicing:
            return container.assign_slice(value, ups, downs, news[0])
        return container.assign(value, ups, news[0])

    element = node.refelemtype if node.refelemtype and not slicing else node.refcontainertype
    part = _part(c, type_of(element), old, node.refassgnexpr)
    return _expr.StoreExpr(base, bounds, [part], assign, type_of(node.refcontainertype), node.reftypmod, node.refcollid)


def _row_compare(c: Any, node: Any) -> Any:
    from_strategy: dict[int, Callable[[int], bool]] = {
        enums.COMPARE_LT: lambda order: order < 0,
        enums.COMPARE_LE: lambda order: order <= 0,
        enums.COMPARE_GE: lambda order: order >= 0,
        enums.COMPARE_GT: lambda order: order > 0,
    }
    decide = from_strategy[node.cmptype]
    left, right = c.compile_list(node.largs), c.compile_list(node.rargs)
    n = len(left)
    comparisons = [
        support.family_comparison(family, a.type.base, b.type.base, collation)
        for family, a, b, collation in zip(node.opfamilies, left, right, node.inputcollids, strict=True)
    ]

    def compare(*values: Any) -> bool | None:
        for a, b, order_of in zip(values[:n], values[n:], comparisons, strict=True):
            if a is None or b is None:
                return None
            order = order_of(a, b)
            if order:
                return bool(decide(order))
        return bool(decide(0))

    return _expr.CallExpr(compare, None, left + right, False, type_of(BOOLOID))


def _sql_value(c: Any, node: Any) -> Any:
    compute = support.sql_value_function(node.op, node.typmod)
    return _expr.CallExpr(compute, None, [], False, type_of(node.type), node.typmod, 950 if node.type == 19 else 0)


def _next_value(c: Any, node: Any) -> Any:
    sequence = node.seqid

    def advance() -> int:
        return int(hooks.sequence_nextval(sequence))

    return _expr.CallExpr(advance, None, [], False, type_of(node.typeId))


def _convert_rowtype(c: Any, node: Any) -> Any:
    arg = c.compile(node.arg)
    source = services.row_columns(arg.type.oid) or ()
    target = services.row_columns(node.resulttype) or ()
    places = {column.name: i for i, column in enumerate(source) if not column.is_dropped}
    chosen = [None if column.is_dropped else places.get(column.name) for column in target]

    def convert(record: Record) -> Record:
        values = tuple(None if i is None else record.values[i] for i in chosen)
        return Record(node.resulttype, -1, values)

    return _expr.CallExpr(convert, None, [arg], True, type_of(node.resulttype))


def returning_guard(c: Any, node: Any, inner: Any) -> Any:
    """OLD or NEW of a row that does not exist is null."""
    exists = c.returning_exists(node.retold)
    return _expr.CaseExpr(None, None, [(exists, inner)], _expr.ConstExpr(None, inner.type), inner.type, inner.typmod,
                          inner.collation)  # fmt: skip


def _json_value(c: Any, node: Any) -> Any:
    return c.compile(node.formatted_expr if node.formatted_expr is not None else node.raw_expr)


def _json_constructor(c: Any, node: Any) -> Any:
    if node.func is None:
        raise feature_not_supported("JSON constructor")
    inner = c.compile(node.func)
    if node.coercion is None:
        return inner
    c.case_stack.append(inner)
    coerced = c.compile(node.coercion)
    c.case_stack.pop()
    return coerced


COMPILERS: dict[str, Callable[[Any, Any], Any]] = {
    "RowExpr": _row,
    "ArrayExpr": _array,
    "CoerceViaIO": _via_io,
    "ArrayCoerceExpr": _array_coerce,
    "MinMaxExpr": _min_max,
    "FieldSelect": _field_select,
    "FieldStore": _field_store,
    "SubscriptingRef": _subscript,
    "RowCompareExpr": _row_compare,
    "SQLValueFunction": _sql_value,
    "NextValueExpr": _next_value,
    "ConvertRowtypeExpr": _convert_rowtype,
    "JsonValueExpr": _json_value,
    "JsonConstructorExpr": _json_constructor,
}

