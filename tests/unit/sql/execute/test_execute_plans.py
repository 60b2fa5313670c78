"""Plan nodes against what the same rows give in plain Python."""

import random
from decimal import Decimal

import pytest
from execute_plans import BoolExpr, Param, const, func, op, result, select, tlist, type_of, values, var

from tusk.catalog.cache import AGGFNOID, lookup
from tusk.catalog.facts import builtin_rows
from tusk.errors import SqlError
from tusk.sql.execute import support
from tusk.sql.execute._executor import Executor, execute
from tusk.sql.nodes import enums
from tusk.sql.nodes.parsetree import SortGroupClause
from tusk.sql.nodes.plantree import Agg, Append, Hash, HashJoin, Limit, Material, MergeJoin, NestLoop, Sort, ValuesScan
from tusk.sql.nodes.primitives import Aggref, OpExpr, TargetEntry

INT4_LT, INT4_GT, INT4_EQ, TEXT_LT = 97, 521, 96, 664
OUTER, INNER = -2, -1


def table(rows, types):
    lists = [[const(v, t) for v, t in zip(row, types, strict=True)] for row in rows]
    return ValuesScan(scanrelid=1, values_lists=lists, targetlist=tlist(*[var(i + 1, t) for i, t in enumerate(types)]))


def sort(child, types, columns, operators, nulls_first):
    collations = [950 if o == TEXT_LT else 0 for o in operators]
    return Sort(lefttree=child, targetlist=tlist(*[var(i + 1, t, OUTER) for i, t in enumerate(types)]),
                numCols=len(columns), sortColIdx=columns, sortOperators=operators, collations=collations,
                nullsFirst=nulls_first)


@pytest.fixture(scope="module")
def tables():
    rng = random.Random(1)
    left = [(rng.randrange(50), f"a{i}") for i in range(1500)] + [(None, "n")]
    right = [(rng.randrange(70), f"b{i}") for i in range(300)] + [(None, "m")]
    return left, right, table(left, ("int4", "text")), table(right, ("int4", "text"))


@pytest.fixture(params=["memory", "spilling"])
def work_mem(request, monkeypatch):
    if request.param == "spilling":
        monkeypatch.setattr(support, "work_mem_bytes", lambda: 20000)
        monkeypatch.setattr(support, "hash_mem_bytes", lambda: 20000)


def test_expressions():
    rows, n = execute(result(
        op("+", const(1, "int4"), const(1, "int4")),
        op("*", const(Decimal("1.50"), "numeric"), const(Decimal("-2.25"), "numeric")),
        op("=", const("a", "text"), const("b", "text")),
        op("<", const(1.5, "float8"), const(2.5, "float8")),
        op("-", const(Decimal("10000.5"), "numeric"), const(Decimal("0.25"), "numeric")),
        func("upper", const("x", "text")),
    ))
    assert rows == [(2, Decimal("-3.3750"), False, True, Decimal("10000.25"), "X")]
    assert str(rows[0][1]) == "-3.3750"
    assert n == 1


@pytest.mark.parametrize(("a", "sign", "b", "kind", "state"), [
    (5, "/", 0, "int4", "22012"), (2**62, "*", 4, "int8", "22003"), (2**31 - 1, "+", 1, "int4", "22003"),
    (-(2**15), "/", -1, "int2", "22003"), (1e308, "*", 10.0, "float8", "22003"),
])  # fmt: skip
def test_range_errors(a, sign, b, kind, state):
    with pytest.raises(SqlError) as caught:
        execute(result(op(sign, const(a, kind), const(b, kind))))
    assert caught.value.sqlstate == state


def test_numeric_kernels_agree_with_decimal():
    rng = random.Random(7)
    for _ in range(300):
        a, b = (Decimal(rng.randrange(-(10**12), 10**12)).scaleb(-rng.randrange(0, 9)) for _ in range(2))
        got = execute(result(*[op(s, const(a, "numeric"), const(b, "numeric")) for s in "+-*"]))[0][0]
        assert [str(g) for g in got] == [str(x if x else abs(x)) for x in (a + b, a - b, a * b)], (a, b)


def test_three_valued_logic():
    truth = [True, False, None]
    rows = [[const(a, "bool"), const(b, "bool")] for a in truth for b in truth]
    both = [var(1, "bool"), var(2, "bool")]
    got = execute(values(rows, [BoolExpr(boolop=enums.AND_EXPR, args=both), BoolExpr(boolop=enums.OR_EXPR, args=both),
                                BoolExpr(boolop=enums.NOT_EXPR, args=both[:1])]))[0]

    def and_(a, b):
        return False if a is False or b is False else None if a is None or b is None else True

    def not_(a):
        return None if a is None else not a

    assert got == [(and_(a, b), not_(and_(not_(a), not_(b))), not_(a)) for a in truth for b in truth]


def test_filter_and_project_over_many_batches():
    rows = [[const(i, "int4"), const(f"abc{i}", "text")] for i in range(3000)]
    got = execute(values(rows, [op("+", var(1, "int4"), const(100, "int4")), var(2, "text")],
                         [op(">", var(1, "int4"), const(2995, "int4")),
                          op("<>", var(2, "text"), const("abc2997", "text"))]))
    assert got == ([(3096, "abc2996"), (3098, "abc2998"), (3099, "abc2999")], 3)


def test_parameters_and_restart():
    plan = result(op("+", Param(paramkind=enums.PARAM_EXTERN, paramid=1, paramtype=23), const(1, "int4")))
    executor = Executor(plan)
    for value in (1, 41, None):
        executor.start([value])
        assert executor.all_rows() == [(None if value is None else value + 1,)]
        executor.finish()
        executor.end()


def test_row_limit_keeps_the_rest(tables):
    left, _, scan, _ = tables
    executor = Executor(select(scan))
    executor.start()
    seen = []
    while (batch := executor.next_batch(7)) is not None:
        assert len(batch) <= 7
        seen.extend(batch.rows())
    assert seen == left
    executor.end()


def test_sort(tables, work_mem):
    left, _, scan, _ = tables
    types = ("int4", "text")
    got = execute(select(sort(scan, types, [1, 2], [INT4_LT, TEXT_LT], [False, False])))[0]
    assert got == sorted(left, key=lambda r: (r[0] is None, r[0] or 0, r[1]))
    got = execute(select(sort(scan, types, [1, 2], [INT4_GT, TEXT_LT], [True, False])))[0]
    assert got == sorted(sorted(left, key=lambda r: r[1]), key=lambda r: (r[0] is not None, -(r[0] or 0)))


def test_limit(tables):
    left, _, scan, _ = tables
    plan = Limit(lefttree=sort(scan, ("int4", "text"), [2], [TEXT_LT], [False]), targetlist=scan.targetlist,
                 limitCount=const(5, "int8"), limitOffset=const(3, "int8"))
    assert execute(select(plan))[0] == sorted(left, key=lambda r: r[1])[3:8]


def test_append(tables):
    left, right, a, b = tables
    plan = Append(appendplans=[a, b], targetlist=a.targetlist, part_prune_index=-1)
    assert execute(select(plan))[0] == left + right


def expected(jointype, left, right):
    out, matched = [], set()
    for a in left:
        mates = [(i, b) for i, b in enumerate(right) if a[0] is not None and a[0] == b[0]]
        matched.update(i for i, _ in mates)
        if jointype in (enums.JOIN_INNER, enums.JOIN_LEFT, enums.JOIN_FULL, enums.JOIN_RIGHT):
            out += [a + b for _, b in mates]
        if not mates and jointype in (enums.JOIN_LEFT, enums.JOIN_FULL):
            out.append((*a, None, None))
        if (jointype == enums.JOIN_SEMI and mates) or (jointype == enums.JOIN_ANTI and not mates):
            out.append(a)
    rest = [b for i, b in enumerate(right) if i not in matched]
    if jointype in (enums.JOIN_FULL, enums.JOIN_RIGHT):
        out += [(None, None, *b) for b in rest]
    if jointype == enums.JOIN_RIGHT_SEMI:
        out = [b for i, b in enumerate(right) if i in matched]
    if jointype == enums.JOIN_RIGHT_ANTI:
        out = rest
    return sorted(out, key=repr)


@pytest.mark.parametrize("jointype", [enums.JoinType(i) for i in range(8)])
def test_joins(tables, jointype, work_mem):
    left, right, a, b = tables
    outer = [var(1, "int4", OUTER), var(2, "text", OUTER)]
    inner = [var(1, "int4", INNER), var(2, "text", INNER)]
    shown = outer if jointype in (4, 5) else inner if jointype in (6, 7) else outer + inner
    clause = OpExpr(opno=INT4_EQ, opfuncid=65, opresulttype=16, args=[outer[0], inner[0]])
    want = expected(jointype, left, right)
    hashed = Hash(lefttree=b, targetlist=b.targetlist, hashkeys=[outer[0]])
    plan = HashJoin(jointype=jointype, targetlist=tlist(*shown), lefttree=a, righttree=hashed, hashclauses=[clause],
                    hashoperators=[INT4_EQ], hashcollations=[0], hashkeys=[outer[0]])
    assert sorted(execute(select(plan))[0], key=repr) == want
    if jointype != enums.JOIN_RIGHT_SEMI:
        types = ("int4", "text")
        plan = MergeJoin(jointype=jointype, targetlist=tlist(*shown), lefttree=sort(a, types, [1], [INT4_LT], [False]),
                         righttree=sort(b, types, [1], [INT4_LT], [False]), mergeclauses=[clause],
                         mergeFamilies=[1976], mergeCollations=[0], mergeReversals=[False], mergeNullsFirst=[False])
        assert sorted(execute(select(plan))[0], key=repr) == want
    if jointype in (0, 1, 4, 5):
        plan = NestLoop(jointype=jointype, targetlist=tlist(*shown), lefttree=a,
                        righttree=Material(lefttree=b, targetlist=b.targetlist), joinqual=[clause])
        assert sorted(execute(select(plan))[0], key=repr) == want


def aggref(name, args, number, aggtype, *, distinct=False, filter_=None):
    proc = next(p for p in builtin_rows("pg_proc") if p.proname == name and p.prokind == "a"
                and list(p.proargtypes) in ([type_of(a) for a in args], [2276] * len(args), [2776] * len(args)))
    entries = [TargetEntry(expr=a, resno=i + 1, ressortgroupref=1 if i == 0 else 0) for i, a in enumerate(args)]
    clauses = [SortGroupClause(tleSortGroupRef=1, eqop=INT4_EQ, sortop=INT4_LT)] if distinct else []
    row = lookup(AGGFNOID, proc.oid)
    return Aggref(aggfnoid=proc.oid, aggtype=aggtype, args=entries, aggstar=not args, aggkind="n", aggno=number,
                  aggtransno=number, aggtranstype=row.aggtranstype, aggdistinct=clauses, aggfilter=filter_,
                  inputcollid=950, aggargtypes=[type_of(a) for a in args])


@pytest.mark.parametrize("strategy", ["AGG_HASHED", "AGG_SORTED", "AGG_PLAIN"])
def test_aggregates(tables, strategy, work_mem):
    left, _, scan, _ = tables
    child = sort(scan, ("int4", "text"), [1], [INT4_LT], [False])
    number, text = var(1, "int4", OUTER), var(2, "text", OUTER)
    calls = [
        aggref("count", [], 0, 20), aggref("count", [number], 1, 20), aggref("sum", [number], 2, 20),
        aggref("max", [text], 3, 25), aggref("avg", [number], 4, 1700),
        aggref("count", [number], 5, 20, distinct=True),
        aggref("count", [], 6, 20, filter_=op(">", number, const(20, "int4"))), aggref("array_agg", [number], 7, 1007),
    ]
    plain = strategy == "AGG_PLAIN"
    plan = Agg(lefttree=child, targetlist=tlist(*calls if plain else [number, *calls]),
               aggstrategy=enums.AggStrategy[strategy], numCols=0 if plain else 1, grpColIdx=[] if plain else [1],
               grpOperators=[] if plain else [INT4_EQ], grpCollations=[] if plain else [0])
    got = execute(select(plan))[0]
    groups = {}
    for row in sorted(left, key=lambda r: (r[0] is None, r[0] or 0)):
        groups.setdefault(0 if plain else row[0], []).append(row)
    want = []
    for key, rows in groups.items():
        numbers = [n for n, _ in rows if n is not None]
        total, n = (sum(numbers), len(numbers)) if numbers else (None, 0)
        shown = (len(rows), n, total, max(t for _, t in rows), None if n == 0 else Decimal(total) / n,
                 len(set(numbers)), sum(x > 20 for x in numbers))
        want.append(shown if plain else (key, *shown))
        elements = next(r[-1].elements for r in got if plain or r[0] == key)
        assert list(elements) == [n for n, _ in rows]
    # Groups that waited in a temporary file come later.
    got = sorted((row[:-1] for row in got), key=repr)
    want.sort(key=repr)
    at = 4 if plain else 5
    assert [r[:at] + r[at + 1:] for r in got] == [r[:at] + r[at + 1:] for r in want]
    assert all(a[at] == b[at] or abs(a[at] - b[at]) < Decimal("1e-12") for a, b in zip(got, want, strict=True))


def test_aggregate_over_nothing():
    empty = table([(1, "x")], ("int4", "text"))
    empty.qual = [const(False, "bool")]
    plan = Agg(lefttree=empty, targetlist=tlist(aggref("count", [], 0, 20),
                                                aggref("sum", [var(1, "int4", OUTER)], 1, 20)), aggstrategy=0)
    assert execute(select(plan))[0] == [(0, None)]
