"""The root of all node classes, and the generic operations on trees: copy, compare, walk, replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tusk.sql.nodes._trees import children, copy_tree, set_node_class

T = TypeVar("T", bound="Node")
FieldTable = tuple[tuple[str, str, str], ...]

__all__ = ["FieldTable", "Node", "children", "copy_tree", "equal", "mutate", "replace", "walk"]


class Node:
    """A node of a parse, query or plan tree. ``FIELDS`` lists (name, kind, flags) in the order of the C struct.

    Kinds: int, uint, oid, bool, char, float, string, location, datum, bitmap (a frozenset), node, ``enum:Name``, list
    (of nodes), ``list:int``, ``list:oid``, ``array:<scalar>``. Comparison with ``==`` is identity; `equal` compares
    structures.
    """

    __slots__ = ()
    FIELDS: ClassVar[FieldTable] = ()

    def __init__(self, **_values: Any) -> None:
        raise TypeError(f"{type(self).__name__} is abstract")

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name, _, _ in self.FIELDS if getattr(self, name) is not None)
        return f"{type(self).__name__}({', '.join(shown)})"

    if TYPE_CHECKING:
        # What is known to be a node of some class is not known to be of which: its fields are anything.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


set_node_class(Node)


def _new(kind: type[T]) -> T:
    return kind.__new__(kind)


def replace(node: T, **changes: Any) -> T:
    """A shallow copy of ``node`` with some fields changed; lists are copied one level deep."""
    copy = _new(type(node))
    for name, _, _ in node.FIELDS:
        value = changes.get(name, _MISSING)
        if value is _MISSING:
            value = getattr(node, name)
            if type(value) is list:
                value = list(value)
        setattr(copy, name, value)
    return copy


_MISSING = object()


def equal(a: Any, b: Any) -> bool:
    """Whether two trees mean the same: PostgreSQL's equal(), which ignores locations and what is marked so."""
    if a is b:
        return True
    if isinstance(a, Node):
        if type(a) is not type(b):
            return False
        for name, kind, flags in a.FIELDS:
            if kind == "location" or "equal_ignore" in flags.split():
                continue
            left, right = getattr(a, name), getattr(b, name)
            if "equal_ignore_if_zero" in flags and not (left and right):
                continue
            if not equal(left, right):
                return False
        return True
    if type(a) is list:
        return type(b) is list and len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def walk(tree: Any, visit: Callable[[Node], bool | None]) -> bool:
    """Call ``visit`` on every node, parents first; a true answer stops the walk and is returned.

    To look at a node and then not below it, write the recursion with `children` instead.
    """
    if isinstance(tree, Node):
        if visit(tree):
            return True
        return any(walk(child, visit) for child in children(tree))
    if type(tree) is list:
        return any(walk(item, visit) for item in tree)
    return False


def mutate(tree: Any, change: Callable[[Node], Any]) -> Any:
    """Rebuild a tree: ``change`` gets each node, parents first, and returns a replacement, or None to copy the node
    and go on below it."""
    if isinstance(tree, Node):
        replacement = change(tree)
        if replacement is not None:
            return replacement
        copy = _new(type(tree))
        for name, kind, _ in tree.FIELDS:
            value = getattr(tree, name)
            if value is not None and kind in ("node", "list"):
                value = mutate(value, change)
            setattr(copy, name, value)
        return copy
    if type(tree) is list:
        return [mutate(item, change) for item in tree]
    return tree
