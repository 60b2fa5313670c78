"""What the planner works on: relations, clauses, paths and the state of one query level (nodes/pathnodes.h).

Sets of range table indexes are ints used as bitmaps: bit n is range table entry n. Paths are plain records; the
cheapest one of the final relation becomes a plan in `create_plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tusk.sql.nodes import JOIN_INNER, JoinType, Query, Var
from tusk.sql.nodes._trees import fingerprint

__all__ = [
    "Clause", "Global", "IndexInfo", "OuterJoin", "Path", "PathKey", "Rel", "Relids", "Root", "fingerprint", "is_inner",
    "members",
]  # fmt: skip

Relids = int


def members(relids: Relids) -> list[int]:
    """The range table indexes in a set."""
    found = []
    while relids:
        low = relids & -relids
        found.append(low.bit_length() - 1)
        relids ^= low
    return found


@dataclass(slots=True)
class Global:
    """State shared by all levels of one statement (PlannerGlobal)."""

    text: str
    bound_params: Any = None
    subplans: list[Any] = field(default_factory=list)
    subroots: list[Root] = field(default_factory=list)
    final_rtable: list[Any] = field(default_factory=list)
    final_perminfos: list[Any] = field(default_factory=list)
    row_marks: list[Any] = field(default_factory=list)
    result_relations: list[int] = field(default_factory=list)
    relation_oids: set[int] = field(default_factory=set)
    param_types: list[int] = field(default_factory=list)
    last_plan_node_id: int = 0
    init_externals: dict[int, frozenset[int]] = field(default_factory=dict)     # initplan's result -> what it needs

    def new_param(self, type_oid: int) -> int:
        """A new PARAM_EXEC slot."""
        self.param_types.append(type_oid)
        return len(self.param_types) - 1


@dataclass(slots=True, eq=False)
class Clause:
    """A qualification with what the planner has found out about it (RestrictInfo).

    ``required`` is where it can be evaluated at the earliest; ``is_pushed_down`` is false for an outer join's own ON
    clause. ``left`` and ``right`` are the relations of a two-sided operator's operands.
    """

    expr: Any
    required: Relids
    is_pushed_down: bool = True
    outer_join: int = 0             # rtindex of the outer join whose ON clause this is
    left: Relids = 0
    right: Relids = 0
    can_join: bool = False
    merge_families: tuple[int, ...] = ()
    hash_operator: int = 0
    is_constant: bool = False       # no variables of this level: a gating condition
    derived: bool = False
    equivalence: int = 0            # number of the class of equal expressions it comes from
    selectivity: float = -1.0
    cost: tuple[float, float] | None = None
    security_level: int = 0


@dataclass(slots=True, eq=False)
class OuterJoin:
    """The order that an outer, semi or anti join imposes (SpecialJoinInfo)."""

    jointype: JoinType
    min_left: Relids
    min_right: Relids
    syn_left: Relids
    syn_right: Relids
    rtindex: int = 0
    marker: int = 0                 # what its clauses name it by: the rtindex, a negative number where it has none
    semi_operators: list[tuple[int, Any, Any]] = field(default_factory=list)    # (opno, left, right)


@dataclass(slots=True, eq=False)
class IndexInfo:
    """An index as the planner sees it (IndexOptInfo)."""

    oid: int
    relam: str
    keys: list[int]                 # heap attribute numbers, 0 for an expression
    nkeys: int
    expressions: list[Any]          # in order of the zeros in keys
    predicate: list[Any]
    opfamilies: list[int]
    opcintypes: list[int]
    collations: list[int]
    descending: list[bool]
    nulls_first: list[bool]
    unique: bool
    immediate: bool
    pages: int
    tuples: float
    tree_height: int
    predicate_ok: bool = True

    def column_expr(self, i: int) -> Any:
        """The expression of an expression column, None for a plain one."""
        if self.keys[i]:
            return None
        return self.expressions[sum(1 for key in self.keys[:i] if key == 0)]


@dataclass(slots=True, eq=False)
class PathKey:
    """One column of a sort order."""

    key: Any                        # fingerprint of the canonical expression
    expr: Any
    opfamily: int
    descending: bool
    nulls_first: bool
    collation: int

    def same(self, other: PathKey) -> bool:
        """Whether both mean the same order."""
        return (
            self.key == other.key
            and self.opfamily == other.opfamily
            and self.descending == other.descending
            and self.nulls_first == other.nulls_first
        )


@dataclass(slots=True, eq=False)
class Path:
    """A way to compute a relation. ``kind`` names the plan node to make; ``info`` holds what that needs."""

    kind: str
    rel: Rel
    rows: float
    startup: float
    total: float
    pathkeys: list[PathKey] = field(default_factory=list)
    outer_rels: Relids = 0          # relations that must supply parameters
    children: list[Path] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    target: list[Any] | None = None     # TargetEntry list this path computes; None: the relation's needed Vars
    disabled: int = 0
    width: int = 0


@dataclass(slots=True, eq=False)
class Rel:
    """A base, join or upper relation (RelOptInfo)."""

    relids: Relids
    rows: float = 1.0
    width: int = 32
    rtindex: int = 0
    rte: Any = None
    pages: int = 0
    tuples: float = 0.0
    all_visible_fraction: float = 0.0
    indexes: list[IndexInfo] = field(default_factory=list)
    restrictions: list[Clause] = field(default_factory=list)
    joins: list[Clause] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    needed: dict[int, Relids] = field(default_factory=dict)     # attno -> where it is needed; bit 0: in the output
    target: list[Var] = field(default_factory=list)
    lateral: Relids = 0
    subroot: Root | None = None
    consider_startup: bool = False
    statistics: dict[int, Any] = field(default_factory=dict)
    unique_sets: list[list[Any]] = field(default_factory=list)

    def cheapest(self) -> Path:
        """The unparameterised path with the least total cost."""
        free = [path for path in self.paths if not path.outer_rels]
        return min(free or self.paths, key=lambda path: (path.disabled, path.total))

    def cheapest_startup(self) -> Path:
        """The unparameterised path that gives its first row soonest."""
        free = [path for path in self.paths if not path.outer_rels]
        return min(free or self.paths, key=lambda path: (path.disabled, path.startup))


@dataclass(slots=True, eq=False)
class Root:
    """One query level (PlannerInfo)."""

    parse: Query
    glob: Global
    level: int
    parent: Root | None
    rels: dict[int, Rel] = field(default_factory=dict)
    join_rels: dict[Relids, Rel] = field(default_factory=dict)
    tried_pairs: dict[tuple[Relids, Relids], Rel | None] = field(default_factory=dict)
    outer_joins: list[OuterJoin] = field(default_factory=list)
    all_baserels: Relids = 0
    all_relids: Relids = 0          # with the outer joins
    init_plans: list[Any] = field(default_factory=list)
    plan_params: list[tuple[Any, int]] = field(default_factory=list)    # (expression of this level, param id)
    cte_plans: list[int] = field(default_factory=list)                  # by position in parse.cteList; -1: inlined
    cte_paths: dict[int, tuple[Root, Path]] = field(default_factory=dict)
    work_table_param: int = -1
    recursive_columns: Any = None
    nonrecursive_rows: float = 0.0
    tuple_fraction: float = 0.0
    limit_tuples: float = -1.0
    has_recursion: bool = False
    constant_quals: list[Any] = field(default_factory=list)
    target: list[Any] = field(default_factory=list)
    row_marks: list[Any] = field(default_factory=list)
    nestloop_params: list[tuple[Any, int]] = field(default_factory=list)
    current_outer: Relids = 0
    final_path: Path | None = None
    distinct_rels: dict[Relids, Rel] = field(default_factory=dict)      # right sides of semi joins, made unique
    min_max: Path | None = None     # what was decided about MIN and MAX by index
    equal_keys: dict[Any, Any] = field(default_factory=dict)
    qual_security_level: int = 0
    nonnullable: Relids = 0
    leaf_result_relids: Relids = 0

    def rte(self, rtindex: int) -> Any:
        """The range table entry of that index."""
        return self.parse.rtable[rtindex - 1]


def is_inner(jointype: JoinType) -> bool:
    """A join whose clauses may float freely."""
    return jointype == JOIN_INNER
