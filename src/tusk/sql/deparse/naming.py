"""Names for tables and columns in text made of a query tree, so that the text means the same tree again.

Every range table entry gets a name unique among those that can be seen; every column one unique in its table. Columns
merged by USING get their names first, since both sides must go by the same one (ruleutils' deparse_namespace).
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, lookup
from tusk.sql.analyze.rangetable import rte_columns
from tusk.sql.analyze.relations import relation_info
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import FromExpr, JoinExpr, Var


class Columns:
    """The column names of one entry. ``names`` is by attribute number, None for dropped columns; ``new_names`` are
    those that exist now, with ``is_new`` for columns added since the tree was made."""

    __slots__ = (
        "is_new", "left", "left_numbers", "names", "new_names", "parent_using", "print_aliases", "right",
        "right_numbers", "using_names",
    )  # fmt: skip

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.new_names: list[str] = []
        self.is_new: list[bool] = []
        self.print_aliases = False
        self.parent_using: list[str] = []
        self.using_names: list[str] = []
        self.left = self.right = 0
        self.left_numbers: list[int] = []
        self.right_numbers: list[int] = []

    def grow(self, count: int) -> None:
        """Make room for this many columns."""
        self.names += [None] * (count - len(self.names))

    def push(self, number: int, name: str) -> None:
        """Demand a name for a column; system columns keep theirs."""
        if number > 0:
            self.grow(number)
            self.names[number - 1] = name


class Namespace:
    """The names of one query level."""

    def __init__(self, query: Any, outer: list[Namespace]) -> None:
        self.rtable: list[Any] = query.rtable
        self.ctes: list[Any] = query.cteList
        self.old_alias: str | None = query.returningOldAlias
        self.new_alias: str | None = query.returningNewAlias
        self.function_name: str | None = None
        self.argument_names: tuple[str, ...] = ()
        self.unique_using = False
        self.using_names: list[str] = []
        self.names = _table_names(self.rtable, outer)
        self.columns = [Columns() for _ in self.rtable]
        if query.jointree is not None:
            self.unique_using = self._dangerous(query.jointree)
            self._assign_using(query.jointree, [])
        for rte, columns in zip(self.rtable, self.columns, strict=True):
            if rte.rtekind == enums.RTE_JOIN:
                self._name_join_columns(rte, columns)
            else:
                self._name_columns(rte, columns)

    # USING columns

    def _dangerous(self, node: Any) -> bool:
        """Whether a merged column of an unnamed join is more than a column of one side."""
        if isinstance(node, FromExpr):
            return any(self._dangerous(item) for item in node.fromlist)
        if not isinstance(node, JoinExpr):
            return False
        if node.alias is None and node.usingClause:
            rte = self.rtable[node.rtindex - 1]
            if any(not isinstance(expr, Var) for expr in rte.joinaliasvars[: rte.joinmergedcols]):
                return True
        return self._dangerous(node.larg) or self._dangerous(node.rarg)

    def _identify(self, join: JoinExpr, rte: Any, columns: Columns) -> None:
        count = len(rte.joinaliasvars)
        columns.left_numbers = [0] * count
        columns.right_numbers = [0] * count
        columns.left, columns.right = join.larg.rtindex, join.rarg.rtindex
        place = 0
        for number in rte.joinleftcols:
            columns.left_numbers[place] = number
            place += 1
        for i, number in enumerate(rte.joinrightcols):
            if i < rte.joinmergedcols:
                columns.right_numbers[i] = number
            else:
                columns.right_numbers[place] = number
                place += 1

    def _assign_using(self, node: Any, parent_using: list[str]) -> None:
        if isinstance(node, FromExpr):
            for item in node.fromlist:
                self._assign_using(item, parent_using)
            return
        if not isinstance(node, JoinExpr):
            return
        rte = self.rtable[node.rtindex - 1]
        columns = self.columns[node.rtindex - 1]
        self._identify(node, rte, columns)
        left, right = self.columns[columns.left - 1], self.columns[columns.right - 1]
        if rte.alias is None:
            for i, name in enumerate(columns.names):
                if name is not None:
                    left.push(columns.left_numbers[i], name)
                    right.push(columns.right_numbers[i], name)
        if node.usingClause:
            parent_using = list(parent_using)
            columns.grow(len(node.usingClause))
            for i, item in enumerate(node.usingClause):
                name = columns.names[i]
                if name is None:
                    name = item.sval
                    if rte.alias is not None and i < len(rte.alias.colnames):
                        name = rte.alias.colnames[i].sval
                    name = self._unique(name, columns)
                    if self.unique_using:
                        self.using_names.append(name)
                    columns.names[i] = name
                columns.using_names.append(name)
                parent_using.append(name)
                left.push(columns.left_numbers[i], name)
                right.push(columns.right_numbers[i], name)
        left.parent_using = right.parent_using = parent_using
        self._assign_using(node.larg, parent_using)
        self._assign_using(node.rarg, parent_using)

    # All columns

    def _is_unique(self, name: str, columns: Columns) -> bool:
        return (
            name not in columns.names
            and name not in columns.new_names
            and name not in self.using_names
            and name not in columns.parent_using
        )

    def _unique(self, name: str, columns: Columns) -> str:
        if self._is_unique(name, columns):
            return name
        number = 1
        while not self._is_unique(f"{name}_{number}", columns):
            number += 1
        return f"{name}_{number}"

    def _name_columns(self, rte: Any, columns: Columns) -> None:
        real: list[str | None]
        if rte.rtekind == enums.RTE_RELATION:
            real = [None if a.attisdropped else a.attname for a in relation_info(rte.relid).attributes]
        elif rte.rtekind == enums.RTE_FUNCTION:
            real = [None if column.dropped or not column.name else column.name for column in rte_columns(rte)]
            real += [name.sval or None for name in rte.eref.colnames[len(real) :]]
        else:
            real = [name.sval or None for name in rte.eref.colnames]
        columns.grow(len(real))
        given = [] if rte.alias is None else [name.sval for name in rte.alias.colnames]
        known = len(rte.eref.colnames)
        new_names: list[str] = []
        changed = anonymous = False
        for i, real_name in enumerate(real):
            if real_name is None:
                continue
            name = columns.names[i]
            if name is None:
                name = self._unique(given[i] if i < len(given) else real_name, columns)
                columns.names[i] = name
            new_names.append(name)
            columns.is_new.append(i >= known)
            changed = changed or name != real_name
            anonymous = anonymous or real_name == "?column?"
        columns.new_names = new_names
        if rte.rtekind == enums.RTE_RELATION:
            columns.print_aliases = changed
        elif rte.rtekind == enums.RTE_FUNCTION:
            columns.print_aliases = True
        elif rte.rtekind == enums.RTE_TABLEFUNC:
            columns.print_aliases = False
        else:
            columns.print_aliases = bool(given) or changed or anonymous

    def _name_join_columns(self, rte: Any, columns: Columns) -> None:
        if not columns.left:
            return
        left, right = self.columns[columns.left - 1], self.columns[columns.right - 1]
        count = len(rte.eref.colnames)
        columns.grow(count)
        given = [] if rte.alias is None else [name.sval for name in rte.alias.colnames]
        changed = False
        for i in range(len(columns.using_names), count):
            if columns.left_numbers[i] > 0:
                real = left.names[columns.left_numbers[i] - 1]
            elif columns.right_numbers[i] > 0:
                real = right.names[columns.right_numbers[i] - 1]
            else:
                real = rte.eref.colnames[i].sval
            if real is None or rte.alias is None:
                columns.names[i] = real
                continue
            name = columns.names[i]
            if name is None:
                name = self._unique(given[i] if i < len(given) else real, columns)
                columns.names[i] = name
            changed = changed or name != real
        self._new_join_names(rte, columns, left, right)
        columns.print_aliases = rte.alias is not None and changed

    def _new_join_names(self, rte: Any, columns: Columns, left: Columns, right: Columns) -> None:
        """The columns the join would have now: merged, then the left's, then the right's."""
        new_names: list[str] = []
        is_new: list[bool] = []
        place = 0
        merged: tuple[set[int], set[int]] = (set(), set())
        while place < len(rte.eref.colnames) and columns.left_numbers[place] != 0 and columns.right_numbers[place] != 0:
            new_names.append(columns.names[place] or "")
            is_new.append(False)
            merged[0].add(columns.left_numbers[place])
            merged[1].add(columns.right_numbers[place])
            place += 1
        for child, skipped in ((left, merged[0]), (right, merged[1])):
            old = 0
            for name, new in zip(child.new_names, child.is_new, strict=True):
                if new:
                    new_names.append(name if rte.alias is None else self._unique(name, columns))
                    is_new.append(True)
                    continue
                while old < len(child.names) and child.names[old] is None:
                    old += 1
                old += 1
                if old in skipped:
                    continue
                while place < len(columns.names) and columns.names[place] is None:
                    place += 1
                new_names.append((columns.names[place] if place < len(columns.names) else name) or name)
                is_new.append(False)
                place += 1
        columns.new_names, columns.is_new = new_names, is_new


def _table_names(rtable: list[Any], outer: list[Namespace]) -> list[str | None]:
    """A name for each entry, none for an unnamed join, unique among this level's and the outer ones'."""
    taken: dict[str, int] = {}
    for namespace in outer:
        for name in namespace.names:
            if name is not None:
                taken[name] = 0
    names: list[str | None] = []
    for rte in rtable:
        if rte.alias is not None:
            name = rte.alias.aliasname
        elif rte.rtekind == enums.RTE_RELATION:
            row = lookup(RELOID, rte.relid)
            name = rte.eref.aliasname if row is None else row.relname
        elif rte.rtekind == enums.RTE_JOIN:
            name = None
        else:
            name = rte.eref.aliasname
        if name is not None:
            if name in taken:
                base = name
                while name in taken:
                    taken[base] += 1
                    name = f"{base}_{taken[base]}"
            taken[name] = 0
        names.append(name)
    return names
