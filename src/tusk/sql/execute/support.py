"""What expressions written in Python share: comparisons by type, text output, subscripting, session values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import AMPROCNUM, CLAAMNAMENSP, PROCOID, TYPEOID, lookup, lookup_list
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.typenames import parse_type_name, type_name_oid_typmod
from tusk.sql.execute import _expr, _state
from tusk.sql.execute._batch import Batch, RowShape
from tusk.sql.execute._vectors import make_batch
from tusk.sql.nodes import enums
from tusk.types import session_services
from tusk.types._kernel_datum import type_of
from tusk.types.codec import codec_for
from tusk.types.collate import locale_of
from tusk.types.jsonb_format import normalise
from tusk.types.registry import CallContext, find_function, lookup_function, services, setting
from tusk.types.values import Array, Jsonb

BTREE_AM, HASH_AM = 403, 405
MICROSECONDS_OF_DAY = 86_400_000_000

# Statements run from here on: functions may ask for what the catalogs, the session and the analyzer know.
session_services.install()
services.provide("parse_type", lambda text: type_name_oid_typmod(None, parse_type_name(text)))


class LateFunction:
    """A scalar definition that is looked up when it is first called: the fallback of a kernel is rarely needed."""

    __slots__ = ("call", "prosrc")

    def __init__(self, prosrc: str) -> None:
        self.prosrc = prosrc
        self.call: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        if self.call is None:
            self.call = lookup_function(self.prosrc).call
        return self.call(*args)


def wants_context(prosrc: str) -> bool:
    """Whether the scalar definition takes a CallContext."""
    found = find_function(prosrc)
    return found is not None and found.context


class ValueSource:
    """Feeds single Python values to a compiled expression through a placeholder."""

    def __init__(self, type_: Any) -> None:
        self.shape = RowShape([type_.oid])
        self.batch = Batch(self.shape)
        self.placeholder = _expr.BatchPlaceholder(type_, self.batch)

    def one(self, expr: Any, context: Any, value: Any) -> Any:
        """The expression's value when the placeholder stands for ``value``."""
        make_batch(self.shape, [(value,)], context.memory, self.batch)
        return expr.values(context, 1)[0]

    def map(self, expr: Any, context: Any, values: Any) -> list[Any]:
        """The same for many values."""
        found: list[Any] = []
        for start in range(0, len(values), 1024):
            part = [(value,) for value in values[start : start + 1024]]
            make_batch(self.shape, part, context.memory, self.batch)
            found.extend(expr.values(context, len(part)))
        return found


def default_opclass(type_oid: int, am: int) -> tuple[int, int]:
    """(operator family, input type) of the default operator class of a type; (0, 0) if there is none."""
    row = lookup(TYPEOID, type_oid)
    base = type_oid
    while row is not None and row.typtype == "d":
        base = row.typbasetype
        row = lookup(TYPEOID, base)
    if row is None:
        return (0, 0)
    candidates = {
        opclass.opcintype: opclass.opcfamily
        for opclass in lookup_list(CLAAMNAMENSP, am)
        if opclass.opcdefault
    }
    if base in candidates:
        return (candidates[base], base)
    for family in _binary_coercible(row):
        if family in candidates:
            return (candidates[family], family)
    return (0, 0)


def _binary_coercible(row: Any) -> tuple[int, ...]:
    if row.oid == 1043:
        return (25,)
    if row.oid in (2205, 2206, 24, 2202, 2203, 2204, 4096, 4089, 3734, 3769, 4191):
        return (26,)
    if row.typtype == "e":
        return (3500,)
    if row.typtype == "c" or row.oid == 2249:
        return (2249,)
    if row.typtype == "r":
        return (3831,)
    if row.typtype == "m":
        return (4537,)
    if row.typelem and row.typlen == -1:
        return (2277,)
    return ()


def comparison(type_oid: int, collation: int) -> Callable[[Any, Any], int]:
    """Three-way comparison of Python values by the type's default btree operator class."""
    family, input_type = default_opclass(type_oid, BTREE_AM)
    if not family:
        name = codec_for(type_oid).name
        raise SqlError(
            errcode.UNDEFINED_FUNCTION, f"could not identify a comparison function for type {name}"
        )
    return family_comparison(family, input_type, input_type, collation)


def family_comparison(family: int, left: int, right: int, collation: int) -> Callable[[Any, Any], int]:
    """Support function 1 of a btree operator family over Python values."""
    return function_over_values(family_procedure(family, left, right), (left, right), 23, collation)


def family_procedure(family: int, left: int, right: int) -> int:
    """Support function 1 of a btree operator family for two types, or types they are stored like."""
    rows = [row for row in lookup_list(AMPROCNUM, family) if row.amprocnum == 1]
    types = {(row.amproclefttype, row.amprocrighttype): row.amproc for row in rows}
    for pair in ((left, right), (general_type(left), general_type(right))):
        if pair in types:
            return int(types[pair])
    if len(types) == 1:
        return int(next(iter(types.values())))
    raise SqlError(errcode.INTERNAL_ERROR, f"missing support function 1({left},{right}) in opfamily {family}")


def general_type(type_oid: int) -> int:
    """The type whose operator classes serve a type that has none of its own."""
    row = lookup(TYPEOID, type_oid)
    for general in _binary_coercible(row) if row is not None else ():
        return general
    return type_oid


def function_over_values(
    funcid: int, argument_types: tuple[int, ...], result_type: int, collation: int
) -> Callable[..., Any]:
    """A built-in function as a callable over Python values."""
    row = lookup(PROCOID, funcid)
    definition = lookup_function(row.prosrc)
    if not definition.context:
        return definition.call
    context = CallContext(collation=collation, argument_types=argument_types, result_type=result_type)
    call = definition.call

    def with_context(*args: Any) -> Any:
        return call(context, *args)

    return with_context


def text_output(type_oid: int) -> Callable[[Any], str]:
    """The output function of a type."""
    return codec_for(type_oid).output


class ArraySubscripting:
    """Subscripts of arrays (array_subscript_handler)."""

    kind = "array"

    def __init__(self, element: int) -> None:
        self.element = element

    def _place(self, value: Array, subscripts: list[int]) -> int:
        """Index of an element in the flat list, or -1 when there is no such element."""
        if len(subscripts) != len(value.dims) or not value.dims:
            return -1
        index = 0
        for subscript, size, lower in zip(subscripts, value.dims, value.lower_bounds, strict=True):
            offset = subscript - lower
            if not 0 <= offset < size:
                return -1
            index = index * size + offset
        return index

    def fetch(self, value: Array, subscripts: list[Any]) -> Any:
        """One element, or None."""
        index = self._place(value, subscripts)
        return None if index < 0 else value.elements[index]

    def fetch_slice(self, value: Array, uppers: list[Any], lowers: list[Any]) -> Array:
        """The part between bounds; missing ones are the array's own. Empty when nothing overlaps."""
        empty = Array(self.element, (), (), ())
        ndim = len(value.dims)
        if ndim == 0 or len(uppers) > ndim:
            return empty
        ranges = []
        for i in range(ndim):
            first, last = value.lower_bounds[i], value.lower_bounds[i] + value.dims[i] - 1
            low, high = first, last
            if i < len(uppers):
                low = first if lowers[i] is None else max(first, lowers[i])
                high = last if uppers[i] is None else min(last, uppers[i])
            if low > high:
                return empty
            ranges.append((low - first, high - first + 1))
        picked = list(range(1))
        for (low, high), size in zip(ranges, value.dims, strict=True):
            picked = [index * size + offset for index in picked for offset in range(low, high)]
        dims = tuple(high - low for low, high in ranges)
        return Array(self.element, dims, (1,) * ndim, tuple(value.elements[i] for i in picked))

    def assign(self, value: Array | None, subscripts: list[Any], new: Any) -> Array:
        """A copy with one element changed; a one-dimensional array grows to hold it."""
        if value is None or not value.dims:
            return Array(self.element, (1,) * len(subscripts), tuple(subscripts), (new,))
        if len(subscripts) != len(value.dims):
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
        elements = list(value.elements)
        if len(subscripts) == 1:
            lower, size, at = value.lower_bounds[0], value.dims[0], subscripts[0]
            if at < lower:
                elements = [None] * (lower - at) + elements
                lower = at
            elif at >= lower + size:
                elements += [None] * (at - lower - size + 1)
            elements[at - lower] = new
            return Array(self.element, (len(elements),), (lower,), tuple(elements))
        index = self._place(value, subscripts)
        if index < 0:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array subscript out of range")
        elements[index] = new
        return Array(self.element, value.dims, value.lower_bounds, tuple(elements))

    def assign_slice(self, value: Array | None, uppers: list[Any], lowers: list[Any], new: Array | None) -> Any:
        """A copy with a slice replaced."""
        if new is None:
            return value
        if value is None or not value.dims:
            if any(u is None for u in uppers) or any(low is None for low in lowers):
                raise SqlError(
                    errcode.ARRAY_SUBSCRIPT_ERROR,
                    "array slice subscript must provide both boundaries",
                    detail="When assigning to a slice of an empty array value, slice boundaries must be fully"
                    " specified.",
                )
            dims = tuple(u - low + 1 for u, low in zip(uppers, lowers, strict=True))
            count = 1
            for size in dims:
                count *= size
            if len(new.elements) < count:
                raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "source array too small")
            return Array(self.element, dims, tuple(lowers), new.elements[:count])
        if len(value.dims) != 1 or len(uppers) != 1:
            raise feature_not_supported("assignment to a slice of a multidimensional array")
        first, size = value.lower_bounds[0], value.dims[0]
        low = first if lowers[0] is None else lowers[0]
        high = first + size - 1 if uppers[0] is None else uppers[0]
        if low > high:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound")
        if len(new.elements) < high - low + 1:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "source array too small")
        elements = list(value.elements)
        if low < first:
            elements = [None] * (first - low) + elements
            first = low
        if high >= first + len(elements):
            elements += [None] * (high - first - len(elements) + 1)
        elements[low - first : high - first + 1] = new.elements[: high - low + 1]
        return Array(self.element, (len(elements),), (first,), tuple(elements))


def _as_index(part: str) -> int | None:
    """The number a path element is, if it is one."""
    text = part.strip()
    return int(text) if text.lstrip("+-").isdigit() else None


def _grown(parts: list[str], new: Any) -> Any:
    """Containers around a value, one for each path element: arrays where it is a number."""
    for part in reversed(parts):
        index = _as_index(part)
        new = {part: new} if index is None else [None] * max(index, 0) + [new]
    return new


def _replaced(tree: Any, parts: list[str], at: int, new: Any) -> Any:
    """A tree with the value at a path put in; what is missing on the way is made (setPath with JB_PATH_FILL_GAPS)."""
    if at == len(parts):
        return new
    part = parts[at]
    if isinstance(tree, dict):
        changed = dict(tree)
        changed[part] = _replaced(tree[part], parts, at + 1, new) if part in tree else _grown(parts[at + 1 :], new)
        return changed
    if not isinstance(tree, list):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, "cannot replace existing key",
            detail="The path assumes key is a composite object, but it is a scalar value.",
        )  # fmt: skip
    index = _as_index(part)
    if index is None:
        raise SqlError(
            errcode.INVALID_TEXT_REPRESENTATION, f'path element at position {at + 1} is not an integer: "{part}"'
        )
    if index < 0:
        if -index > len(tree):
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f"path element at position {at + 1} is out of range: {index}"
            )
        index += len(tree)
    items = [*tree, *[None] * (index - len(tree))]
    if index < len(tree):
        items[index] = _replaced(tree[index], parts, at + 1, new)
    else:
        items.append(_grown(parts[at + 1 :], new))
    return items


class JsonbSubscripting:
    """Subscripts of jsonb (jsonb_subscript_handler), through its own functions."""

    kind = "jsonb"

    def fetch(self, value: Any, subscripts: list[Any]) -> Any:
        """The member at a path, or None."""
        path = Array.of(25, [str(subscript) for subscript in subscripts])
        return lookup_function("jsonb_extract_path").call(value, path)

    def fetch_slice(self, value: Any, uppers: list[Any], lowers: list[Any]) -> Any:
        """jsonb has no slices."""
        raise SqlError(errcode.DATATYPE_MISMATCH, "jsonb subscript does not support slices")

    def assign(self, value: Any, subscripts: list[Any], new: Any) -> Any:
        """A copy with the member at a path replaced."""
        parts = [str(subscript) for subscript in subscripts]
        tree = None if new is None else new.tree
        if value is None:
            return Jsonb(None, normalise(_grown(parts, tree)))
        return Jsonb(None, normalise(_replaced(value.tree, parts, 0, tree)))

    assign_slice = fetch_slice


class FixedArraySubscripting:
    """Subscripts of types that are fixed-length arrays, such as name and point: they count from 0
    (raw_array_subscript_handler)."""

    kind = "array"

    def __init__(self, container: int, size_bytes: int, element: int) -> None:
        self.container, self.element = codec_for(container), codec_for(element)
        self.size_bytes = size_bytes
        self.element_bytes = int(lookup(TYPEOID, element).typlen)

    def _data(self, value: Any) -> bytes:
        return bytes(self.container.to_disk(value)).ljust(self.size_bytes, b"\0")

    def fetch(self, value: Any, subscripts: list[Any]) -> Any:
        """One element, or None."""
        if len(subscripts) != 1 or not 0 <= subscripts[0] < self.size_bytes // self.element_bytes:
            return None
        start = subscripts[0] * self.element_bytes
        return self.element.from_disk(self._data(value)[start : start + self.element_bytes])

    def assign(self, value: Any, subscripts: list[Any], new: Any) -> Any:
        """A copy with one element changed; NULL stays NULL."""
        if value is None or new is None:
            return value
        if len(subscripts) != 1:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
        if not 0 <= subscripts[0] < self.size_bytes // self.element_bytes:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array subscript out of range")
        data, start = bytearray(self._data(value)), subscripts[0] * self.element_bytes
        data[start : start + self.element_bytes] = self.element.to_disk(new)
        return self.container.from_disk(bytes(data))

    def fetch_slice(self, value: Any, uppers: list[Any], lowers: list[Any]) -> Any:
        """Refused, as PostgreSQL does."""
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "slices of fixed-length arrays not implemented")

    def assign_slice(self, value: Any, uppers: list[Any], lowers: list[Any], new: Any) -> Any:
        """Refused, as PostgreSQL does."""
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "updates on slices of fixed-length arrays not implemented"
        )


def subscripting(container_type: int, element_type: int) -> Any:
    """How values of a container type are subscripted."""
    base = type_of(container_type).base
    row = lookup(TYPEOID, base)
    if base == 3802:
        return JsonbSubscripting()
    if row.typlen == -1 or base in (22, 30):
        return ArraySubscripting(element_type or row.typelem)
    handler = lookup(PROCOID, row.typsubscript) if row.typsubscript else None
    if handler is not None and handler.prosrc == "raw_array_subscript_handler":
        return FixedArraySubscripting(base, row.typlen, row.typelem)
    raise SqlError(
        errcode.DATATYPE_MISMATCH, f"cannot subscript type {row.typname} because it does not support subscripting"
    )


def _local(us: int) -> int:
    """A timestamptz as local timestamp, in the session's time zone."""
    found: int = lookup_function("timestamptz_timestamp").call(us)
    return found


def _round(us: int, typmod: int) -> int:
    if not 0 <= typmod < 6:
        return us
    unit = 10 ** (6 - typmod)
    return int((us + unit // 2) // unit * unit if us >= 0 else -((-us + unit // 2) // unit * unit))


def sql_value_function(op: int, typmod: int) -> Callable[[], Any]:
    """CURRENT_DATE and its kin."""
    ops = enums.SQLValueFunctionOp

    def now() -> int:
        return _round(int(services.call("transaction_timestamp")), typmod)

    def convert(prosrc: str, value: Any) -> Any:
        return function_by_prosrc(prosrc)(value)

    def schema() -> Any:
        path = services.call("search_path", False)
        return path[0] if path else None

    match op:
        case ops.SVFOP_CURRENT_TIMESTAMP | ops.SVFOP_CURRENT_TIMESTAMP_N:
            return now
        case ops.SVFOP_LOCALTIMESTAMP | ops.SVFOP_LOCALTIMESTAMP_N:
            return lambda: convert("timestamptz_timestamp", now())
        case ops.SVFOP_CURRENT_DATE:
            return lambda: convert("timestamptz_date", now())
        case ops.SVFOP_CURRENT_TIME | ops.SVFOP_CURRENT_TIME_N:
            return lambda: convert("timestamptz_timetz", now())
        case ops.SVFOP_LOCALTIME | ops.SVFOP_LOCALTIME_N:
            return lambda: convert("timestamptz_time", now())
        case ops.SVFOP_CURRENT_ROLE | ops.SVFOP_CURRENT_USER | ops.SVFOP_USER:
            return lambda: services.call("current_user")
        case ops.SVFOP_SESSION_USER:
            return lambda: services.call("session_user")
        case ops.SVFOP_CURRENT_CATALOG:
            return lambda: services.call("current_database")
        case ops.SVFOP_CURRENT_SCHEMA:
            return schema
    raise feature_not_supported(f"SQL value function {op}")


def function_by_prosrc(prosrc: str) -> Callable[..., Any]:
    """A built-in function without a call site of its own."""
    definition = lookup_function(prosrc)
    if not definition.context:
        return definition.call
    context = CallContext()

    def with_context(*args: Any) -> Any:
        return definition.call(context, *args)

    return with_context


def work_mem_bytes() -> int:
    """The setting work_mem in bytes."""
    return int(setting("work_mem", 4096)) * 1024


def hash_mem_bytes() -> int:
    """What hash tables may use: work_mem * hash_mem_multiplier."""
    return int(work_mem_bytes() * float(setting("hash_mem_multiplier", 2.0)))


def expression_type(node: Any) -> tuple[int, int, int]:
    """Type, typmod and collation of an expression node."""
    found: tuple[int, int, int] = _state.expression_type(node)
    return found


def is_deterministic(collation: int) -> bool:
    """Whether strings of this collation are equal only when their bytes are."""
    return collation in (100, 950, 951) or bool(locale_of(collation)[2])
