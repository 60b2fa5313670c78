"""Constants: literals that are read back as the same value and type."""

from __future__ import annotations

from typing import Any

from tusk.sql.analyze import lookup as lk
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.writer import Deparser, emits
from tusk.sql.nodes.primitives import Const
from tusk.types.codec import output_value

BOOLOID, INT4OID, NUMERICOID, UNKNOWNOID = 16, 23, 1700, 705


@emits(Const)
def _const(d: Deparser, node: Any, show_implicit: bool) -> None:
    write_constant(d, node, 0)


def write_constant(d: Deparser, const: Any, show_type: int) -> None:
    """A constant with its type: never (-1), where reading it back needs it (0), always (1) (get_const_expr)."""
    kind = const.consttype
    if const.constisnull:
        d.put("NULL")
        label = show_type >= 0
    else:
        text = output_value(kind, const.constvalue)
        label = True
        if kind == INT4OID:
            label = text.startswith("-")
            d.put(nm.string_literal(text) if label else text)
        elif kind == NUMERICOID:
            bare = text[0].isdigit() and any(mark in text for mark in "eE.")
            label = not bare or const.consttypmod >= 0
            d.put(text if bare else nm.string_literal(text))
        elif kind == BOOLOID:
            d.put("true" if const.constvalue else "false")
            label = False
        else:
            d.put(nm.string_literal(text))
            label = kind != UNKNOWNOID
        if show_type < 0:
            return
        label = label or show_type > 0
    if label:
        d.put("::" + nm.type_text(kind, const.consttypmod))
    if const.constisnull and show_type < 0:
        return
    if const.constcollid and const.constcollid != lk.type_collation(kind):
        d.put(" COLLATE " + nm.collation_text(const.constcollid))
