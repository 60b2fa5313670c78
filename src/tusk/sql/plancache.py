"""Prepared statements: parsed once, analysed again only when what they rest on changes, planned once.

PostgreSQL's plancache.c plans a statement five times for its parameter values before it thinks of a generic plan.
Here planning costs more and executing less, so ``plan_cache_mode = auto`` means the generic plan (docs/decisions.md).
"""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as caches
from tusk.catalog import inval
from tusk.catalog._relcache import lock_relation
from tusk.config import settings
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import analyze
from tusk.sql.nodes import CMD_UTILITY, PlannedStmt, Query, RawStmt, enums, walk
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.plan import plan
from tusk.sql.rewrite import rewrite

# Changes are numbered; what was looked at after the last one is still right.
_now = 0
_invalid_all = 0
_last_change = 0
_renamed = 0      # a relation was made, dropped or renamed: names may now mean others
_relation_changes: dict[int, int] = {}


def _next() -> int:
    global _now
    _now += 1
    return _now


def invalidate_relation(oid: int) -> None:
    """A relation changed (0: any may have): plans that use it are made again."""
    global _invalid_all, _last_change
    now = _last_change = _next()
    if oid == 0:
        _invalid_all = now
        _relation_changes.clear()
    else:
        _relation_changes[oid] = now


def invalidate_everything() -> None:
    """A function, operator, schema or role changed: no plan can be trusted."""
    invalidate_relation(0)


def _object_changed(_hash_value: int) -> None:
    invalidate_everything()


def _names_changed(_hash_value: int) -> None:
    global _renamed
    _renamed = _next()


def names_changed_at() -> int:
    """When a relation was last made, dropped or renamed."""
    return _renamed


inval.on_relcache_change(invalidate_relation)
for _cache in (caches.PROCOID, caches.TYPEOID, caches.NAMESPACEOID, caches.OPEROID, caches.AMOPOPID):
    inval.on_syscache_change(_cache, _object_changed)
inval.on_syscache_change(caches.RELNAMENSP, _names_changed)


class PlanSource:
    """A statement on its way from text to plan (CachedPlanSource).

    ``executors`` are idle executors of the generic plan: taken by a portal, given back when it closes. ``described``
    belongs to whoever describes results (the wire protocol keeps RowDescriptions there); both die with the plan.
    """

    def __init__(self, raw: RawStmt | None, text: str, param_types: list[int], *, fixed_parameters: bool) -> None:
        self.raw = raw
        self.text = text
        self.param_types = param_types
        self.fixed_parameters = fixed_parameters
        self.queries: list[Query] = []
        self.relations: frozenset[int] = frozenset()
        self.search_path: str | None = None
        self.analyzed_at = 0
        self.checked_at = 0
        self.generic: list[PlannedStmt] | None = None
        self.generic_plans = 0
        self.custom_plans = 0
        self.cursor_options = 0
        self.executors: list[Any] = []
        self.described: dict[Any, Any] = {}
        self.locks: list[tuple[int, int]] = []

    @property
    def is_utility(self) -> bool:
        """Whether it is one utility statement, which needs no plan."""
        return len(self.queries) == 1 and self.queries[0].commandType == CMD_UTILITY

    def analyze(self) -> list[Query]:
        """The rewritten queries, analysed again if they are out of date. Takes locks; needs a snapshot."""
        if self.raw is None:
            return []
        if self.analyzed_at and self._is_current():
            return self.queries
        stamp = _next()
        if self.fixed_parameters:
            query = analyze(self.raw, self.text, self.param_types)
        else:
            query = analyze(self.raw, self.text, self.param_types, variable=True)
            self.fixed_parameters = True
        columns_before = _result_shape(self.queries) if self.analyzed_at else None
        self.queries = [query] if query.commandType == CMD_UTILITY else rewrite(query)
        if columns_before is not None and columns_before != _result_shape(self.queries):
            self.analyzed_at = 0
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
        self.relations = _relations_of(self.queries)
        self.search_path = settings.search_path
        self.analyzed_at = self.checked_at = stamp
        self._forget_plan()
        return self.queries

    def _forget_plan(self) -> None:
        self.generic = None
        self.executors.clear()
        self.described.clear()

    def is_stale(self) -> bool:
        """Whether it would have to be analysed again."""
        return not self._is_current()

    def _is_current(self) -> bool:
        if self.search_path != settings.search_path:
            return False
        if self.checked_at > _last_change:
            return True
        if self.analyzed_at < _invalid_all:
            return False
        for oid in self.relations:
            if _relation_changes.get(oid, 0) >= self.analyzed_at:
                return False
        self.checked_at = _next()
        return True

    def ready_plans(self) -> list[PlannedStmt] | None:
        """The generic plan if it is there and still good, with its relations locked; None where work is needed.

        Locking may bring news of changes, so what is current is asked after it (AcquireExecutorLocks).
        """
        if self.generic is None or not self._is_current():
            return None
        for oid, mode in self.locks:
            lock_relation(oid, mode)
        if not self._is_current():
            return None
        self.generic_plans += 1
        return self.generic

    def plans(self, parameters: Any = None) -> list[PlannedStmt]:
        """The plans to execute, one for each query (GetCachedPlan)."""
        queries = self.analyze()
        if settings.plan_cache_mode == "force_custom_plan" and self.param_types:
            self.custom_plans += 1
            return [plan(query, self.text, self.cursor_options, parameters) for query in queries]
        if self.generic is None:
            self.generic = [plan(query, self.text, self.cursor_options, None) for query in queries]
            self.locks = [
                (rte.relid, rte.rellockmode)
                for planned in self.generic
                for rte in planned.rtable
                if rte.rtekind == enums.RTE_RELATION and rte.rellockmode
            ]
        self.generic_plans += 1
        return self.generic


def _result_shape(queries: list[Query]) -> list[tuple[str | None, int]]:
    from_query = next((query for query in queries if query.canSetTag), None)
    if from_query is None or from_query.commandType == CMD_UTILITY:
        return []
    targets = from_query.targetList if not from_query.returningList else from_query.returningList
    return [(target.resname, expr_type(target.expr)) for target in targets if not target.resjunk]


def _relations_of(queries: list[Query]) -> frozenset[int]:
    found: set[int] = set()

    def visit(node: Any) -> None:
        relid = getattr(node, "relid", 0)
        if type(node).__name__ == "RangeTblEntry" and relid:
            found.add(relid)

    for query in queries:
        walk(query, visit)
    return frozenset(found)
