"""What the processes of the heap tests do; importable by name, so that forked backends can be told to."""

import random
import struct

from tables import plain, table, text, transaction

from tusk.access.heap import _redo, _table

state = {}


def open_table(create=False, **options):
    """Make the relation descriptor of this process."""
    state["rel"] = table(create, **options)


def begin():
    from tusk.transaction import _xact

    _xact.start_command()
    _xact.begin_transaction_block()
    _xact.commit_command()


def end(commit=True):
    from tusk.transaction import _xact

    _xact.start_command()
    if commit:
        _xact.end_transaction_block()
    else:
        _xact.user_abort_transaction_block()
    _xact.commit_command()


def statement(name, *args):
    """Run one function of heap._table on the table as a statement; error: roll back."""

    from tusk.transaction import _xact

    _xact.start_command()
    try:
        result = getattr(_table, name)(state["rel"], *args)
    except BaseException:
        _xact.abort_current()
        raise
    _xact.commit_command()
    return result


def header(tid):
    """(xmin, xmax, infomask, infomask2, ctid) of a tuple as stored."""


    with transaction():
        page = _table.read_page(state["rel"], tid[0])
    (item,) = struct.unpack_from("<I", page, 24 + 4 * (tid[1] - 1))
    off = item & 0x7FFF
    xmin, xmax, _, hi, lo, pos, infomask2, infomask = struct.unpack_from("<IIIHHHHH", page, off)
    return xmin, xmax, infomask, infomask2, (hi << 16 | lo, pos)


def items(block=0):
    """The line pointers of a block: "n" normal, "r3" redirected to 3, "d" dead, "u" unused."""


    page = _table.read_page(state["rel"], block)
    (lower,) = struct.unpack_from("<H", page, 12)
    words = struct.unpack_from(f"<{(lower - 24) // 4}I", page, 24)
    return ["unrd"[w >> 15 & 3] + (str(w & 0x7FFF) if w >> 15 & 3 == 2 else "") for w in words]


def increment(tid, times):
    """Add 1 to column c of the row at tid, times times, each in a transaction of its own, as READ COMMITTED does."""


    rel = state["rel"]
    for _ in range(times):
        with transaction():
            result, found = _table.lock_latest(rel, tid, "no key update")
            assert result == "ok", result
            tid, values = found
            values = [values[0], text(plain(values[1])), values[2] + 1]
            outcome, new_tid, _ = _table.update_row(rel, tid, values)
            assert outcome == "ok", outcome
            tid = new_tid
    return tid


def load(first, count):
    """Insert rows one by one, some of them in bulk."""


    rel = state["rel"]
    with transaction():
        for i in range(first, first + count // 2):
            _table.insert_row(rel, [i, text("x" * (i % 97)), i])
    with transaction():
        _table.insert_rows(rel, [[i, text("y" * (i % 50)), i] for i in range(first + count // 2, first + count)])


def random_work(seed, steps):
    """Inserts, updates, deletes, locks, rollbacks, pruning: everything that writes a heap record."""

    from tusk.transaction import _xact

    generator = random.Random(seed)
    rel = state["rel"]
    for step in range(steps):
        _xact.start_command()
        tids = [tid for tid, _ in _table.scan_rows(rel)]
        generator.shuffle(tids)
        for _ in range(generator.randrange(1, 5)):
            action = generator.randrange(8)
            value = [generator.randrange(1000), text("v" * generator.randrange(300)), step]
            if action == 0:
                _table.insert_row(rel, value)
            elif action == 1:
                _table.insert_rows(rel, [value] * generator.randrange(1, 60))
            elif action == 2 and tids:
                assert _table.delete_row(rel, tids.pop())[0] == "ok"
            elif action in (3, 4) and tids:
                tid = tids.pop()
                old = _table.fetch_row(rel, tid)
                same_key = [old[0], text(plain(old[1]) + b"+"), step]
                assert _table.update_row(rel, tid, same_key if action == 3 else value)[0] == "ok"
            elif action == 5 and tids:
                mode = generator.choice(["key share", "share", "no key update", "update"])
                assert _table.lock_row(rel, tids.pop(), mode)[0] == "ok"
            elif action == 6:
                tid = _table.insert_speculative(rel, value, 7)
                _table.finish_speculative(rel, tid, generator.random() < 0.5)
            elif tids:
                _table.prune_page(rel, 0, True)
        if generator.random() < 0.2:
            _xact.abort_current()
        else:
            _xact.commit_command()


def masked_pages():
    """All pages of the table, without what replay may leave different."""



    with transaction():
        rel = state["rel"]
        nblocks = _table.relation_blocks(rel)
        return [_redo.masked(_table.read_page(rel, block), block) for block in range(nblocks)]


def tuple_of(page, at):
    """Which tuple a byte of a page belongs to: (offset number, byte within)."""
    (lower,) = struct.unpack_from("<H", page, 12)
    for i, word in enumerate(struct.unpack_from(f"<{(lower - 24) // 4}I", page, 24)):
        if word >> 15 & 3 == 1 and word & 0x7FFF <= at < (word & 0x7FFF) + (word >> 17):
            return i + 1, at - (word & 0x7FFF)
    return None


def stress(seed, steps):
    """Random work among others who do the same: rows may be changed or gone when their turn comes; deadlocks abort."""
    from tusk.transaction import _xact

    generator = random.Random(seed)
    rel = state["rel"]
    outcomes = {}
    for step in range(steps):
        _xact.start_command()
        try:
            tids = [tid for tid, _ in _table.scan_rows(rel)]
            generator.shuffle(tids)
            for _ in range(generator.randrange(1, 4)):
                value = [generator.randrange(1000), text("v" * generator.randrange(200)), step]
                action = generator.randrange(9)
                if action == 0 or len(tids) < 5:
                    _table.insert_row(rel, value)
                elif action == 1:
                    outcome = _table.delete_row(rel, tids.pop())[0]
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                elif action in (2, 3, 4):
                    tid = tids.pop()
                    old = _table.fetch_row(rel, tid)
                    if old is None:
                        continue
                    same_key = [old[0], text(plain(old[1])[:150] + b"+"), step]
                    outcome = _table.update_row(rel, tid, same_key if action > 2 else value)[0]
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                elif action in (5, 6):
                    mode = generator.choice(["key share", "share", "no key update", "update"])
                    outcome = _table.lock_latest(rel, tids.pop(), mode, generator.choice(["block", "skip"]))[0]
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
                elif action == 7:
                    _table.prune_page(rel, generator.randrange(3) if len(tids) > 200 else 0, True)
                else:
                    _table.lock_row(rel, tids.pop(), "key share", "block", True)
        except Exception as error:
            if getattr(error, "sqlstate", "") != "40P01":
                raise
            outcomes["deadlock"] = outcomes.get("deadlock", 0) + 1
            _xact.abort_current()
            continue
        if generator.random() < 0.1:
            _xact.abort_current()
        else:
            _xact.commit_command()
    return outcomes
