"""The rules of relations as parsed trees, from pg_rewrite."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, RULERELNAME, lookup, lookup_list
from tusk.catalog.relinfo import option_bool, parse_reloptions
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import walk_query
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.nodes.parsetree import Query

_EVENTS = {
    "1": enums.CMD_SELECT,
    "2": enums.CMD_UPDATE,
    "3": enums.CMD_INSERT,
    "4": enums.CMD_DELETE,
}


class Rule:
    """One rule. ``actions`` are shared: copy before changing."""

    __slots__ = ("actions", "enabled", "event", "is_instead", "name", "qual", "row")

    def __init__(self, row: Any, check_as_user: int) -> None:
        self.row = row
        self.name: str = row.rulename
        self.event = _EVENTS[row.ev_type]
        self.is_instead: bool = row.is_instead
        self.enabled: str = row.ev_enabled
        self.qual = read_node_tree(row.ev_qual)
        self.actions: list[Query] = read_node_tree(row.ev_action) or []
        for action in self.actions:
            set_check_as_user(action, check_as_user)


def set_check_as_user(query: Query, user: int) -> None:
    """Check the query's permissions, subqueries included, as this user; 0 is the current one (setRuleCheckAsUser)."""

    def visit(node: Any, _level: int) -> Any:
        if isinstance(node, Query):
            for info in node.rteperminfos:
                info.checkAsUser = user
        return None

    for info in query.rteperminfos:
        info.checkAsUser = user
    walk_query(query, visit)


_known: dict[int, tuple[Any, list[Any], list[Rule]]] = {}


def rules_of(relation: int) -> list[Rule]:
    """A relation's rules in the order of their names, which is the order they fire in."""
    row = lookup(RELOID, relation)
    if row is None or not row.relhasrules:
        return []
    rows = lookup_list(RULERELNAME, relation)
    known = _known.get(relation)
    if known is not None and known[0] is row and known[1] is rows:
        return known[2]
    user = 0 if row.relkind == "v" and is_security_invoker(row) else row.relowner
    rules = [Rule(each, user) for each in sorted(rows, key=lambda each: each.rulename)]
    _known[relation] = (row, rows, rules)
    return rules


def view_option(row: Any, name: str) -> bool:
    """A Boolean option of a view."""
    return option_bool(parse_reloptions(row.reloptions), name, False)


def is_security_barrier(row: Any) -> bool:
    """Whether conditions from outside may not be pushed into the view."""
    return view_option(row, "security_barrier")


def is_security_invoker(row: Any) -> bool:
    """Whether the view's tables are checked as the current user's."""
    return view_option(row, "security_invoker")


def check_option(row: Any) -> str:
    """``local``, ``cascaded`` or ""."""
    return parse_reloptions(row.reloptions).get("check_option", "")
