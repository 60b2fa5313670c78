"""The names that range table entries and their columns get in the text, and what is known of a plan's variables.

A stored query refers to columns by number; tables may since have been renamed, columns added. The names chosen here
make a text that, parsed again, gives the same numbers: aliases are made unique, columns of JOIN USING keep one
name through all joins above and below.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import ATTNUM, RELOID, lookup
from tusk.sql.analyze import rowtypes
from tusk.sql.analyze.relations import relation_info
from tusk.sql.nodes import enums
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.parsetree import RangeTblEntry
from tusk.sql.nodes.primitives import Alias, FromExpr, JoinExpr, RangeTblRef, Var

NAMEDATALEN = 64
SYSTEM_COLUMNS = {-1: "ctid", -2: "xmin", -3: "cmin", -4: "xmax", -5: "cmax", -6: "tableoid"}


class ColumnNames:
    """The column names of one range table entry (deparse_columns).

    ``names`` goes by column number, None for dropped ones; ``new_names`` are those it would have if the text were
    parsed now, ``is_new`` telling the columns added since. For a join, ``left_columns`` and ``right_columns`` give for
    each output column the number of the input's column, 0 if it has none there.
    """

    __slots__ = (
        "is_new", "left_columns", "left_index", "names", "new_names", "parent_using", "print_aliases", "right_columns",
        "right_index", "using_names",
    )  # fmt: skip

    def __init__(self) -> None:
        self.names: list[str | None] = []
        self.new_names: list[str] = []
        self.is_new: list[bool] = []
        self.print_aliases = False
        self.parent_using: list[str] = []
        self.using_names: list[str] = []
        self.left_index = self.right_index = 0
        self.left_columns: list[int] = []
        self.right_columns: list[int] = []

    def grow(self, count: int) -> None:
        """Make room for this many columns."""
        if len(self.names) < count:
            self.names.extend([None] * (count - len(self.names)))


class Namespace:
    """What one query level, or one plan node, lets names refer to (deparse_namespace)."""

    __slots__ = (
        "ancestors", "appendrels", "argument_names", "columns", "ctes", "function_name", "index_targets", "inner_plan",
        "inner_targets", "new_alias", "old_alias", "outer_plan", "outer_targets", "plan", "rtable", "rtable_names",
        "subplans", "unique_using", "using_names",
    )  # fmt: skip

    def __init__(self, rtable: list[Any] | None = None, ctes: list[Any] | None = None) -> None:
        self.rtable = rtable or []
        self.ctes = ctes or []
        self.rtable_names: list[str | None] = []
        self.columns: list[ColumnNames] = []
        self.unique_using = False
        self.using_names: list[str] = []
        self.old_alias: str | None = "old"
        self.new_alias: str | None = "new"
        self.function_name: str | None = None
        self.argument_names: list[str | None] = []
        self.plan: Any = None
        self.ancestors: list[Any] = []
        self.outer_plan: Any = None
        self.inner_plan: Any = None
        self.outer_targets: list[Any] = []
        self.inner_targets: list[Any] = []
        self.index_targets: list[Any] = []
        self.subplans: list[Any] = []
        self.appendrels: dict[int, Any] = {}

    def copy(self) -> Namespace:
        """A shallow copy, for looking from another plan node for a while."""
        other = Namespace()
        for name in Namespace.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def columns_of(self, index: int) -> ColumnNames:
        """The column names of the entry with this range table index."""
        return self.columns[index - 1]


def column_name(name: Any) -> str:
    """The text of a String node."""
    return str(name.sval)


def attribute_name(relid: int, attnum: int) -> str:
    """The name of a table's column, system columns included."""
    if attnum < 0:
        return SYSTEM_COLUMNS[attnum]
    row = lookup(ATTNUM, relid, attnum)
    if row is None:
        raise LookupError(f"cache lookup failed for attribute {attnum} of relation {relid}")
    return str(row.attname)


def entry_attribute_name(rte: Any, attnum: int) -> str:
    """The name of an entry's column as the query gave it (get_rte_attribute_name)."""
    if attnum == 0:
        return "*"
    if rte.alias is not None and 0 < attnum <= len(rte.alias.colnames):
        return column_name(rte.alias.colnames[attnum - 1])
    if rte.rtekind == enums.RTE_RELATION or attnum < 0:
        return attribute_name(rte.relid, attnum)
    return column_name(rte.eref.colnames[attnum - 1])


# Names of entries


def choose_entry_names(
    rtable: list[Any], parents: list[Namespace], used: frozenset[int] | None = None
) -> list[str | None]:
    """A unique name for each entry; None for unnamed joins, and for those not in ``used`` (set_rtable_names)."""
    taken: dict[str, int] = {name: 0 for parent in parents for name in parent.rtable_names if name is not None}
    chosen: list[str | None] = []
    for index, rte in enumerate(rtable, 1):
        name: str | None
        if used is not None and index not in used:
            name = None
        elif rte.alias is not None:
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
                    suffix = f"_{taken[base]}"
                    kept = base
                    while len((kept + suffix).encode()) >= NAMEDATALEN:
                        kept = kept[:-1]
                    name = kept + suffix
            taken[name] = 0
        chosen.append(name)
    return chosen


# Names of columns


def name_query(namespace: Namespace, query: Any, parents: list[Namespace]) -> None:
    """Choose all names of a query's range table (set_deparse_for_query)."""
    namespace.rtable, namespace.ctes = query.rtable, query.cteList
    namespace.old_alias = query.returningOldAlias or "old"
    namespace.new_alias = query.returningNewAlias or "new"
    namespace.rtable_names = choose_entry_names(query.rtable, parents)
    namespace.columns = [ColumnNames() for _ in query.rtable]
    if query.jointree is not None:
        namespace.unique_using = _has_dangerous_using(namespace, query.jointree)
        _name_using(namespace, query.jointree, [])
    _name_columns(namespace)


def name_simple(namespace: Namespace) -> None:
    """Choose column names where there is no join to mind (set_simple_column_names)."""
    namespace.columns = [ColumnNames() for _ in namespace.rtable]
    for rte, columns in zip(namespace.rtable, namespace.columns, strict=True):
        if rte.rtekind not in (enums.RTE_JOIN, enums.RTE_GROUP):
            _name_relation_columns(namespace, rte, columns)


def _name_columns(namespace: Namespace) -> None:
    for rte, columns in zip(namespace.rtable, namespace.columns, strict=True):
        if rte.rtekind == enums.RTE_JOIN:
            _name_join_columns(namespace, rte, columns)
        else:
            _name_relation_columns(namespace, rte, columns)


def _has_dangerous_using(namespace: Namespace, node: Any) -> bool:
    """Whether an unnamed JOIN USING merges columns into an expression, which only its bare name can denote."""
    if isinstance(node, FromExpr):
        return any(_has_dangerous_using(namespace, item) for item in node.fromlist)
    if isinstance(node, JoinExpr):
        if node.alias is None and node.usingClause:
            rte = namespace.rtable[node.rtindex - 1]
            if any(type(var) is not Var for var in rte.joinaliasvars[: rte.joinmergedcols]):
                return True
        return _has_dangerous_using(namespace, node.larg) or _has_dangerous_using(namespace, node.rarg)
    return False


def _describe_join(join: Any, rte: Any, columns: ColumnNames) -> None:
    """Which input columns the output columns of a join are (identify_join_columns)."""
    columns.left_index = join.larg.rtindex
    columns.right_index = join.rarg.rtindex
    count = len(rte.joinaliasvars)
    columns.left_columns = [0] * count
    columns.right_columns = [0] * count
    position = 0
    for attnum in rte.joinleftcols:
        columns.left_columns[position] = attnum
        position += 1
    for number, attnum in enumerate(rte.joinrightcols):
        if number < rte.joinmergedcols:
            columns.right_columns[number] = attnum
        else:
            columns.right_columns[position] = attnum
            position += 1


def _push_down(name: str, columns: ColumnNames, position: int, left: ColumnNames, right: ColumnNames) -> None:
    for child, attnum in ((left, columns.left_columns[position]), (right, columns.right_columns[position])):
        if attnum > 0:
            child.grow(attnum)
            child.names[attnum - 1] = name


def _name_using(namespace: Namespace, node: Any, parent_using: list[str]) -> None:
    """Choose names for merged columns, from the top join down (set_using_names)."""
    if isinstance(node, RangeTblRef):
        return
    if isinstance(node, FromExpr):
        for item in node.fromlist:
            _name_using(namespace, item, parent_using)
        return
    rte, columns = namespace.rtable[node.rtindex - 1], namespace.columns_of(node.rtindex)
    _describe_join(node, rte, columns)
    left, right = namespace.columns_of(columns.left_index), namespace.columns_of(columns.right_index)
    if rte.alias is None:
        # An unnamed join cannot rename: names asked for from above go further down.
        for position, wanted in enumerate(columns.names):
            if wanted is not None:
                _push_down(wanted, columns, position, left, right)
    if node.usingClause:
        parent_using = list(parent_using)
        columns.grow(len(node.usingClause))
        for position, given in enumerate(node.usingClause):
            name = columns.names[position]
            if name is None:
                name = column_name(given)
                if rte.alias is not None and position < len(rte.alias.colnames):
                    name = column_name(rte.alias.colnames[position])
                name = _unique(name, namespace, columns)
                if namespace.unique_using:
                    namespace.using_names.append(name)
                columns.names[position] = name
            columns.using_names.append(name)
            parent_using.append(name)
            _push_down(name, columns, position, left, right)
    left.parent_using = right.parent_using = parent_using
    _name_using(namespace, node.larg, parent_using)
    _name_using(namespace, node.rarg, parent_using)


def _unique(name: str, namespace: Namespace, columns: ColumnNames) -> str:
    taken = {*columns.names, *columns.new_names, *namespace.using_names, *columns.parent_using}
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        suffix, kept = f"_{number}", name
        while len((kept + suffix).encode()) >= NAMEDATALEN:
            kept = kept[:-1]
        candidate = kept + suffix
    return candidate


def _function_column_names(rte: Any) -> list[str | None]:
    """The columns a function entry has now; a dropped column of its row type is None."""
    given = [column_name(name) for name in rte.eref.colnames]
    names: list[str | None] = []
    for function in rte.functions:
        first = len(names)
        kind, _, columns = rowtypes.expr_result_type(function.funcexpr)
        if function.funccolnames:
            names += given[first : first + len(function.funccolnames)]
        elif kind in (rowtypes.COMPOSITE, rowtypes.COMPOSITE_DOMAIN) and columns is not None:
            for offset, column in enumerate(columns):
                position = first + offset
                known = offset < function.funccolcount and position < len(given)
                names.append(None if column.dropped else given[position] if known else column.name)
        else:
            names += given[first : first + function.funccolcount]
    if rte.funcordinality:
        names.append(given[-1])
    return names


def _real_names(rte: Any) -> list[str | None]:
    if rte.rtekind == enums.RTE_RELATION:
        if lookup(RELOID, rte.relid) is None:
            return [column_name(name) for name in rte.eref.colnames]
        return [None if a.attisdropped else a.attname for a in relation_info(rte.relid).attributes]
    if rte.rtekind == enums.RTE_FUNCTION and rte.functions:
        return _function_column_names(rte)
    return [column_name(name) or None for name in rte.eref.colnames]


def _name_relation_columns(namespace: Namespace, rte: Any, columns: ColumnNames) -> None:
    """Names for the columns of anything but a join (set_relation_column_names)."""
    real = _real_names(rte)
    columns.grow(len(real))
    old_count = len(rte.eref.colnames)
    aliases = [] if rte.alias is None else rte.alias.colnames
    changed = False
    for position, own in enumerate(real):
        if own is None:
            continue
        name = columns.names[position]
        if name is None:
            name = column_name(aliases[position]) if position < len(aliases) else own
            name = _unique(name, namespace, columns)
            columns.names[position] = name
        columns.new_names.append(name)
        columns.is_new.append(position >= old_count)
        changed = changed or name != own
    if rte.rtekind == enums.RTE_FUNCTION:
        # Always in full: renaming a parameter would change the default names.
        columns.print_aliases = True
    elif rte.rtekind == enums.RTE_TABLEFUNC:
        columns.print_aliases = False
    elif rte.rtekind != enums.RTE_RELATION and aliases:
        columns.print_aliases = True
    else:
        columns.print_aliases = changed


def _name_join_columns(namespace: Namespace, rte: Any, columns: ColumnNames) -> None:
    """Names for the columns of a join, whose inputs are named already (set_join_column_names)."""
    left, right = namespace.columns_of(columns.left_index), namespace.columns_of(columns.right_index)
    old_count = len(rte.eref.colnames)
    columns.grow(old_count)
    aliases = [] if rte.alias is None else rte.alias.colnames
    changed = False
    for position in range(len(columns.using_names), old_count):
        own: str | None
        if columns.left_columns[position] > 0:
            own = left.names[columns.left_columns[position] - 1]
        elif columns.right_columns[position] > 0:
            own = right.names[columns.right_columns[position] - 1]
        else:
            own = column_name(rte.eref.colnames[position])
        if own is None or rte.alias is None:
            columns.names[position] = own
            continue
        name = columns.names[position]
        if name is None:
            name = column_name(aliases[position]) if position < len(aliases) else own
            name = _unique(name, namespace, columns)
            columns.names[position] = name
        changed = changed or name != own
    changed = _order_join_columns(namespace, rte, columns, left, right) or changed
    columns.print_aliases = rte.alias is not None and changed


def _order_join_columns(
    namespace: Namespace, rte: Any, columns: ColumnNames, left: ColumnNames, right: ColumnNames
) -> bool:
    """Fill ``new_names`` as the parser would order them: merged columns, the left input's, the right input's."""
    merged_left, merged_right = set(), set()
    position, changed = 0, False
    while (
        position < len(rte.eref.colnames) and columns.left_columns[position] and columns.right_columns[position]
    ):
        name = columns.names[position]
        assert name is not None
        columns.new_names.append(name)
        columns.is_new.append(False)
        merged_left.add(columns.left_columns[position])
        merged_right.add(columns.right_columns[position])
        position += 1
    for child, merged in ((left, merged_left), (right, merged_right)):
        attnum = 0
        for child_name, is_new in zip(child.new_names, child.is_new, strict=True):
            if is_new:
                name = child_name if rte.alias is None else _unique(child_name, namespace, columns)
                changed = changed or name != child_name
            else:
                while attnum < len(child.names) and child.names[attnum] is None:
                    attnum += 1
                attnum += 1
                if attnum in merged:
                    continue
                while position < len(columns.names) and columns.names[position] is None:
                    position += 1
                known = columns.names[position]
                assert known is not None
                name = known
                position += 1
            columns.new_names.append(name)
            columns.is_new.append(is_new)
    return changed


def relation_namespace(name: str, relid: int) -> Namespace:
    """A namespace of one relation, for expressions stored with it (deparse_context_for)."""
    columns = [String(sval=a.attname if not a.attisdropped else "") for a in relation_info(relid).attributes]
    row = lookup(RELOID, relid)
    rte = RangeTblEntry(
        rtekind=enums.RTE_RELATION, relid=relid, relkind=row.relkind, eref=Alias(aliasname=name, colnames=columns)
    )
    namespace = Namespace([rte])
    namespace.rtable_names = [name]
    name_simple(namespace)
    return namespace
