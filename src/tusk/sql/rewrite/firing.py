"""Rules that fire: the queries they add to an UPDATE or DELETE (fireRules, rewriteRuleAction)."""

from __future__ import annotations

from typing import Any

from tusk.errors import feature_not_supported
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree, replace
from tusk.sql.nodes.nodefuncs import walk_levels
from tusk.sql.nodes.parsetree import Query, RangeTblEntry
from tusk.sql.nodes.primitives import RangeTblRef, Var
from tusk.sql.rewrite.manip import add_qual, change_varno, offset_varnos, replace_vars
from tusk.sql.rewrite.rules import Rule

# In a rule's own queries the row before and after the change are the first two relations.
_OLD, _NEW = 1, 2


def fire_rules(query: Query, rules: list[Rule], relation_name: str) -> tuple[list[Query], bool]:
    """The actions of the rules as queries of their own, and whether one of them stands in for the query itself."""
    products: list[Query] = []
    is_replaced = False
    for rule in rules:
        conditional_instead = rule.is_instead and rule.qual is not None
        unsupported = conditional_instead or query.cteList or query.commandType == enums.CMD_INSERT
        active = [action for action in rule.actions if action.commandType != enums.CMD_NOTHING]
        if active and (unsupported or any(action.commandType != enums.CMD_SELECT for action in active)):
            raise feature_not_supported(f'rule "{rule.name}" on relation "{relation_name}"')
        if conditional_instead:
            raise feature_not_supported(f'rule "{rule.name}" on relation "{relation_name}"')
        is_replaced = is_replaced or rule.is_instead
        for action in active:
            product = _product(query, action, rule.qual)
            product.querySource = enums.QSRC_INSTEAD_RULE if rule.is_instead else enums.QSRC_NON_INSTEAD_RULE
            product.canSetTag = False
            products.append(product)
    return products, is_replaced


def _product(query: Query, shared_action: Query, shared_qual: Any) -> Query:
    """One action over the rows that the query would change."""
    action: Query = copy_tree(shared_action)
    qual = copy_tree(shared_qual)
    target = query.resultRelation
    shift, first_perminfo = len(query.rtable), len(query.rteperminfos)
    offset_varnos(action, shift)
    change_varno(action, _OLD + shift, target)
    if qual is not None:
        offset_varnos(qual, shift)
        change_varno(qual, _OLD + shift, target)
    for entry in action.rtable:
        if entry.perminfoindex:
            entry.perminfoindex += first_perminfo
    rtable: list[RangeTblEntry] = [*copy_tree(query.rtable), *action.rtable]
    action.rtable = rtable
    action.rteperminfos = [*copy_tree(query.rteperminfos), *action.rteperminfos]
    # The relation itself is joined once: by the action if that mentions it, else with the query's other relations.
    keep = not _uses(action.jointree, target) and (_uses(qual, target) or _uses(query.jointree, target))
    others = [
        item for item in copy_tree(query.jointree.fromlist)
        if keep or not (isinstance(item, RangeTblRef) and item.rtindex == target)
    ]  # fmt: skip
    action.jointree = replace(action.jointree, fromlist=[*others, *action.jointree.fromlist])
    add_qual(action, qual)
    add_qual(action, query.jointree.quals)
    if query.commandType == enums.CMD_UPDATE:
        new = _NEW + shift
        action = replace_vars(action, new, action.rtable[new - 1], query.targetList, unmatched_varno=target)
    return action


def _uses(tree: Any, varno: int) -> bool:
    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var):
            return True if node.varlevelsup == level and node.varno == varno else None
        return True if level == 0 and isinstance(node, RangeTblRef) and node.rtindex == varno else None

    return tree is not None and bool(walk_levels(tree, visit))
