"""Access to json and jsonb values: operators -> ->> #> #>>, each, elements, keys, lengths, types, nulls, pretty."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.types.json_parse import Node, parse_nodes
from tusk.types.jsonb_format import pretty_text, quote, tree_text
from tusk.types.numeric import numeric_to_float, numeric_to_int4
from tusk.types.registry import find_function, function
from tusk.types.values import Jsonb


def tree_as_text(value: Any) -> str | None:
    """What ->> gives for a jsonb value."""
    if value is None or isinstance(value, str):
        return value
    return tree_text(value)


def _wrong_input(message: str) -> SqlError:
    return SqlError(errcode.INVALID_PARAMETER_VALUE, message)


_MISSING = object()


def tree_field(tree: Any, name: str) -> Any:
    """A member of an object, or the missing mark."""
    return tree.get(name, _MISSING) if isinstance(tree, dict) else _MISSING


def tree_element(tree: Any, index: int) -> Any:
    """An element of an array, from the end if negative, or the missing mark."""
    if isinstance(tree, list) and -len(tree) <= index < len(tree):
        return tree[index]
    return _MISSING


def path_index(text: str) -> int | None:
    """A path step as array index."""
    body = text.strip()
    digits = body[1:] if body[:1] in ("-", "+") else body
    if not digits.isascii() or not digits.isdigit() or text != text.rstrip():
        return None
    value = int(body)
    return value if -(1 << 31) <= value < 1 << 31 else None


def tree_path(tree: Any, path: Sequence[str | None]) -> Any:
    """Follow a path; the missing mark when it leads nowhere."""
    for step in path:
        if step is None:
            return _MISSING
        if isinstance(tree, dict):
            tree = tree_field(tree, step)
        elif isinstance(tree, list):
            index = path_index(step)
            tree = _MISSING if index is None else tree_element(tree, index)
        else:
            return _MISSING
        if tree is _MISSING:
            return _MISSING
    return tree


def is_missing(value: Any) -> bool:
    """Is it the missing mark of the functions above?"""
    return value is _MISSING


def _as_jsonb(value: Any) -> Jsonb | None:
    return None if value is _MISSING else Jsonb(None, value)


def _as_text(value: Any) -> str | None:
    return None if value is _MISSING else tree_as_text(value)


function("jsonb_object_field")(lambda jsonb, name: _as_jsonb(tree_field(jsonb.tree, name)))
function("jsonb_object_field_text")(lambda jsonb, name: _as_text(tree_field(jsonb.tree, name)))
function("jsonb_array_element")(lambda jsonb, index: _as_jsonb(tree_element(jsonb.tree, index)))
function("jsonb_array_element_text")(lambda jsonb, index: _as_text(tree_element(jsonb.tree, index)))
function("jsonb_extract_path")(lambda jsonb, path: _as_jsonb(tree_path(jsonb.tree, path.elements)))
function("jsonb_extract_path_text")(lambda jsonb, path: _as_text(tree_path(jsonb.tree, path.elements)))


def _node_path(text: str, path: Sequence[str | None]) -> Node | None:
    node: Node | None = parse_nodes(text)
    for step in path:
        if node is None or step is None:
            return None
        if node.kind == "object":
            node = node.field(step)
        elif node.kind == "array":
            index = path_index(step)
            node = None if index is None else node.element(index)
        else:
            return None
    return node


def _source(node: Node | None) -> str | None:
    return None if node is None else node.source


def _node_text(node: Node | None) -> str | None:
    return None if node is None else node.as_text()


function("json_object_field")(lambda text, name: _source(parse_nodes(text).field(name)))
function("json_object_field_text")(lambda text, name: _node_text(parse_nodes(text).field(name)))
function("json_array_element")(lambda text, index: _source(parse_nodes(text).element(index)))
function("json_array_element_text")(lambda text, index: _node_text(parse_nodes(text).element(index)))
function("json_extract_path")(lambda text, path: _source(_node_path(text, path.elements)))
function("json_extract_path_text")(lambda text, path: _node_text(_node_path(text, path.elements)))


# Sets of members and elements.


def _object_node(text: str, name: str) -> Node:
    node = parse_nodes(text)
    if node.kind != "object":
        raise _wrong_input(
            f"cannot deconstruct {'an array as an object' if node.kind == 'array' else 'a scalar'}"
        )
    return node


@function("json_each", set_returning=True)
def _json_each(text: str) -> Iterator[tuple[str, str]]:
    for key, node in _object_node(text, "json_each").children:
        yield key, node.source


@function("json_each_text", set_returning=True)
def _json_each_text(text: str) -> Iterator[tuple[str, str | None]]:
    for key, node in _object_node(text, "json_each_text").children:
        yield key, node.as_text()


def _members(jsonb: Jsonb, name: str) -> dict[str, Any]:
    tree = jsonb.tree
    if not isinstance(tree, dict):
        raise _wrong_input(f"cannot call {name} on a non-object")
    return tree


@function("jsonb_each", set_returning=True)
def _jsonb_each(jsonb: Jsonb) -> Iterator[tuple[str, Jsonb]]:
    for key, value in _members(jsonb, "jsonb_each").items():
        yield key, Jsonb(None, value)


@function("jsonb_each_text", set_returning=True)
def _jsonb_each_text(jsonb: Jsonb) -> Iterator[tuple[str, str | None]]:
    for key, value in _members(jsonb, "jsonb_each_text").items():
        yield key, tree_as_text(value)


def _array_node(text: str, name: str) -> list[Node]:
    node = parse_nodes(text)
    if node.kind != "array":
        raise _wrong_input(f"cannot call {name} on a {'non-array' if node.kind == 'object' else 'scalar'}")
    children: list[Node] = node.children
    return children


@function("json_array_elements", set_returning=True)
def _json_elements(text: str) -> Iterator[str]:
    return (node.source for node in _array_node(text, "json_array_elements"))


@function("json_array_elements_text", set_returning=True)
def _json_elements_text(text: str) -> Iterator[str | None]:
    return (node.as_text() for node in _array_node(text, "json_array_elements_text"))


def _items(jsonb: Jsonb, verb: str) -> list[Any]:
    tree = jsonb.tree
    if isinstance(tree, list):
        return tree
    raise _wrong_input(f"cannot {verb} from {'an object' if isinstance(tree, dict) else 'a scalar'}")


@function("jsonb_array_elements", set_returning=True)
def _jsonb_elements(jsonb: Jsonb) -> Iterator[Jsonb]:
    return (Jsonb(None, item) for item in _items(jsonb, "extract elements"))


@function("jsonb_array_elements_text", set_returning=True)
def _jsonb_elements_text(jsonb: Jsonb) -> Iterator[str | None]:
    return (tree_as_text(item) for item in _items(jsonb, "extract elements"))


@function("json_object_keys", set_returning=True)
def _json_keys(text: str) -> Iterator[str]:
    node = parse_nodes(text)
    if node.kind != "object":
        what = "an array" if node.kind == "array" else "a scalar"
        raise _wrong_input(f"cannot call json_object_keys on {what}")
    return (key for key, _ in node.children)


@function("jsonb_object_keys", set_returning=True)
def _jsonb_keys(jsonb: Jsonb) -> Iterator[str]:
    tree = jsonb.tree
    if not isinstance(tree, dict):
        what = "an array" if isinstance(tree, list) else "a scalar"
        raise _wrong_input(f"cannot call jsonb_object_keys on {what}")
    return iter(tree)


@function("json_array_length")
def _json_length(text: str) -> int:
    node = parse_nodes(text)
    if node.kind != "array":
        raise _wrong_input(
            f"cannot get array length of a {'non-array' if node.kind == 'object' else 'scalar'}"
        )
    return len(node.children)


@function("jsonb_array_length")
def _jsonb_length(jsonb: Jsonb) -> int:
    tree = jsonb.tree
    if not isinstance(tree, list):
        raise _wrong_input(f"cannot get array length of a {'non-array' if isinstance(tree, dict) else 'scalar'}")
    return len(tree)


@function("json_typeof")
def _json_typeof(text: str) -> str:
    kind = parse_nodes(text).kind
    return "boolean" if kind in ("true", "false") else kind


def tree_type(tree: Any) -> str:
    """Name of the kind of a JSON value."""
    if tree is None:
        return "null"
    if isinstance(tree, bool):
        return "boolean"
    if isinstance(tree, str):
        return "string"
    if isinstance(tree, Decimal):
        return "number"
    return "object" if isinstance(tree, dict) else "array"


function("jsonb_typeof")(lambda jsonb: tree_type(jsonb.tree))
function("jsonb_pretty")(lambda jsonb: pretty_text(jsonb.tree))


def _strip_nulls(tree: Any, in_arrays: bool) -> Any:
    if isinstance(tree, dict):
        return {key: _strip_nulls(value, in_arrays) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [_strip_nulls(item, in_arrays) for item in tree if item is not None or not in_arrays]
    return tree


@function("jsonb_strip_nulls")
def _jsonb_strip_nulls(jsonb: Jsonb, in_arrays: bool = False) -> Jsonb:
    return Jsonb(None, _strip_nulls(jsonb.tree, in_arrays))


@function("json_strip_nulls")
def _json_strip_nulls(text: str, in_arrays: bool = False) -> str:
    def write(node: Node) -> str:
        if node.kind == "object":
            members = (f"{quote(key)}:{write(child)}" for key, child in node.children if child.kind != "null")
            return "{" + ",".join(members) + "}"
        if node.kind == "array":
            kept = (write(child) for child in node.children if child.kind != "null" or not in_arrays)
            return "[" + ",".join(kept) + "]"
        return quote(node.string()) if node.kind == "string" else node.source

    return write(parse_nodes(text))


# Casts from jsonb.


def _cast(name: str, convert: Callable[[Any], Any], kind: type) -> Callable[[Jsonb], Any]:
    def cast(jsonb: Jsonb) -> Any:
        tree = jsonb.tree
        if tree is None:
            return None
        if isinstance(tree, kind):
            return convert(tree)
        what = tree_type(tree)
        what = {"number": "numeric", "array": "array", "object": "object"}.get(what, what)
        raise _wrong_input(f"cannot cast jsonb {what} to type {name}")

    return cast


def _through(prosrc: str) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        definition = find_function(prosrc)
        assert definition is not None
        return definition.call(value)

    return convert


function("jsonb_bool")(_cast("boolean", lambda value: value, bool))
function("jsonb_numeric")(_cast("numeric", lambda value: value, Decimal))
function("jsonb_int2")(_cast("smallint", _through("numeric_int2"), Decimal))
function("jsonb_int4")(_cast("integer", numeric_to_int4, Decimal))
function("jsonb_int8")(_cast("bigint", _through("numeric_int8"), Decimal))
function("jsonb_float4")(_cast("real", _through("numeric_float4"), Decimal))
function("jsonb_float8")(_cast("double precision", numeric_to_float, Decimal))
