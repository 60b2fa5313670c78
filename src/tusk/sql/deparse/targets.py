"""Output columns: of SELECT and of RETURNING (get_target_list)."""

from __future__ import annotations

from functools import partial
from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.sql.deparse.variables import write_variable
from tusk.sql.deparse.writer import INDENT_STD, INDENT_VAR, Deparser
from tusk.sql.nodes.primitives import Var


def _write_target(d: Deparser, target: Any, number: int) -> None:
    name: str | None
    if type(target.expr) is Var:
        name = write_variable(d, target.expr, 0, True)
    else:
        d.expression(target.expr, True)
        # Where nobody sees the names, one is written only if it is not what the parser would choose anyway.
        name = None if d.column_names_visible else "?column?"
    if d.result_names is not None and number <= len(d.result_names):
        shown = d.result_names[number - 1]
    else:
        shown = target.resname
    if shown is not None and shown != name:
        d.put(f" AS {quote_identifier(shown)}")


def write_targets(d: Deparser, targets: list[Any]) -> None:
    """The list of output columns, each on its own line where it does not fit."""
    separator, number, was_multiline = " ", 0, False
    for target in targets:
        if target.resjunk:
            continue
        d.put(separator)
        separator = ", "
        number += 1
        text = d.captured(partial(_write_target, d, target, number))
        if d.pretty_indent and d.wrap >= 0:
            starts_line = text.startswith("\n")
            if starts_line:
                d.text = d.text.rstrip(" ")
            elif number > 1 and (d.last_line_length() + len(text) > d.wrap or was_multiline):
                d.keyword("", -INDENT_STD, INDENT_STD, INDENT_VAR)
            was_multiline = "\n" in (text[1:] if starts_line else text)
        d.put(text)


def write_returning(d: Deparser, query: Any) -> None:
    """The RETURNING clause (get_returning_clause)."""
    if not query.returningList:
        return
    d.keyword(" RETURNING", -INDENT_STD, INDENT_STD, 1)
    renamed = [
        f"{word} AS {quote_identifier(alias)}"
        for word, alias in (("OLD", query.returningOldAlias), ("NEW", query.returningNewAlias))
        if alias and alias != word.lower()
    ]
    if renamed:
        d.put(f" WITH ({', '.join(renamed)})")
    write_targets(d, query.returningList)
