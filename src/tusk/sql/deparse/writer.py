"""The state of one rendering: text so far, layout, and the namespaces that names are taken from.

How a kind of node is written stands in the modules beside this one; each registers itself with `emits`, so that
expressions and queries can contain each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tusk.sql.deparse.namespaces import Namespace
from tusk.sql.nodes.base import Node

PRETTY_PAREN, PRETTY_INDENT, PRETTY_SCHEMA = 1, 2, 4
INDENT_STD, INDENT_JOIN, INDENT_VAR, INDENT_LIMIT = 8, 4, 4, 40
WRAP_COLUMN_DEFAULT = 0

Emitter = Callable[["Deparser", Any, bool], None]
_emitters: dict[type, Emitter] = {}


def pretty_flags(pretty: bool) -> int:
    """The layout that the SQL functions' ``pretty`` argument asks for."""
    return PRETTY_PAREN | PRETTY_INDENT | PRETTY_SCHEMA if pretty else PRETTY_INDENT


def emits(*kinds: type) -> Callable[[Emitter], Emitter]:
    """Register how nodes of these classes are written: ``(deparser, node, show implicit casts)``."""

    def register(emitter: Emitter) -> Emitter:
        for kind in kinds:
            _emitters[kind] = emitter
        return emitter

    return register


class Deparser:
    """One rendering. ``namespaces`` are innermost first; ``result_names`` are the columns a view gives its query."""

    __slots__ = (
        "append_parents", "column_names_visible", "flags", "in_group_by", "indent", "namespaces", "result_names",
        "target_list", "text", "var_in_order_by", "var_prefix", "window_clause", "wrap",
    )  # fmt: skip

    def __init__(
        self,
        namespaces: list[Namespace],
        flags: int = 0,
        *,
        wrap: int = WRAP_COLUMN_DEFAULT,
        indent: int = 0,
        var_prefix: bool = False,
    ) -> None:
        self.text = ""
        self.namespaces = namespaces
        self.flags = flags
        self.wrap = wrap
        self.indent = indent
        self.var_prefix = var_prefix
        self.result_names: Sequence[str] | None = None
        self.target_list: list[Any] = []
        self.window_clause: list[Any] = []
        self.column_names_visible = True
        self.in_group_by = False
        self.var_in_order_by = False
        self.append_parents: frozenset[int] = frozenset()

    @property
    def pretty_paren(self) -> bool:
        """Whether parentheses are left out where precedence allows."""
        return bool(self.flags & PRETTY_PAREN)

    @property
    def pretty_indent(self) -> bool:
        """Whether clauses stand on lines of their own."""
        return bool(self.flags & PRETTY_INDENT)

    def put(self, text: str) -> None:
        """Append text."""
        self.text += text

    def keyword(self, text: str, before: int, after: int, plus: int) -> None:
        """Append a clause's key word: on a new, indented line when indenting (appendContextKeyword)."""
        if not self.pretty_indent:
            self.text += text
            return
        self.indent += before
        level = max(self.indent, 0)
        if level >= INDENT_LIMIT:
            # Deep nesting creeps to the right more slowly, and starts again at the left.
            level = (INDENT_LIMIT + (level - INDENT_LIMIT) // (INDENT_STD // 2)) % INDENT_LIMIT
        self.text = f"{self.text.rstrip(' ')}\n{' ' * (level + plus)}{text}"
        self.indent = max(self.indent + after, 0)

    def expression(self, node: Any, show_implicit: bool = False) -> None:
        """Append any expression, or a list of them with commas (get_rule_expr)."""
        if node is None:
            return
        if type(node) is list:
            self.separated(node, show_implicit)
            return
        emitter = _emitters.get(type(node))
        if emitter is None:
            raise TypeError(f"unrecognized node type: {type(node).__name__}")
        emitter(self, node, show_implicit)

    def separated(self, nodes: Iterable[Any], show_implicit: bool = False, separator: str = ", ") -> None:
        """Append expressions with a separator between them."""
        for number, node in enumerate(nodes):
            if number:
                self.text += separator
            self.expression(node, show_implicit)

    def operand(self, node: Any, show_implicit: bool, parent: Node) -> None:
        """Append an operand, in parentheses where minimal parentheses need them (get_rule_expr_paren)."""
        paren = self.pretty_paren and not is_simple(node, parent, self.flags)
        if paren:
            self.text += "("
        self.expression(node, show_implicit)
        if paren:
            self.text += ")"

    def open_paren(self) -> None:
        """The parenthesis around an operator's expression, unless parentheses are kept minimal."""
        if not self.pretty_paren:
            self.text += "("

    def close_paren(self) -> None:
        """The end of what `open_paren` began."""
        if not self.pretty_paren:
            self.text += ")"

    def captured(self, write: Callable[[], None]) -> str:
        """What ``write`` appends, taken out of the text."""
        saved, self.text = self.text, ""
        try:
            write()
            return self.text
        finally:
            self.text = saved

    def last_line_length(self) -> int:
        """The length of the line being written."""
        return len(self.text) - (self.text.rfind("\n") + 1)

    def subquery(self, query: Any, names: Sequence[str] | None, names_visible: bool) -> None:
        """Append a query that stands inside this one."""
        self.text += render_query(query, self.namespaces, names, names_visible, self.flags, self.wrap, self.indent)


_query_renderer: list[Callable[..., str]] = []


def set_query_renderer(render: Callable[..., str]) -> None:
    """Called by `queries`, which expressions need for their sub-selects."""
    _query_renderer[:] = [render]


def render_query(
    query: Any,
    parents: list[Namespace],
    names: Sequence[str] | None = None,
    names_visible: bool = True,
    flags: int = 0,
    wrap: int = WRAP_COLUMN_DEFAULT,
    indent: int = 0,
) -> str:
    """A whole query as text (get_query_def)."""
    return _query_renderer[0](query, parents, names, names_visible, flags, wrap, indent)


_simplicity: list[Callable[[Any, Any, int], bool]] = []


def set_simplicity(test: Callable[[Any, Any, int], bool]) -> None:
    """Called by `precedence`."""
    _simplicity[:] = [test]


def is_simple(node: Any, parent: Any, flags: int) -> bool:
    """Whether a node needs no parentheses below this parent."""
    return _simplicity[0](node, parent, flags)
