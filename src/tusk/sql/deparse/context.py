"""The text under construction: where it stands in nesting and names, and how it is laid out."""

from __future__ import annotations

from typing import Any

from tusk.sql.deparse.naming import Namespace

PRETTY_PAREN, PRETTY_INDENT, PRETTY_SCHEMA = 1, 2, 4
INDENT_STD, INDENT_JOIN, INDENT_VAR, INDENT_LIMIT = 8, 4, 4, 40


class Context:
    """What the functions that print nodes share (deparse_context)."""

    __slots__ = (
        "columns_visible", "flags", "in_group_by", "indent", "namespaces", "parts", "result_names", "targets",
        "var_in_order_by", "varprefix", "windows", "wrap",
    )  # fmt: skip

    def __init__(self, namespaces: list[Namespace], flags: int = 0, wrap: int = 0, indent: int = 0) -> None:
        self.parts: list[str] = []
        self.namespaces = namespaces
        self.flags = flags
        self.wrap = wrap
        self.indent = indent
        self.varprefix = False
        self.columns_visible = True
        self.in_group_by = False
        self.var_in_order_by = False
        self.targets: list[Any] = []
        self.windows: list[Any] = []
        self.result_names: list[str] | None = None

    @property
    def pretty_paren(self) -> bool:
        """Whether parentheses are left out where they change nothing."""
        return bool(self.flags & PRETTY_PAREN)

    @property
    def pretty_indent(self) -> bool:
        """Whether lines are broken and indented."""
        return bool(self.flags & PRETTY_INDENT)

    def put(self, *texts: str) -> None:
        """Append text."""
        self.parts += texts

    def text(self) -> str:
        """What was appended so far."""
        whole = "".join(self.parts)
        self.parts = [whole]
        return whole

    def strip_spaces(self) -> None:
        """Remove spaces at the end."""
        self.parts = [self.text().rstrip(" ")]

    def keyword(self, word: str, before: int, after: int, plus: int) -> None:
        """Append a keyword, on a new line when indenting (appendContextKeyword)."""
        if not self.pretty_indent:
            self.put(word)
            return
        self.indent += before
        self.strip_spaces()
        if self.indent < INDENT_LIMIT:
            amount = max(self.indent, 0) + plus
        else:
            # Deep nesting is indented less, and wraps around.
            amount = (INDENT_LIMIT + (self.indent - INDENT_LIMIT) // (INDENT_STD // 2)) % INDENT_LIMIT + plus
        self.put("\n" + " " * amount, word)
        self.indent = max(self.indent + after, 0)

    def line_length(self) -> int:
        """Characters on the last line so far."""
        return len(self.text().rsplit("\n", 1)[-1])
