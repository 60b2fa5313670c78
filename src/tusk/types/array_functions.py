"""Functions and operators on arrays, subscripting, generate_subscripts."""

from collections.abc import Callable, Iterator, Sequence
from functools import cmp_to_key
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.arrays import MAXDIM, check_size, too_many_dimensions
from tusk.types.codec import codec_for
from tusk.types.compare import comparator, equality
from tusk.types.random import session_random
from tusk.types.registry import CallContext, function, services
from tusk.types.values import Array

INT4OID = 23


def _element_type(ctx: CallContext, argument: int) -> int:
    """Element type of an array argument, also when the value is NULL."""
    info = services.type_info(ctx.argument_types[argument])
    while info is not None and info.typtype == "d":
        info = services.type_info(info.typbasetype)
    return info.typelem if info is not None else 0


def empty(element_type: int) -> Array:
    """The array without elements."""
    return Array(element_type, (), (), ())


function("array_ndims")(lambda array: len(array.dims) or None)
function("array_cardinality")(lambda array: len(array.elements))


@function("array_dims")
def _dims(array: Array) -> str | None:
    pairs = zip(array.dims, array.lower_bounds, strict=True)
    return "".join(f"[{lower}:{lower + dim - 1}]" for dim, lower in pairs) or None


def _dimension(array: Array, number: int) -> int | None:
    return number - 1 if 1 <= number <= len(array.dims) else None


@function("array_lower")
def _lower(array: Array, number: int) -> int | None:
    index = _dimension(array, number)
    return None if index is None else array.lower_bounds[index]


@function("array_upper")
def _upper(array: Array, number: int) -> int | None:
    index = _dimension(array, number)
    return None if index is None else array.lower_bounds[index] + array.dims[index] - 1


@function("array_length")
def _length(array: Array, number: int) -> int | None:
    index = _dimension(array, number)
    return None if index is None else array.dims[index]


def _type_of(ctx: CallContext, array: Array | None, argument: int) -> int:
    return array.element_type if array is not None else _element_type(ctx, argument)


def _one_dimensional(message: str) -> SqlError:
    return SqlError(errcode.DATA_EXCEPTION, message)


@function("array_append", context=True)
def _append(ctx: CallContext, array: Array | None, element: Any) -> Array:
    element_type = _type_of(ctx, array, 0)
    if array is None or not array.dims:
        return Array(element_type, (1,), (1,), (element,))
    if len(array.dims) != 1:
        raise _one_dimensional("argument must be empty or one-dimensional array")
    _check_bound(array.lower_bounds[0] + array.dims[0])
    return Array(element_type, (array.dims[0] + 1,), array.lower_bounds, (*array.elements, element))


def _check_bound(bound: int) -> None:
    if not -0x80000000 <= bound < 0x7FFFFFFF:
        raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")


@function("array_prepend", context=True)
def _prepend(ctx: CallContext, element: Any, array: Array | None) -> Array:
    element_type = _type_of(ctx, array, 1)
    if array is None or not array.dims:
        return Array(element_type, (1,), (1,), (element,))
    if len(array.dims) != 1:
        raise _one_dimensional("argument must be empty or one-dimensional array")
    return Array(element_type, (array.dims[0] + 1,), array.lower_bounds, (element, *array.elements))


def _cannot_concatenate(detail: str) -> SqlError:
    return SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays", detail=detail)


@function("array_cat", context=True)
def _cat(ctx: CallContext, left: Array | None, right: Array | None) -> Array | None:
    if left is None or right is None:
        return left if right is None else right
    if not left.dims:
        return right
    if not right.dims:
        return left
    elements = left.elements + right.elements
    n_left, n_right = len(left.dims), len(right.dims)
    if n_left == n_right:
        if left.dims[1:] != right.dims[1:]:
            raise _cannot_concatenate(
                "Arrays with differing element dimensions are not compatible for concatenation."
            )
        dims, bounds = (left.dims[0] + right.dims[0], *left.dims[1:]), left.lower_bounds
    elif n_left == n_right - 1:
        if left.dims != right.dims[1:]:
            raise _cannot_concatenate("Arrays with differing dimensions are not compatible for concatenation.")
        dims, bounds = (right.dims[0] + 1, *right.dims[1:]), right.lower_bounds
    elif n_left == n_right + 1:
        if left.dims[1:] != right.dims:
            raise _cannot_concatenate("Arrays with differing dimensions are not compatible for concatenation.")
        dims, bounds = (left.dims[0] + 1, *left.dims[1:]), left.lower_bounds
    else:
        raise _cannot_concatenate(
            f"Arrays of {n_left} and {n_right} dimensions are not compatible for concatenation."
        )
    check_size(dims)
    return Array(left.element_type, dims, bounds, elements)


def _positions(ctx: CallContext, array: Array, element: Any, start: int | None) -> Iterator[int]:
    if len(array.dims) > 1:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "searching for elements in multidimensional arrays is not supported"
        )
    if not array.elements:
        return
    base = array.lower_bounds[0]
    equal = equality(array.element_type, ctx.collation)
    for index, candidate in enumerate(array.elements):
        if start is not None and base + index < start:
            continue
        if (candidate is None or element is None) and candidate is not element:
            continue
        if candidate is None or equal(candidate, element):
            yield base + index


@function("array_position", context=True)
def _position(ctx: CallContext, array: Array | None, element: Any) -> int | None:
    return None if array is None else next(_positions(ctx, array, element, None), None)


@function("array_position_start", context=True)
def _position_start(ctx: CallContext, array: Array | None, element: Any, start: int | None) -> int | None:
    if array is None:
        return None
    if start is None:
        raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "initial position must not be null")
    return next(_positions(ctx, array, element, start), None)


@function("array_positions", context=True)
def _all_positions(ctx: CallContext, array: Array | None, element: Any) -> Array | None:
    return None if array is None else Array.of(INT4OID, _positions(ctx, array, element, None))


def _replace(ctx: CallContext, array: Array, old: Any, make: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    equal = equality(array.element_type, ctx.collation)
    out: list[Any] = []
    for element in array.elements:
        same = element is None if old is None else element is not None and equal(element, old)
        out.extend(make() if same else (element,))
    return tuple(out)


@function("array_remove", context=True)
def _remove(ctx: CallContext, array: Array | None, element: Any) -> Array | None:
    if array is None:
        return None
    if len(array.dims) > 1:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "removing elements from multidimensional arrays is not supported"
        )
    kept = _replace(ctx, array, element, tuple)
    if not kept:
        return empty(array.element_type)
    return Array(array.element_type, (len(kept),), array.lower_bounds, kept)


@function("array_replace", context=True)
def _replace_elements(ctx: CallContext, array: Array | None, old: Any, new: Any) -> Array | None:
    if array is None:
        return None
    return Array(array.element_type, array.dims, array.lower_bounds, _replace(ctx, array, old, lambda: (new,)))


def array_compare(left: Array, right: Array, collation: int = 100) -> int:
    """Three-way comparison: elements, then how many, then dimensions."""
    compare = comparator(left.element_type, collation)
    for a, b in zip(left.elements, right.elements, strict=False):
        if a is None or b is None:
            if (a is None) != (b is None):
                return 1 if a is None else -1
            continue
        order = compare(a, b)
        if order:
            return -1 if order < 0 else 1
    for x, y in (
        (len(left.elements), len(right.elements)),
        (len(left.dims), len(right.dims)),
        (left.dims, right.dims),
        (left.lower_bounds, right.lower_bounds),
    ):
        if x != y:
            return -1 if x < y else 1  # type: ignore[operator]  # both are of one kind
    return 0


@function("btarraycmp", context=True)
def _btarraycmp(ctx: CallContext, left: Array, right: Array) -> int:
    return array_compare(left, right, ctx.collation)


def array_equal(left: Array, right: Array, collation: int = 100) -> bool:
    """Equality; needs only an equality operator of the elements."""
    if (left.dims, left.lower_bounds) != (right.dims, right.lower_bounds):
        return False
    equal = equality(left.element_type, collation)
    return all(
        (a is None and b is None) or (a is not None and b is not None and equal(a, b))
        for a, b in zip(left.elements, right.elements, strict=True)
    )


function("array_eq", context=True)(lambda ctx, a, b: array_equal(a, b, ctx.collation))
function("array_ne", context=True)(lambda ctx, a, b: not array_equal(a, b, ctx.collation))
function("array_lt", context=True)(lambda ctx, a, b: array_compare(a, b, ctx.collation) < 0)
function("array_le", context=True)(lambda ctx, a, b: array_compare(a, b, ctx.collation) <= 0)
function("array_gt", context=True)(lambda ctx, a, b: array_compare(a, b, ctx.collation) > 0)
function("array_ge", context=True)(lambda ctx, a, b: array_compare(a, b, ctx.collation) >= 0)
function("array_larger", context=True)(lambda ctx, a, b: a if array_compare(a, b, ctx.collation) > 0 else b)
function("array_smaller", context=True)(lambda ctx, a, b: a if array_compare(a, b, ctx.collation) < 0 else b)


def _contained(left: Array, right: Array, collation: int, every: bool) -> bool:
    equal = equality(left.element_type, collation)
    for element in left.elements:
        found = element is not None and any(b is not None and equal(element, b) for b in right.elements)
        if found != every:
            return found
    return every


function("arrayoverlap", context=True)(lambda ctx, a, b: _contained(a, b, ctx.collation, False))
function("arraycontains", context=True)(lambda ctx, a, b: _contained(b, a, ctx.collation, True))
function("arraycontained", context=True)(lambda ctx, a, b: _contained(a, b, ctx.collation, True))


@function("array_unnest", set_returning=True)
def _unnest(array: Array) -> Iterator[Any]:
    return iter(array.elements)


def _to_text(array: Array, delimiter: str, null: str | None) -> str:
    output = codec_for(array.element_type).output
    parts = (null if element is None else output(element) for element in array.elements)
    return delimiter.join(part for part in parts if part is not None)


function("array_to_text")(lambda array, delimiter: _to_text(array, delimiter, None))


@function("array_to_text_null")
def _to_text_null(array: Array | None, delimiter: str | None, null: str | None) -> str | None:
    return None if array is None or delimiter is None else _to_text(array, delimiter, null)


def _fill(ctx: CallContext, value: Any, dims: Array | None, bounds: Array | None) -> Array:
    if dims is None or (bounds is None and len(ctx.argument_types) > 2):
        raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "dimension array or low bound array cannot be null")
    for array in (dims, bounds):
        if array is not None and len(array.dims) > 1:
            raise SqlError(
                errcode.ARRAY_SUBSCRIPT_ERROR,
                "wrong number of array subscripts",
                detail="Dimension array must be one dimensional.",
            )
        if array is not None and None in array.elements:
            raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null")
    sizes: tuple[int, ...] = dims.elements
    if len(sizes) > MAXDIM:
        raise too_many_dimensions(len(sizes))
    lower = bounds.elements if bounds is not None else (1,) * len(sizes)
    if len(lower) != len(sizes):
        raise SqlError(
            errcode.ARRAY_SUBSCRIPT_ERROR,
            "wrong number of array subscripts",
            detail="Low bound array has different size than dimensions array.",
        )
    if any(size < 0 for size in sizes):
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (134217727)")
    count = check_size(sizes) if sizes else 0
    element_type = ctx.argument_types[0]
    return Array(element_type, sizes, lower, (value,) * count) if count else empty(element_type)


function("array_fill", context=True)(lambda ctx, value, dims: _fill(ctx, value, dims, None))
function("array_fill_with_lower_bounds", context=True)(_fill)


@function("trim_array")
def _trim(array: Array, count: int) -> Array:
    length = array.dims[0] if array.dims else 0
    if not 0 <= count <= length:
        raise SqlError(
            errcode.ARRAY_ELEMENT_ERROR, f"number of elements to trim must be between 0 and {length}"
        )
    return _keep_first(array, length - count)


def _slices(array: Array) -> list[tuple[Any, ...]]:
    """The parts along the first dimension."""
    size = len(array.elements) // array.dims[0]
    return [array.elements[i : i + size] for i in range(0, len(array.elements), size)]


def _keep_first(array: Array, count: int) -> Array:
    if count <= 0 or not array.dims:
        return empty(array.element_type)
    parts = _slices(array)[:count]
    bounds = (1,) * len(array.dims)
    return Array(array.element_type, (count, *array.dims[1:]), bounds, tuple(e for part in parts for e in part))


def _reordered(array: Array, parts: Sequence[tuple[Any, ...]]) -> Array:
    dims = (len(parts), *array.dims[1:])
    return Array(array.element_type, dims, array.lower_bounds, tuple(e for part in parts for e in part))


@function("array_reverse")
def _reverse(array: Array) -> Array:
    return _reordered(array, _slices(array)[::-1]) if array.dims and array.dims[0] > 1 else array


@function("array_shuffle")
def _shuffle(array: Array) -> Array:
    if not array.dims or array.dims[0] < 2:
        return array
    parts = _slices(array)
    session_random().shuffle(parts)
    return _reordered(array, parts)


@function("array_sample")
def _sample(array: Array, count: int) -> Array:
    length = array.dims[0] if array.dims else 0
    if not 0 <= count <= length:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"sample size must be between 0 and {length}")
    if count == 0:
        return empty(array.element_type)
    parts = session_random().sample(_slices(array), count)
    dims, bounds = (count, *array.dims[1:]), (1, *array.lower_bounds[1:])
    return Array(array.element_type, dims, bounds, tuple(e for part in parts for e in part))


def _sort(ctx: CallContext, array: Array, descending: bool, nulls_first: bool) -> Array:
    if not array.dims or array.dims[0] < 2:
        return array
    compare = comparator(array.element_type, ctx.collation)

    def by_elements(left: tuple[Any, ...], right: tuple[Any, ...]) -> int:
        for a, b in zip(left, right, strict=True):
            if a is None or b is None:
                if (a is None) == (b is None):
                    continue
                # Inside a row a null is greater, as arrays compare; a null element itself goes where it is told.
                if len(array.dims) == 1:
                    return -1 if (a is None) == nulls_first else 1
                return (1 if a is None else -1) * (-1 if descending else 1)
            order = compare(a, b)
            if order:
                return -order if descending else order
        return 0

    return _reordered(array, sorted(_slices(array), key=cmp_to_key(by_elements)))


function("array_sort", context=True)(lambda ctx, array: _sort(ctx, array, False, False))
function("array_sort_order", context=True)(lambda ctx, array, descending: _sort(ctx, array, descending, descending))
function("array_sort_order_nulls_first", context=True)(_sort)


@function("generate_subscripts", set_returning=True)
def _subscripts(array: Array, dimension: int, reverse: bool) -> Iterator[int]:
    index = _dimension(array, dimension)
    if index is None:
        return
    numbers = range(array.lower_bounds[index], array.lower_bounds[index] + array.dims[index])
    yield from reversed(numbers) if reverse else numbers


@function("generate_subscripts_nodir", set_returning=True)
def _subscripts_forward(array: Array, dimension: int) -> Iterator[int]:
    return iter(_subscripts(array, dimension, False))


@function("width_bucket_array", context=True)
def _width_bucket(ctx: CallContext, operand: Any, thresholds: Array) -> int:
    if len(thresholds.dims) > 1:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array")
    if None in thresholds.elements:
        raise SqlError(errcode.NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs")
    compare = comparator(thresholds.element_type, ctx.collation)
    low, high = 0, len(thresholds.elements)
    while low < high:
        middle = (low + high) // 2
        if compare(operand, thresholds.elements[middle]) < 0:
            high = middle
        else:
            low = middle + 1
    return low


# Subscripting: what the executor's SubscriptingRef calls.


def get_element(array: Array, subscripts: Sequence[int]) -> Any:
    """array[i][j]...; None outside of the array or with a wrong number of subscripts."""
    if len(subscripts) != len(array.dims) or not array.dims:
        return None
    offset = 0
    for subscript, dim, lower in zip(subscripts, array.dims, array.lower_bounds, strict=True):
        if not lower <= subscript < lower + dim:
            return None
        offset = offset * dim + subscript - lower
    return array.elements[offset]


Bounds = Sequence[tuple[int | None, int | None]]


def get_slice(array: Array, bounds: Bounds) -> Array:
    """array[l:u]...; a missing bound is the array's own, a missing dimension the whole one. Subscripts from 1."""
    if not array.dims or len(bounds) > len(array.dims):
        return empty(array.element_type)
    spans: list[tuple[int, int]] = []
    for index, (dim, first) in enumerate(zip(array.dims, array.lower_bounds, strict=True)):
        low, high = bounds[index] if index < len(bounds) else (None, None)
        start = first if low is None else max(low, first)
        end = first + dim - 1 if high is None else min(high, first + dim - 1)
        if start > end:
            return empty(array.element_type)
        spans.append((start - first, end - first + 1))
    offsets = [0]
    for (start, end), dim in zip(spans, array.dims, strict=True):
        offsets = [offset * dim + i for offset in offsets for i in range(start, end)]
    dims = tuple(end - start for start, end in spans)
    elements = tuple(array.elements[offset] for offset in offsets)
    return Array(array.element_type, dims, (1,) * len(dims), elements)


def set_element(array: Array | None, element_type: int, subscripts: Sequence[int], value: Any) -> Array:
    """array[i][j]... := value; a one-dimensional array grows as needed, with nulls between."""
    if array is None or not array.dims:
        if len(subscripts) > MAXDIM:
            raise too_many_dimensions(len(subscripts))
        return Array(element_type, (1,) * len(subscripts), tuple(subscripts), (value,))
    if len(subscripts) != len(array.dims):
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
    if len(array.dims) == 1:
        return _set_in_vector(array, subscripts[0], value)
    offset = 0
    for subscript, dim, lower in zip(subscripts, array.dims, array.lower_bounds, strict=True):
        if not lower <= subscript < lower + dim:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array subscript out of range")
        offset = offset * dim + subscript - lower
    elements = (*array.elements[:offset], value, *array.elements[offset + 1 :])
    return Array(array.element_type, array.dims, array.lower_bounds, elements)


def _set_in_vector(array: Array, subscript: int, value: Any) -> Array:
    lower, count = array.lower_bounds[0], array.dims[0]
    index = subscript - lower
    new_lower = min(lower, subscript)
    size = max(count, index + 1) + (lower - new_lower)
    check_size((size,))
    elements = [None] * (lower - new_lower) + list(array.elements)
    elements += [None] * (size - len(elements))
    elements[subscript - new_lower] = value
    return Array(array.element_type, (size,), (new_lower,), tuple(elements))


def set_slice(array: Array | None, element_type: int, bounds: Bounds, source: Array) -> Array:
    """array[l:u]... := source."""
    if array is None or not array.dims:
        if any(low is None or high is None for low, high in bounds):
            raise SqlError(
                errcode.ARRAY_SUBSCRIPT_ERROR,
                "array slice subscript must provide both boundaries",
                detail="When assigning to a slice of an empty array value, slice boundaries must be fully specified.",
            )
        dims = tuple(high - low + 1 for low, high in bounds if low is not None and high is not None)
        lower = tuple(low for low, _ in bounds if low is not None)
        if any(dim < 0 for dim in dims):
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound")
        count = check_size(dims)
        if count == 0:
            return empty(element_type)
        _check_source(source, count)
        return Array(element_type, dims, lower, source.elements[:count])
    if len(bounds) > len(array.dims):
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
    if len(array.dims) == 1:
        low, high = bounds[0]
        low = array.lower_bounds[0] if low is None else low
        high = array.lower_bounds[0] + array.dims[0] - 1 if high is None else high
        if low > high:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound")
        _check_source(source, high - low + 1)
        for index, subscript in enumerate(range(low, high + 1)):
            array = _set_in_vector(array, subscript, source.elements[index])
        return array
    return _set_inner_slice(array, bounds, source)


def _check_source(source: Array, count: int) -> None:
    if len(source.elements) < count:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "source array too small")


def _set_inner_slice(array: Array, bounds: Bounds, source: Array) -> Array:
    offsets = [0]
    for index, (dim, first) in enumerate(zip(array.dims, array.lower_bounds, strict=True)):
        low, high = bounds[index] if index < len(bounds) else (None, None)
        start, end = (first if low is None else low), (first + dim - 1 if high is None else high)
        if start > end:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "upper bound cannot be less than lower bound")
        if start < first or end >= first + dim:
            raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "array subscript out of range")
        offsets = [offset * dim + i - first for offset in offsets for i in range(start, end + 1)]
    _check_source(source, len(offsets))
    elements = list(array.elements)
    for offset, value in zip(offsets, source.elements, strict=False):
        elements[offset] = value
    return Array(array.element_type, array.dims, array.lower_bounds, tuple(elements))


def construct(element_type: int, values: Sequence[Any], nested: bool) -> Array:
    """ARRAY[...]: of elements, or of arrays that become a dimension more."""
    if not nested:
        return Array.of(element_type, values)
    if not values:
        return empty(element_type)
    arrays = [value for value in values if value is not None and value.dims]
    if not arrays:
        return empty(element_type)
    if len(arrays) != len(values) or any(
        (a.dims, a.lower_bounds) != (arrays[0].dims, arrays[0].lower_bounds) for a in arrays
    ):
        raise SqlError(
            errcode.ARRAY_SUBSCRIPT_ERROR,
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    if len(arrays[0].dims) >= MAXDIM:
        raise too_many_dimensions(len(arrays[0].dims) + 1)
    elements = tuple(element for array in arrays for element in array.elements)
    return Array(element_type, (len(arrays), *arrays[0].dims), (1, *arrays[0].lower_bounds), elements)
