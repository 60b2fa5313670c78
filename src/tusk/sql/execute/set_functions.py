"""Calls of set-returning functions: arguments evaluated natively, rows made by the Python definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tusk.catalog.cache import OPEROID, PROCOID, TYPEOID, lookup
from tusk.sql.analyze.polymorphic import resolve_return_type
from tusk.sql.execute import hooks
from tusk.types._kernel_datum import type_of
from tusk.types.registry import ColumnInfo, bless_record, lookup_function, services
from tusk.types.values import Record

RECORDOID, VOIDOID = 2249, 2278


def is_composite(type_oid: int) -> bool:
    """Whether values of the type are rows."""
    if type_oid == RECORDOID:
        return True
    row = lookup(TYPEOID, type_of(type_oid).base)
    return row is not None and row.typtype == "c"


def returns_set(node: Any) -> bool:
    """Whether an expression is a call of a set-returning function."""
    kind = type(node).__name__
    return (kind == "FuncExpr" and node.funcretset) or (kind == "OpExpr" and node.opretset)


class SetCall:
    """One call: ``rows(arguments)`` iterates over tuples of ``ncolumns`` values."""

    def __init__(self, compiler: Any, node: Any, ncolumns: int, columns: list[ColumnInfo] | None = None) -> None:
        if type(node).__name__ == "OpExpr":
            funcid, result_type = node.opfuncid or lookup(OPEROID, node.opno).oprcode, node.opresulttype
            variadic = False
        else:
            funcid, result_type, variadic = node.funcid, node.funcresulttype, node.funcvariadic
        self.args = compiler.compile_list(node.args)
        self.ncolumns = ncolumns
        self.composite = is_composite(result_type)
        row = lookup(PROCOID, funcid)
        self.strict = row.proisstrict
        types = tuple(arg.type.oid for arg in self.args)
        self.row_typmod = -1
        if result_type == RECORDOID:
            declared = columns or out_columns(row, result_type, types)
            self.row_typmod = bless_record(declared) if declared else -1
        if row.prolang in (12, 13):
            definition = lookup_function(row.prosrc)
            self.call: Callable[..., Iterable[Any]] = definition.call
            if definition.context:
                if columns is None:
                    columns = out_columns(row, result_type)
                context = compiler.call_context(
                    self.args, type_of(result_type), -1, node.inputcollid, variadic, columns
                )
                call = definition.call
                self.call = lambda *args: call(context, *args)
            self.is_set = definition.set_returning
        else:
            self.call = hooks.procedure_set(row, types, result_type, node.inputcollid, compiler.estate)
            self.is_set = True

    def rows(self, arguments: list[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows for one set of arguments."""
        if self.strict and None in arguments:
            return
        found = self.call(*arguments)
        if not self.is_set:
            found = (found,)
        for value in found:
            yield self.as_row(value)

    def as_row(self, value: Any) -> tuple[Any, ...]:
        """A value or row as a tuple of column values."""
        if not self.composite:
            return (value,)
        if isinstance(value, Record):
            return tuple(value.values)
        if value is None:
            return (None,) * self.ncolumns
        if isinstance(value, tuple):
            return value
        return (value,)


_POLYMORPHIC = frozenset((2277, 2283, 2776, 3500, 3831, 4537, 4538, 5077, 5078, 5079, 5080))


def out_columns(row: Any, result_type: int, actual: Sequence[int] = ()) -> list[ColumnInfo] | None:
    """The columns that OUT parameters declare, or those of a composite result.

    ``actual`` are the types of the call's arguments: they decide what polymorphic ones are.
    """
    if row.proallargtypes and row.proargmodes:
        names = row.proargnames or ()
        return [
            ColumnInfo(
                names[i] if i < len(names) else f"column{i + 1}",
                resolve_return_type(oid, list(row.proargtypes), list(actual))
                if oid in _POLYMORPHIC and actual else oid,
            )
            for i, (oid, mode) in enumerate(zip(row.proallargtypes, row.proargmodes, strict=True))
            if mode in "obt"
        ]
    if result_type != RECORDOID and is_composite(result_type):
        return list(services.row_columns(result_type) or ())
    return None
