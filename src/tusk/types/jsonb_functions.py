"""jsonb: order, containment, existence, concatenation, deletion, replacement by path, subscripts, hashing."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.collate import text_comparator
from tusk.types.hashing import hash_bytes, hash_bytes_extended
from tusk.types.json_functions import is_missing, path_index, tree_path
from tusk.types.jsonb_format import key_order, normalise
from tusk.types.numeric import numeric_compare
from tusk.types.registry import find_function, function
from tusk.types.values import Array, Jsonb


def _rank(tree: Any) -> int:
    if tree is None:
        return 0
    if isinstance(tree, str):
        return 1
    if isinstance(tree, Decimal):
        return 2
    if isinstance(tree, bool):
        return 3
    return 4 if isinstance(tree, list) else 5


def _compare_text(left: str, right: str) -> int:
    return text_comparator(100)(left, right)


def _compare(left: Any, right: Any) -> int:
    a, b = _rank(left), _rank(right)
    if a != b:
        return -1 if a < b else 1
    match a:
        case 0:
            return 0
        case 1:
            return _compare_text(left, right)
        case 2:
            return numeric_compare(left, right)
        case 3:
            return int(left) - int(right)
        case 4:
            if len(left) != len(right):
                return -1 if len(left) < len(right) else 1
            for x, y in zip(left, right, strict=True):
                order = _compare(x, y)
                if order:
                    return order
            return 0
    if len(left) != len(right):
        return -1 if len(left) < len(right) else 1
    for (key_x, x), (key_y, y) in zip(left.items(), right.items(), strict=True):
        order = _compare_text(key_x, key_y) or _compare(x, y)
        if order:
            return order
    return 0


@function("jsonb_cmp")
def jsonb_compare(left: Jsonb, right: Jsonb) -> int:
    """btree order. At the top a scalar counts as an array of one element: the empty array comes before it."""
    a, b = left.tree, right.tree
    a_scalar, b_scalar = not isinstance(a, dict | list), not isinstance(b, dict | list)
    if a_scalar != b_scalar and not isinstance(a, dict) and not isinstance(b, dict):
        a_count, b_count = 1 if a_scalar else len(a), 1 if b_scalar else len(b)
        if a_count != b_count:
            return -1 if a_count < b_count else 1
        return -1 if a_scalar else 1
    if a_scalar != b_scalar:
        return -1 if a_scalar else 1
    return _compare(a, b)


for _name, _test in (
    ("eq", lambda a, b: jsonb_compare(a, b) == 0),
    ("ne", lambda a, b: jsonb_compare(a, b) != 0),
    ("lt", lambda a, b: jsonb_compare(a, b) < 0),
    ("le", lambda a, b: jsonb_compare(a, b) <= 0),
    ("gt", lambda a, b: jsonb_compare(a, b) > 0),
    ("ge", lambda a, b: jsonb_compare(a, b) >= 0),
):
    function("jsonb_" + _name)(_test)


def _equal(left: Any, right: Any) -> bool:
    return _rank(left) == _rank(right) and (left == right if _rank(left) != 2 else numeric_compare(left, right) == 0)


def _contains(outer: Any, inner: Any) -> bool:
    if isinstance(inner, dict):
        if not isinstance(outer, dict) or len(outer) < len(inner):
            return False
        return all(key in outer and _contains_value(outer[key], value) for key, value in inner.items())
    if isinstance(inner, list):
        return isinstance(outer, list) and all(_in_list(outer, item) for item in inner)
    return _equal(outer, inner)


def _contains_value(outer: Any, inner: Any) -> bool:
    return _rank(outer) == _rank(inner) and _contains(outer, inner)


def _in_list(items: list[Any], wanted: Any) -> bool:
    return any(_contains_value(item, wanted) for item in items)


def jsonb_contains(outer: Any, inner: Any) -> bool:
    """Does the tree ``outer`` contain ``inner``? At the top an array contains its scalars."""
    if isinstance(outer, list) and not isinstance(inner, dict | list):
        return _in_list(outer, inner)
    return _contains(outer, inner)


function("jsonb_contains")(lambda a, b: jsonb_contains(a.tree, b.tree))
function("jsonb_contained")(lambda a, b: jsonb_contains(b.tree, a.tree))


def _exists(tree: Any, key: str) -> bool:
    if isinstance(tree, dict):
        return key in tree
    return any(isinstance(item, str) and item == key for item in (tree if isinstance(tree, list) else [tree]))


function("jsonb_exists")(lambda jsonb, key: _exists(jsonb.tree, key))
function("jsonb_exists_any")(lambda jsonb, keys: any(k is not None and _exists(jsonb.tree, k) for k in keys))
function("jsonb_exists_all")(lambda jsonb, keys: all(k is None or _exists(jsonb.tree, k) for k in keys))


@function("jsonb_concat")
def _concat(left: Jsonb, right: Jsonb) -> Jsonb:
    a, b = left.tree, right.tree
    if isinstance(a, dict) and isinstance(b, dict):
        return Jsonb(None, normalise({**a, **b}))
    return Jsonb(None, (a if isinstance(a, list) else [a]) + (b if isinstance(b, list) else [b]))


def _error(message: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, message)


def _delete_keys(tree: Any, keys: Sequence[str | None]) -> Any:
    if not isinstance(tree, dict | list):
        raise _error("cannot delete from scalar")
    if isinstance(tree, dict):
        return {key: value for key, value in tree.items() if key not in keys}
    return [item for item in tree if not isinstance(item, str) or item not in keys]


function("jsonb_delete")(lambda jsonb, key: Jsonb(None, _delete_keys(jsonb.tree, (key,))))
function("jsonb_delete_array")(lambda jsonb, keys: Jsonb(None, _delete_keys(jsonb.tree, keys.elements)))


@function("jsonb_delete_idx")
def _delete_index(jsonb: Jsonb, index: int) -> Jsonb:
    tree = jsonb.tree
    if isinstance(tree, dict):
        raise _error("cannot delete from object using integer index")
    if not isinstance(tree, list):
        raise _error("cannot delete from scalar")
    position = index + len(tree) if index < 0 else index
    return Jsonb(None, [item for i, item in enumerate(tree) if i != position])


def _check_path(path: Array) -> tuple[str | None, ...]:
    if len(path.dims) > 1:
        raise SqlError(errcode.ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
    return path.elements


def _step_error(position: int) -> SqlError:
    return SqlError(errcode.NULL_VALUE_NOT_ALLOWED, f"path element at position {position + 1} is null")


def _index_of(step: str, position: int) -> int:
    index = path_index(step)
    if index is None:
        raise SqlError(
            errcode.INVALID_TEXT_REPRESENTATION,
            f'path element at position {position + 1} is not an integer: "{step}"',
        )
    return index


_DELETE = object()


class _Change:
    """What happens at the end of a path."""

    __slots__ = ("create", "fill", "insert", "insert_after", "replacement", "strict")

    def __init__(self, replacement: Any, create: bool, insert: bool = False, insert_after: bool = False) -> None:
        self.replacement = replacement
        self.create = create
        self.insert = insert
        self.insert_after = insert_after
        self.fill = False
        self.strict = False

    def apply(self, tree: Any, path: Sequence[str | None], depth: int = 0) -> Any:
        """The tree with the change made below; the same tree where the path leads nowhere."""
        step = path[depth]
        if step is None:
            raise _step_error(depth)
        last = depth == len(path) - 1
        if isinstance(tree, dict):
            return self.in_object(tree, step, path, depth, last)
        if isinstance(tree, list):
            return self.in_array(tree, step, path, depth, last)
        if self.strict:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                "cannot replace existing key",
                detail="The path assumes key is a composite object, but it is a scalar value.",
            )
        return tree

    def in_object(self, tree: dict[str, Any], step: str, path: Sequence[str | None], depth: int, last: bool) -> Any:
        changed = dict(tree)
        if step not in tree:
            if last and self.create and self.replacement is not _DELETE:
                changed[step] = self.replacement
            elif not last and self.fill:
                changed[step] = self.build(path, depth + 1)
            else:
                return tree
            return {key: changed[key] for key in sorted(changed, key=key_order)}
        if not last:
            changed[step] = self.apply(tree[step], path, depth + 1)
        elif self.replacement is _DELETE:
            del changed[step]
        elif self.insert:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                "cannot replace existing key",
                hint="Try using the function jsonb_set to replace key value.",
            )
        else:
            changed[step] = self.replacement
        return changed

    def in_array(self, tree: list[Any], step: str, path: Sequence[str | None], depth: int, last: bool) -> Any:
        index = _index_of(step, depth)
        if index < 0:
            if self.strict and -index > len(tree):
                raise _error(
                    f"path element at position {depth + 1} is out of range: {index}"
                )
            index += len(tree)
        changed = list(tree)
        if not 0 <= index < len(tree):
            if not (last or self.fill) or not self.create or self.replacement is _DELETE:
                return tree
            new = self.replacement if last else self.build(path, depth + 1)
            if index < 0:
                changed.insert(0, new)
            else:
                if self.fill:
                    changed += [None] * (index - len(tree))
                changed.append(new)
            return changed
        if not last:
            changed[index] = self.apply(tree[index], path, depth + 1)
        elif self.replacement is _DELETE:
            del changed[index]
        elif self.insert:
            changed.insert(index + 1 if self.insert_after else index, self.replacement)
        else:
            changed[index] = self.replacement
        return changed

    def build(self, path: Sequence[str | None], depth: int) -> Any:
        """Containers for the rest of a path that does not exist."""
        if depth == len(path):
            return self.replacement
        step = path[depth]
        if step is None:
            raise _step_error(depth)
        index = path_index(step)
        inner = self.build(path, depth + 1)
        if index is not None and index >= 0:
            return [None] * index + [inner]
        return {step: inner}


def _require_container(tree: Any, verb: str) -> None:
    if not isinstance(tree, dict | list):
        raise _error(f"cannot {verb} scalar")


@function("jsonb_set")
def _set(jsonb: Jsonb, path: Array, replacement: Jsonb, create: bool = True) -> Jsonb:
    steps = _check_path(path)
    tree = jsonb.tree
    _require_container(tree, "set path in")
    if not steps or (not tree and not create):
        return jsonb
    return Jsonb(None, _Change(replacement.tree, create).apply(tree, steps))


@function("jsonb_insert")
def _insert(jsonb: Jsonb, path: Array, replacement: Jsonb, after: bool = False) -> Jsonb:
    steps = _check_path(path)
    _require_container(jsonb.tree, "set path in")
    if not steps:
        return jsonb
    return Jsonb(None, _Change(replacement.tree, True, True, after).apply(jsonb.tree, steps))


@function("jsonb_delete_path")
def _delete_path(jsonb: Jsonb, path: Array) -> Jsonb:
    steps = _check_path(path)
    _require_container(jsonb.tree, "delete path in")
    if not steps or not jsonb.tree:
        return jsonb
    return Jsonb(None, _Change(_DELETE, False).apply(jsonb.tree, steps))


@function("jsonb_set_lax")
def _set_lax(
    jsonb: Jsonb | None, path: Array | None, replacement: Jsonb | None, create: bool | None = True,
    treatment: str | None = "use_json_null",
) -> Jsonb | None:  # fmt: skip
    if jsonb is None or path is None or create is None:
        return None
    if treatment not in ("use_json_null", "raise_exception", "return_target", "delete_key"):
        raise _error(
            'null_value_treatment must be "delete_key", "return_target", "use_json_null", or "raise_exception"'
        )
    if replacement is not None:
        return _set(jsonb, path, replacement, create)
    match treatment:
        case "raise_exception":
            raise SqlError(
                errcode.NULL_VALUE_NOT_ALLOWED,
                "JSON value must not be null",
                detail='Exception was raised because null_value_treatment is "raise_exception".',
                hint="To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not"
                " passed.",
            )
        case "return_target":
            return jsonb
        case "delete_key":
            return _delete_path(jsonb, path)
    return _set(jsonb, path, Jsonb(None, None), create)


def get_subscript(jsonb: Jsonb, path: Sequence[str | None]) -> Jsonb | None:
    """jsonb['a'][0]...: None when there is nothing."""
    found = tree_path(jsonb.tree, path)
    return None if is_missing(found) else Jsonb(None, found)


def set_subscript(jsonb: Jsonb | None, path: Sequence[str | None], value: Jsonb | None) -> Jsonb:
    """jsonb['a'][0]... := value; missing containers are made, arrays filled with nulls."""
    change = _Change(None if value is None else value.tree, True)
    change.fill = change.strict = True
    if jsonb is None:
        return Jsonb(None, change.build(path, 0))
    if not isinstance(jsonb.tree, dict | list):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            "cannot replace existing key",
            detail="The path assumes key is a composite object, but it is a scalar value.",
        )
    return Jsonb(None, change.apply(jsonb.tree, path))


def _scalar_hash(value: Any, seed: int | None) -> int:
    """Hash of a scalar, alone of its kind."""
    if value is None:
        return 0x01 if seed is None else seed + 0x01
    if isinstance(value, bool):
        if seed is None:
            return 0x02 if value else 0x04
        definition = find_function("hashcharextended")
        assert definition is not None
        return int(definition.call("\1" if value else "", seed))
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogateescape")
        return hash_bytes(data) if seed is None else hash_bytes_extended(data, seed)
    definition = find_function("hash_numeric" if seed is None else "hash_numeric_extended")
    assert definition is not None
    return int(definition.call(value) if seed is None else definition.call(value, seed))


_FOBJECT, _FARRAY = 0x20000000, 0x40000000


def _hash(tree: Any) -> int:
    mask = 0xFFFFFFFF

    def rotate(value: int) -> int:
        return (value << 1 | value >> 31) & mask

    def visit(value: Any, current: int) -> int:
        if isinstance(value, list):
            current ^= _FARRAY
            for item in value:
                current = visit(item, current)
        elif isinstance(value, dict):
            current ^= _FOBJECT
            for key, item in value.items():
                current = rotate(current) ^ _scalar_hash(key, None) & mask
                current = visit(item, current)
        else:
            current = rotate(current) ^ _scalar_hash(value, None) & mask
        return current

    if tree in ({}, []):
        return 0
    result = visit(tree if isinstance(tree, dict | list) else [tree], 0)
    return result - (1 << 32) if result >> 31 else result


function("jsonb_hash")(lambda jsonb: _hash(jsonb.tree))


@function("jsonb_hash_extended")
def _hash_extended(jsonb: Jsonb, seed: int) -> int:
    mask = 0xFFFFFFFFFFFFFFFF

    def rotate(value: int) -> int:
        # The two halves rotate on their own.
        high, low = value >> 32, value & 0xFFFFFFFF
        high = (high << 1 | high >> 31) & 0xFFFFFFFF
        low = (low << 1 | low >> 31) & 0xFFFFFFFF
        return high << 32 | low

    def visit(value: Any, current: int) -> int:
        if isinstance(value, list):
            current ^= _FARRAY << 32 | _FARRAY
            for item in value:
                current = visit(item, current)
        elif isinstance(value, dict):
            current ^= _FOBJECT << 32 | _FOBJECT
            for key, item in value.items():
                current = rotate(current) ^ _scalar_hash(key, seed) & mask
                current = visit(item, current)
        else:
            current = rotate(current) ^ _scalar_hash(value, seed) & mask
        return current

    tree = jsonb.tree
    if tree in ({}, []):
        return seed
    result = visit(tree if isinstance(tree, dict | list) else [tree], 0)
    return result - (1 << 64) if result >> 63 else result
