"""What the b-tree tests do inside a cluster: hand-made indexes, and a model to compare them with."""

import random
from functools import cmp_to_key

from tables import table, text, transaction

from tusk.access import registry  # noqa: F401  # declares shared memory: before any cluster is made

INT4 = (1976, 23, 0, 0, "btint4cmp")


def index(create=True, oid=16390, columns="i", options=(), unique=False, include=0, heap_oid=16384, **attributes):
    """An index over columns of kinds i (int4) and t (text, C collation); options are DESC 1 and NULLS FIRST 2."""
    from tusk.access._index import index_build_empty
    from tusk.access._relation import Relation
    from tusk.access._tupdesc import AttributeRow, TupleDesc
    from tusk.storage import _smgr

    rows, keys = [], []
    for i, kind in enumerate(columns):
        if kind == "i":
            rows.append(AttributeRow(f"c{i}", 23, 4, True, "i"))
        else:
            rows.append(AttributeRow(f"c{i}", 25, -1, False, "i", "x", attcollation=950))
        option = options[i] if i < len(options) else 0
        keys.append((1976, 23, 0, option, "btint4cmp") if kind == "i" else (1994, 25, 950, option, "bttextcmp"))
    rel = Relation(oid, (1663, 5, oid), f"i{oid}", TupleDesc(rows), relkind="i")
    rel.set_index_keys(keys[: len(columns) - include], list(range(1, len(columns) + 1)), heap_oid=heap_oid)
    rel.indisunique = unique
    for name, value in attributes.items():
        setattr(rel, name, value)
    if create:
        _smgr.create((1663, 5, oid))
        with transaction():
            index_build_empty(rel)
    return rel


def tid_of(i):
    """A heap TID for the i-th entry."""
    return (i // 200, i % 200 + 1)


def plain(value):
    """A datum as the model compares it."""
    if isinstance(value, bytes):
        return value[1:] if value[0] & 1 else value[4:]
    return value


def order(options):
    """The index order of model entries (values, tid)."""

    def compare(x, y):
        for i, (a, b) in enumerate(zip(x[0], y[0], strict=True)):
            option = options[i] if i < len(options) else 0
            if a is None or b is None:
                if a is b:
                    continue
                first = -1 if option & 2 else 1
                return first if a is None else -first
            a, b = plain(a), plain(b)
            if a != b:
                result = -1 if a < b else 1
                return -result if option & 1 else result
        return (x[1] > y[1]) - (x[1] < y[1])

    return cmp_to_key(compare)


def holds(value, op, argument):
    """A scan key on a model value."""
    if op == "is null":
        return value is None
    if value is None:
        return False
    if op == "is not null":
        return True
    if op.endswith("any"):
        return any(holds(value, op[:-3].strip() or "=", a) for a in argument if a is not None)
    if argument is None:
        return False
    value, argument = plain(value), plain(argument)
    return {"<": value < argument, "<=": value <= argument, "=": value == argument, ">=": value >= argument,
            ">": value > argument}[op]


def row_holds(values, op, members):
    """A row comparison on a model entry."""
    for i, (attno, argument) in enumerate(members):
        value = values[attno - 1]
        if value is None or argument is None:
            return False
        value, argument = plain(value), plain(argument)
        if value != argument or i == len(members) - 1:
            return {"<": value < argument, "<=": value <= argument, ">=": value >= argument, ">": value > argument}[op]
    return False


def matches(values, keys):
    """All keys on a model entry."""
    return all(
        row_holds(values, op[4:], argument) if op.startswith("row ") else holds(values[attno - 1], op, argument)
        for attno, op, argument in keys
    )


def random_value(rng, kind, spread, nulls):
    if rng.random() < nulls:
        return None
    n = rng.randrange(spread)
    return n if kind == "i" else text(f"{n:0{rng.choice((4, 4, 4))}d}" + "x" * (n % 7) * 6)


def random_keys(rng, columns, options, spread):
    keys = []
    for attno, kind in enumerate(columns, 1):
        for _ in range(rng.choice((0, 1, 1, 2))):
            op = rng.choice(("<", "<=", "=", "=", ">=", ">", "any", "is null", "is not null", "any"))
            if rng.random() < 0.1:
                op = rng.choice(("< any", ">= any"))
            if op.endswith("any"):
                value = [random_value(rng, kind, spread, 0) for _ in range(rng.randrange(1, 12))]
            elif op.startswith("is"):
                value = None
            else:
                value = random_value(rng, kind, spread, 0)
            keys.append((attno, op, value))
    same = len({options[i] & 1 if i < len(options) else 0 for i in range(len(columns))}) == 1
    if len(columns) > 1 and same and rng.random() < 0.25:
        members = [(i + 1, random_value(rng, kind, spread, 0)) for i, kind in enumerate(columns)]
        keys.append((1, "row " + rng.choice(("<", "<=", ">=", ">")), members))
    return keys


def model_test(seed, columns, options, n, spread, nulls, nqueries, order_of="random", unique=False, deduplicate=True):
    """Insert n entries, compare scans with the model; returns the number of pages."""
    from tusk.access.nbtree import _check, _entries

    rng = random.Random(seed)
    heap = table(create=False)
    rel = index(columns=columns, options=options, deduplicate_items=deduplicate)
    entries = []
    for i in range(n):
        values = [random_value(rng, kind, spread, nulls) for kind in columns]
        entries.append((values, tid_of(i)))
    if order_of == "ascending":
        entries.sort(key=order(options))
        entries = [(values, tid_of(i)) for i, (values, _) in enumerate(entries)]
    elif order_of == "shuffled tids":
        tids = [tid for _, tid in entries]
        rng.shuffle(tids)
        entries = [(values, tid) for (values, _), tid in zip(entries, tids, strict=True)]
    with transaction():
        for values, tid in entries:
            _entries.insert_entry(rel, heap, values, tid)
        _check.check_index(rel)
        entries.sort(key=order(options))
        tids = [tid for _, tid in entries]
        scan = _entries.EntryScan(rel)
        assert scan.all() == tids, "full scan"
        assert scan.next() is None
        assert scan.all(True) == tids[::-1], "full scan backwards"
        scan.close()
        for _ in range(nqueries):
            keys = random_keys(rng, columns, options, spread)
            expected = [tid for values, tid in entries if matches(values, keys)]
            scan = _entries.EntryScan(rel, keys, itup=rng.random() < 0.3)
            got = scan.all()
            if got and not isinstance(got[0][0], int):
                got = [tid for tid, _ in got]
            assert got == expected, (seed, keys, got[:5], expected[:5], len(got), len(expected))
            scan.close()
            scan = _entries.EntryScan(rel, keys)
            assert scan.all(True) == expected[::-1], (seed, "backward", keys)
            scan.rescan(keys)
            walk(rng, scan, expected, (seed, "walk", keys))
            scan.close()
            assert sorted(_entries.bitmap_entries(rel, keys)) == sorted(expected), (seed, "bitmap", keys)
        pages = len(_entries.index_pages(rel))
    return pages


def walk(rng, scan, expected, what):
    """To and fro, with marks."""
    at = None                                   # a scan begins at the end that its direction comes from
    mark = None
    for _ in range(30):
        action = rng.random()
        if action < 0.1 and at is not None and 0 <= at < len(expected):
            scan.mark()
            mark = at
            continue
        if action < 0.2 and mark is not None:
            scan.restore()
            at = mark
            continue
        backward = rng.random() < 0.35
        step = rng.choice((1, 1, 3, 200))
        for _ in range(step):
            got = scan.next(backward)
            if at is None:
                at = len(expected) if backward else -1
            at = max(at - 1, -1) if backward else min(at + 1, len(expected))
            if at < 0 or at >= len(expected):
                assert got is None, what
                break
            assert got == expected[at], (what, at, got, expected[at])
