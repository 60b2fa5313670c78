"""The shared entries, the file they are saved in, and progress."""

import os
import random

from tusk.stats import progress, statsfile, tables

DATABASE, RELATION, FUNCTION, WAL = 1, 2, 3, 12


def test_entries_are_found_changed_and_dropped(store):
    assert store.read_entry(RELATION, 5, 100) is None
    assert not store.change_entry(RELATION, 5, 100, {0: 1}, {}, False)
    assert store.change_entry(RELATION, 5, 100, {0: 1, 3: 7}, {9: 4})
    entry = tables.fetch_table(5, 100)
    assert (entry.numscans, entry.tuples_fetched, entry.live_tuples) == (1, 7, 4)
    assert store.drop_entry(RELATION, 5, 100)
    assert not store.drop_entry(RELATION, 5, 100)
    assert store.read_entry(RELATION, 5, 100) is None


def test_a_reused_entry_begins_at_zero(store):
    store.change_entry(RELATION, 5, 100, {0: 1}, {})
    used = store.memory_usage()[1]
    store.drop_entry(RELATION, 5, 100)
    store.change_entry(RELATION, 5, 101, {1: 1}, {})
    assert store.memory_usage()[1] == used
    assert store.read_entry(RELATION, 5, 101)[:2] == (0, 1)


def test_the_table_grows(store):
    keys = [(random.Random(i).choice((RELATION, FUNCTION)), i % 7, i) for i in range(1, 20001)]
    for kind, database, oid in keys:
        store.change_entry(kind, database, oid, {0: oid}, {})
    for kind, database, oid in keys:
        assert store.read_entry(kind, database, oid)[0] == oid
    assert len(store.read_all()) == len(keys) + 1       # and this process's own
    assert store.drop_database(3) == sum(database == 3 for _, database, _ in keys)
    assert store.read_entry(*keys[0]) is not None


def test_vacuum_and_analyze_report(store):
    started = store.now()
    store.change_entry(RELATION, 5, 100, {}, {11: 50, 12: 60})
    tables.report_vacuum(5, 100, 1000, 20, started)
    tables.report_analyze(5, 100, 990, 25, started, reset_counter=False)
    entry = tables.fetch_table(5, 100)
    assert (entry.live_tuples, entry.dead_tuples, entry.mod_since_analyze, entry.ins_since_vacuum) == (990, 25, 50, 0)
    assert (entry.vacuum_count, entry.analyze_count, entry.autovacuum_count) == (1, 1, 0)
    tables.report_analyze(5, 100, 990, 25, started, is_autovacuum=True)
    assert tables.fetch_table(5, 100).mod_since_analyze == 0
    assert tables.fetch_table(5, 100).autoanalyze_count == 1
    tables.report_autovacuum_visit(5)
    assert tables.last_autovacuum_visit(5) >= started


def test_the_file_brings_everything_back(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("pg_stat")
    for oid in range(1, 50):
        store.change_entry(RELATION, oid % 3, oid, {5: oid}, {})
    store.change_entry(DATABASE, 7, 0, {0: 12}, {})
    store.add_fixed(WAL, [(0, 3), (2, 999)])
    entries = {key: value for key, value in store.read_all().items() if key[0] != 6}
    fixed = store.read_fixed(WAL)
    statsfile.write()
    assert os.listdir("pg_stat") == ["pgstat.stat"]
    store.drop_all()
    assert store.read_fixed(WAL) != fixed
    statsfile.restore()
    assert store.read_all() == entries
    assert store.read_fixed(WAL) == fixed
    assert os.listdir("pg_stat") == []


def test_a_damaged_file_is_given_up(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    os.mkdir("pg_stat")
    store.change_entry(DATABASE, 7, 0, {0: 12}, {})
    statsfile.write()
    data = (tmp_path / "pg_stat/pgstat.stat").read_bytes()
    for damaged in (data[:-1], data[:100], b"", b"\0" + data[1:], data + b"E", data.replace(b"S", b"?", 1)):
        (tmp_path / "pg_stat/pgstat.stat").write_bytes(damaged)
        statsfile.restore()
        assert store.read_all() == {}


def test_progress(store):
    from tusk.memory import _process

    me = _process.my_proc_number()
    assert progress.read_progress(me) is None
    progress.update_param(1, 5)
    assert progress.read_progress(me) is None
    progress.start_command(progress.COMMAND_VACUUM, 77)
    progress.update_multi({progress.Vacuum.PHASE: 2, progress.Vacuum.TOTAL_HEAP_BLKS: 10})
    progress.incr_param(progress.Vacuum.HEAP_BLKS_SCANNED, 3)
    command, relation, params = progress.read_progress(me)
    assert (command, relation, params[:3]) == (progress.COMMAND_VACUUM, 77, (2, 10, 3))
    progress.end_command()
    assert progress.read_progress(me) is None
