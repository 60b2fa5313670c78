"""The state machine: blocks, savepoints, chains, ids, visibility between processes."""

import pytest
from _cluster import Backend, in_cluster


def outcome(function, *args):
    """(sqlstate, message) of an error, or the result."""
    from tusk.errors import SqlError

    try:
        return function(*args)
    except SqlError as error:
        return (error.sqlstate, error.message)


def statement(function=None, *args):
    """One statement between the brackets, as the command loop does it."""
    from tusk.transaction import _xact

    _xact.start_command()
    try:
        result = function(*args) if function else None
    except BaseException:
        _xact.abort_current()
        raise
    _xact.commit_command()
    return result


def test_commit_and_abort(tmp_path):
    def run():
        from tusk.transaction import _clog, _xact

        codes = [_xact.status_code()]
        statement(_xact.begin_transaction_block)
        codes.append(_xact.status_code())
        xid = statement(_xact.current_transaction_id)
        statement(_xact.end_transaction_block)
        codes.append(_xact.status_code())
        statement(_xact.begin_transaction_block)
        aborted = statement(_xact.current_transaction_id)
        with pytest.raises(ZeroDivisionError):
            statement(lambda: 1 // 0)
        codes.append(_xact.status_code())
        assert statement(_xact.end_transaction_block) is False
        codes.append(_xact.status_code())
        assert (_clog.status(xid), _clog.status(aborted)) == (1, 2)
        return codes

    assert in_cluster(tmp_path / "data", run) == ["I", "T", "I", "E", "I"]


def test_savepoints(tmp_path):
    def run():
        from tusk.transaction import _clog, _subtrans, _xact

        sp = _xact.define_savepoint
        statement(_xact.begin_transaction_block)
        statement(sp, "a")
        inner = statement(_xact.current_transaction_id)
        top = statement(_xact.top_transaction_id)
        assert _subtrans.parent_of(inner) == top
        statement(sp, "b")
        deep = statement(_xact.current_transaction_id)
        statement(_xact.rollback_to_savepoint, "b")
        assert _clog.status(deep) == 2
        assert _xact.nest_level() == 3
        again = statement(_xact.current_transaction_id)
        assert outcome(statement, _xact.release_savepoint, "nope") == ("3B001", 'savepoint "nope" does not exist')
        assert _xact.status_code() == "E"
        statement(_xact.rollback_to_savepoint, "a")
        assert _xact.status_code() == "T"
        assert _clog.status(again) == 2
        assert _clog.status(inner) == 2
        last = statement(_xact.current_transaction_id)
        statement(sp, "c")
        child = statement(_xact.current_transaction_id)
        statement(_xact.release_savepoint, "c")
        assert _xact.is_current(child)
        assert statement(_xact.end_transaction_block) is True
        assert [_clog.status(xid) for xid in (top, last, child)] == [1, 1, 1]
        assert outcome(statement, sp, "x") == ("25P01", "SAVEPOINT can only be used in transaction blocks")

    in_cluster(tmp_path / "data", run)


def test_chain_and_characteristics(tmp_path):
    def run():
        from tusk.config import Action, Context, Source, set_option, show
        from tusk.transaction import _snapshot, _xact

        def set_local(name, value):
            return set_option(name, value, Context.USERSET, Source.SESSION, Action.LOCAL)

        statement(_xact.begin_transaction_block)
        statement(set_local, "transaction_isolation", "repeatable read")
        statement(set_local, "transaction_read_only", "on")
        statement(_xact.end_transaction_block, True)
        assert _xact.block_state() == "INPROGRESS"
        assert show("transaction_isolation") == "repeatable read"
        assert _xact.is_read_only()
        statement(_snapshot.transaction_snapshot)
        assert outcome(statement, set_local, "transaction_isolation", "read committed") == (
            "25001", "SET TRANSACTION ISOLATION LEVEL must be called before any query")  # fmt: skip
        statement(_xact.user_abort_transaction_block)
        assert _xact.block_state() == "DEFAULT"
        statement(_xact.begin_transaction_block)
        assert show("transaction_isolation") == "read committed"
        assert outcome(statement, set_local, "transaction_isolation", "serializable")[0] == "0A000"
        statement(_xact.user_abort_transaction_block)
        assert outcome(statement, _xact.end_transaction_block, True) == (
            "25P01", "COMMIT AND CHAIN can only be used in transaction blocks")  # fmt: skip

    in_cluster(tmp_path / "data", run)


def test_implicit_block_and_rules(tmp_path):
    def run():
        from tusk.transaction import _clog, _xact

        _xact.start_command()
        _xact.begin_implicit_transaction_block()
        first = _xact.current_transaction_id()
        _xact.commit_command()
        _xact.start_command()
        assert _xact.current_transaction_id() == first
        assert outcome(_xact.prevent_in_transaction_block, True, "VACUUM") == (
            "25001", "VACUUM cannot run inside a transaction block")  # fmt: skip
        _xact.end_implicit_transaction_block()
        _xact.commit_command()
        assert _clog.status(first) == 1
        _xact.start_command()
        _xact.prevent_in_transaction_block(True, "VACUUM")
        assert _xact.needs_immediate_commit()
        assert outcome(_xact.require_transaction_block, True, "LOCK TABLE") == (
            "25P01", "LOCK TABLE can only be used in transaction blocks")  # fmt: skip
        _xact.commit_command()
        assert outcome(_xact.prepare_transaction_block, "x")[0] == "0A000"

    in_cluster(tmp_path / "data", run)


def test_many_subtransactions(tmp_path):
    """More children than a slot can list: others must look into pg_subtrans."""

    def run():
        from tusk.transaction import _clog, _xact

        other = Backend()
        statement(_xact.begin_transaction_block)
        children = []
        for i in range(100):
            statement(_xact.define_savepoint, f"s{i}")
            children.append(statement(_xact.current_transaction_id))
            statement(_xact.release_savepoint, f"s{i}")
        assert all(other.call(running, xid) for xid in (*children, children[0] - 1))
        assert other.call(snapshot_says, children[-1]) is True
        assert _xact.committed_children() == children
        statement(_xact.end_transaction_block)
        assert not any(other.call(running, xid) for xid in children)
        assert {_clog.status(xid) for xid in children} == {1}
        assert other.call(snapshot_says, children[-1]) is False
        other.close()

    in_cluster(tmp_path / "data", run)


def running(xid):
    from tusk.transaction import _procarray

    return _procarray.is_in_progress(xid)


def snapshot_says(xid):
    from tusk.transaction import _snapshot

    return statement(lambda: _snapshot.xid_in_snapshot(xid, _snapshot.transaction_snapshot()))


def begin(level="read committed"):
    from tusk.config import Action, Context, Source, set_option
    from tusk.transaction import _xact

    statement(_xact.begin_transaction_block)
    statement(set_option, "transaction_isolation", level, Context.USERSET, Source.SESSION, Action.LOCAL)


def end():
    from tusk.transaction import _xact

    statement(_xact.end_transaction_block)


def take_xid():
    from tusk.transaction import _xact

    return statement(_xact.current_transaction_id)


def sees_running():
    from tusk.transaction import _snapshot

    def look():
        _snapshot.push_active(_snapshot.transaction_snapshot())
        snapshot = _snapshot.active_snapshot()
        _snapshot.pop_active()
        return snapshot.xmin, snapshot.xmax, sorted(snapshot.running)

    return statement(look)


def my_xmin():
    import os

    from tusk.transaction import _procarray

    return next(row[3] for row in _procarray.processes() if row[1] == os.getpid())


def test_snapshots_by_isolation(tmp_path):
    def run():
        from tusk.transaction import _procarray

        writer, reader = Backend(), Backend()
        writer.call(begin)
        xid = writer.call(take_xid)
        reader.call(begin, "repeatable read")
        assert reader.call(sees_running) == (xid, xid, [])
        assert reader.call(my_xmin) == xid
        writer.call(end)
        assert reader.call(sees_running) == (xid, xid, [])
        begin()
        assert sees_running() == (xid + 1, xid + 1, [])
        assert _procarray.oldest_non_removable(2) == xid
        reader.call(end)
        assert reader.call(my_xmin) == 0
        assert _procarray.oldest_non_removable(2) == xid + 1
        end()
        writer.close()
        reader.close()

    in_cluster(tmp_path / "data", run)


def test_limits(tmp_path):
    def run():
        from tusk.transaction import _state, _varsup, _xact

        _state.set_under_postmaster(True)
        limits = _varsup.limits()
        _varsup.set_next_full_transaction_id(limits["stop_limit"])
        got = outcome(statement, _xact.current_transaction_id)
        assert got == ("54000", "database is not accepting commands that assign new transaction IDs to avoid "
                       "wraparound data loss in database with OID 1")  # fmt: skip
        _varsup.set_next_full_transaction_id(limits["next_xid"])
        oids = [statement(_varsup.new_object_id) for _ in range(3)]
        assert oids == [16384, 16385, 16386]

    in_cluster(tmp_path / "data", run)


def test_callbacks_and_command_ids(tmp_path):
    def run():
        from tusk.transaction import _combocid, _xact

        seen = []
        for event in range(10):
            _xact.on_transaction(event, lambda event=event: seen.append(event))
        statement(_xact.begin_transaction_block)
        assert _xact.current_command_id(False) == 0
        statement(_xact.current_command_id, True)
        assert _xact.current_command_id(False) == 1
        combo = _combocid.combo_id(0, 1)
        assert (_combocid.real_cmin(combo), _combocid.real_cmax(combo)) == (0, 1)
        assert _combocid.combo_id(0, 1) == combo
        statement(_xact.end_transaction_block)
        assert seen == [0, 1, 2, 3, 4, 5]
        seen.clear()
        statement(_xact.begin_transaction_block)
        statement(_xact.user_abort_transaction_block)
        assert seen == [0, 6, 7, 8, 9]

    in_cluster(tmp_path / "data", run)
