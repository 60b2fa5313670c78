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


# -- Tables with indexes --

state = {}


def open_both(create=False, unique=False, columns="i", **attributes):
    """A table (a, b, c) and an index on a (i) or a and b (it)."""
    heap = table(create=create)
    rel = index(create=create, columns=columns, unique=unique, **attributes)
    heap.indexes = [rel]
    state.update(heap=heap, index=rel)
    return heap, rel


def insert(key, b="x", check="no", unchanged=False):
    """A row and its entry; in a transaction."""
    from tusk.access.heap import _table
    from tusk.access.nbtree import _entries

    heap, rel = state["heap"], state["index"]
    datum = text(b)
    tid = _table.insert_row(heap, [key, datum, key])
    values = [key, datum][: rel.indnatts]
    _entries.insert_entry(rel, heap, values, tid, check, unchanged)
    return tid


def checked():
    """Check the index against its table."""
    from tusk.access.nbtree import _check

    with transaction():
        return _check.check_index(state["index"], state["heap"])


def open_in_backend(unique, columns):
    """What another process does first."""
    from tusk.memory import _process

    open_both(unique=unique, columns=columns)
    return _process.my_pid() if hasattr(_process, "my_pid") else 0


def insert_many(seed, n, spread, check, per_transaction):
    """Random keys, some transactions rolled back; how many rows were committed, how many were duplicates."""
    from tusk.errors import SqlError
    from tusk.transaction import _xact

    rng = random.Random(seed)
    committed = duplicates = 0
    done = 0
    while done < n:
        _xact.start_command()
        mine = 0
        try:
            for _ in range(rng.randrange(1, per_transaction + 1)):
                done += 1
                insert(rng.randrange(spread), str(rng.randrange(9)) * 8, check)
                mine += 1
        except SqlError as error:
            assert error.sqlstate in ("23505", "40P01"), error
            duplicates += 1
            _xact.abort_current()
            continue
        if rng.random() < 0.1:
            _xact.abort_current()
        else:
            _xact.commit_command()
            committed += mine
    return committed, duplicates


def scan_many(seed, n, spread):
    """Range scans, both ways: always in order, and never less than the scan before saw of the same range."""
    from tusk.access.nbtree import _entries

    rng = random.Random(seed)
    heap, rel = state["heap"], state["index"]
    before = {}
    for _ in range(n):
        low = rng.randrange(8) * spread // 8
        with transaction():
            scan = _entries.EntryScan(rel, [(1, ">=", low), (1, "<", low + spread // 8)], heap=heap, itup=True)
            keys = [values[0] for _, values in scan.all(rng.random() < 0.5)]
            scan.close()
        assert keys in (sorted(keys), sorted(keys, reverse=True))
        assert len(keys) >= before.get(low, 0)
        before[low] = len(keys)
    return sum(before.values())


def insert_one(key, check="yes"):
    """One row in a transaction of its own; the error's SQLSTATE, message and detail if there is one."""
    from tusk.errors import SqlError

    try:
        with transaction():
            insert(key, check=check)
    except SqlError as error:
        return error.sqlstate, error.message
    return "ok"


def begin():
    from tusk.transaction import _xact

    _xact.start_command()
    _xact.begin_transaction_block()
    _xact.commit_command()


def in_block(key):
    from tusk.transaction import _xact

    _xact.start_command()
    insert(key, check="yes")
    _xact.commit_command()


def finish(commit):
    from tusk.transaction import _xact

    _xact.start_command()
    if commit:
        _xact.end_transaction_block()
    else:
        _xact.user_abort_transaction_block()
    _xact.commit_command()


def masked(rel):
    from tusk.access.nbtree import _entries, _redo

    return [_redo.masked_page(page, block) for block, page in enumerate(_entries.index_pages(rel))]


def shuffled_entries(seed, n, columns):
    """An index without a table: TIDs in random order, so that they fall into posting lists."""
    from tusk.access.nbtree import _check, _entries

    rng = random.Random(seed)
    rel = index(oid=16391, columns=columns)
    tids = [tid_of(i) for i in range(n)]
    rng.shuffle(tids)
    with transaction():
        for i, tid in enumerate(tids):
            value = rng.randrange(12) if rng.random() < 0.7 else i
            _entries.insert_entry(rel, state["heap"], [value, text(str(value))][: len(columns)], tid)
        _check.check_index(rel)
    return masked(rel)


def churn(seed, n, columns):
    """Everything that writes WAL: inserts, duplicates, deletes found by scans; the masked pages afterwards."""
    from tusk.access.heap import _table
    from tusk.access.nbtree import _entries

    rng = random.Random(seed)
    heap, rel = state["heap"], state["index"]
    pages = shuffled_entries(seed, 6000, columns)
    live = []
    for i in range(n):
        with transaction():
            for j in range(40):
                key = rng.randrange(6) if i % 3 else (i * 40 + j) % 1777
                live.append((insert(key, str(rng.randrange(3)) * rng.randrange(1, 90)), key))
        if i % 2 == 0:
            # New versions of some rows, at other places with the same keys: what bottom-up deletion looks for.
            with transaction():
                for k in range(0, min(len(live), 900), 31):
                    tid, key = live[k]
                    _table.delete_row(heap, tid)
                    live[k] = (insert(key, "0", unchanged=True), key)
        if i % 15 == 14:
            with transaction():
                rng.shuffle(live)
                for tid, _ in live[: len(live) // 8]:
                    _table.delete_row(heap, tid)
                del live[: len(live) // 8]
            with transaction():         # the scan marks what it finds dead
                _entries.EntryScan(rel, heap=heap).all()
    checked()
    return masked(rel) + pages


def pages_now():
    """The masked pages after recovery, once the index was found in order."""
    open_both(columns=state["columns"])
    checked()
    return masked(state["index"]) + masked(index(create=False, oid=16391, columns=state["columns"]))


def vacuum_rounds(seed, columns):
    """Delete ranges of entries as VACUUM does, check, insert again; (pages, counts of each round)."""
    from tusk.access.nbtree import _check, _entries, _vacuum

    rng = random.Random(seed)
    heap = state["heap"]
    rel = index(oid=16391, columns=columns)
    live = {}
    counts = []
    n = 0
    for _ in range(4):
        with transaction() as xact:
            xact.current_transaction_id()       # pages deleted before are recyclable once ids have moved on
            while len(live) < 9000:
                tid = tid_of(n)
                value = rng.randrange(40000) if n % 2 else n % 7
                _entries.insert_entry(rel, heap, [value, text(str(value))][: len(columns)], tid)
                live[tid] = value
                n += 1
        low = rng.randrange(10000)
        dead = [tid for tid, value in live.items()
                if low < value < low + 28000 or (value < 7 and tid[1] % 3 == 0) or rng.random() < 0.05]
        if len(counts) == 2:
            dead = list(live)
        with transaction():
            stats = _vacuum.vacuum_entries(rel, heap, dead)
            assert stats["tuples_removed"] == len(dead)
            for tid in dead:
                del live[tid]
            assert stats["num_index_tuples"] == len(live)
            counts.append((stats["pages_newly_deleted"], stats["pages_free"], stats["num_pages"]))
            assert _check.check_index(rel)["entries"] == len(live)
            assert sorted(_entries.EntryScan(rel).all()) == sorted(live)
    with transaction():
        insert(1)                               # a commit that flushes the WAL
    return masked(rel), counts


def replayed_pages(columns):
    from tusk.access.nbtree import _check

    with transaction():
        rel = index(create=False, oid=16391, columns=columns)
        _check.check_index(rel)
    return masked(rel)
