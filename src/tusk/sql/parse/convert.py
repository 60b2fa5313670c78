"""From libpg_query's JSON to node objects, driven by the classes' field tables.

The JSON leaves out fields that are zero, names enum members, names the class of a node only where the C type does not
(``{"ColumnRef": {...}}`` against plain ``{...}``), and writes ``{}`` for a NULL in a list.
"""

from __future__ import annotations

from typing import Any

from tusk.sql.nodes import enums, literals, parsetree, primitives
from tusk.sql.nodes.base import Node
from tusk.sql.parse.embedded import EMBEDDED

_SCALAR_ZERO: dict[str, Any] = {
    "int": 0,
    "uint": 0,
    "oid": 0,
    "bool": False,
    "char": "\0",
    "float": 0.0,
    "location": 0,
    "string": None,
    "datum": None,
    "bitmap": frozenset(),
    "node": None,
}
_CONSTANT_KEYS = (
    ("ival", literals.Integer),
    ("sval", literals.String),
    ("fval", literals.Float),
    ("boolval", literals.Boolean),
    ("bsval", literals.BitString),
)

# Class name -> (class, scalar fields, enum fields, node fields, list fields); see _describe.
_Plan = tuple[type[Node], tuple[tuple[str, str, Any], ...], tuple[Any, ...], tuple[Any, ...], tuple[str, ...]]


def _describe(kind: type[Node]) -> _Plan:
    scalars, enum_fields, nodes, lists = [], [], [], []
    for attribute, field, _ in kind.FIELDS:
        key = attribute.rstrip("_")
        if field.startswith("enum:"):
            members = {member.name: member for member in getattr(enums, field[5:])}
            zero = next((member for member in members.values() if member == 0), None)
            enum_fields.append((attribute, key, members, zero if zero is not None else next(iter(members.values()))))
        elif field == "node":
            nodes.append((attribute, key, EMBEDDED.get((kind.__name__, attribute))))
        elif field.startswith(("list", "array")):
            lists.append(attribute)
        else:
            scalars.append((attribute, key, _SCALAR_ZERO[field]))
    return kind, tuple(scalars), tuple(enum_fields), tuple(nodes), tuple(lists)


_plans: dict[str, _Plan] = {}


def _plan_of(name: str) -> _Plan:
    plan = _plans.get(name)
    if plan is None:
        for module in (parsetree, primitives, literals):
            found = getattr(module, name, None)
            if found is not None:
                break
        assert found is not None, name
        plan = _plans[name] = _describe(found)
    return plan


def _constant(data: dict[str, Any]) -> parsetree.A_Const:
    value: Any = None
    for key, kind in _CONSTANT_KEYS:
        inner = data.get(key)
        if inner is not None:
            if kind is literals.Integer:
                value = literals.Integer(ival=inner.get("ival", 0))
            elif kind is literals.Boolean:
                value = literals.Boolean(boolval=inner.get("boolval", False))
            else:
                value = kind(**{key: inner.get(key, "")})
    return parsetree.A_Const(val=value, isnull=data.get("isnull", False), location=data.get("location", 0))


def build(name: str, data: dict[str, Any]) -> Any:
    """The node of class ``name`` that a JSON object describes; a Python list for ``List``."""
    if name == "A_Const":
        return _constant(data)
    if name == "List":
        return build_list(data.get("items", ()))
    if name == "String":
        return literals.String(sval=data.get("sval", ""))
    kind, scalars, enum_fields, nodes, lists = _plans.get(name) or _plan_of(name)
    node = kind.__new__(kind)
    get = data.get
    for attribute, key, zero in scalars:
        setattr(node, attribute, get(key, zero))
    for attribute, key, members, zero in enum_fields:
        label = get(key)
        setattr(node, attribute, zero if label is None else members.get(label, zero))
    for attribute, key, embedded in nodes:
        child = get(key)
        if child is None:
            setattr(node, attribute, None)
        elif embedded is not None:
            setattr(node, attribute, build(embedded, child))
        else:
            setattr(node, attribute, build(*next(iter(child.items()))))
    for attribute in lists:
        items = get(attribute)
        setattr(node, attribute, [] if items is None else build_list(items))
    return node


def build_list(items: Any) -> list[Any]:
    """The nodes of a JSON list; None for ``{}``."""
    return [build(*next(iter(item.items()))) if item else None for item in items]
