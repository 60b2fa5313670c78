"""Definitions as SQL text, and analysis of user tables, against a real server whose catalogs we read."""

from pathlib import Path

import psycopg
import pytest
import real_server
import server_catalogs
from test_analyze import Oracle, analyzed

from tusk.errors import SqlError, errcode
from tusk.sql.analyze import analyze
from tusk.sql.deparse import functions  # noqa: F401  registers what is tested
from tusk.sql.nodes import read_node_tree, write_node_tree
from tusk.sql.parse import parse
from tusk.types.registry import find_function

HERE = Path(__file__).parent
OURS = "(select oid from pg_class where relnamespace = 'dp'::regnamespace)"
FAMILIES = [
    ("pg_get_viewdef", "select oid from pg_class where relkind = 'v' and oid < 16384"),
    ("pg_get_viewdef", f"select oid from pg_class where relkind = 'v' and oid in {OURS}"),
    ("pg_get_indexdef", f"select indexrelid from pg_index where indrelid in {OURS} or indrelid < 13000"),
    ("pg_get_constraintdef", "select oid from pg_constraint where connamespace = 'dp'::regnamespace"),
    ("pg_get_functiondef", "select oid from pg_proc where pronamespace = 'dp'::regnamespace and prokind <> 'a'"),
    ("pg_get_function_sqlbody", "select oid from pg_proc where pronamespace = 'dp'::regnamespace"),
    ("pg_get_statisticsobjdef", "select oid from pg_statistic_ext"),
    ("pg_get_statisticsobjdef_columns", "select oid from pg_statistic_ext"),
    ("pg_get_partkeydef", f"select oid from pg_class where oid in {OURS}"),
    ("pg_get_function_arguments", "select oid from pg_proc where oid::int % 7 = 0 or oid > 16384"),
    ("pg_get_function_result", "select oid from pg_proc where oid::int % 7 = 0 or oid > 16384"),
    ("pg_get_triggerdef", f"select oid from pg_trigger where tgrelid in {OURS} and not tgisinternal"),
    ("pg_get_ruledef", f"select oid from pg_rewrite where ev_class in {OURS} and rulename <> '_RETURN'"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = real_server.make(tmp_path_factory)
    running.sql((HERE / "deparse_objects.sql").read_text())
    yield running
    running.stop("immediate")


@pytest.fixture
def connection(server, monkeypatch):
    with psycopg.connect(f"host={server.home} user=postgres", autocommit=True) as opened:
        opened.execute("set search_path = dp, public")
        server_catalogs.use(monkeypatch, opened, "dp", "public")
        yield opened
        server_catalogs.stop()


@pytest.mark.parametrize(("function", "objects"), FAMILIES)
def test_definitions(connection, function, objects):
    define = find_function(function).call
    expected = connection.execute(f"select oid, {function}(oid) from ({objects}) as found(oid)").fetchall()
    assert expected
    assert [(oid, text) for oid, text in expected if define(oid) != text] == []


@pytest.mark.parametrize("pretty", [False, True])
def test_views_and_their_trees(connection, pretty):
    define = find_function("pg_get_viewdef_ext").call
    views = connection.execute(
        "select oid, pg_get_viewdef(oid, %s) from pg_class where relkind = 'v' and oid >= 16384", (pretty,)
    ).fetchall()
    for oid, text in views:
        assert define(oid, pretty) == text
        connection.execute("drop view if exists pg_temp.again")
        query = text.strip().rstrip(";")
        connection.execute(f"create temp view again as {query}")
        stored = connection.execute(
            "select ev_action::text from pg_rewrite where ev_class = 'again'::regclass"
        ).fetchone()[0]
        try:
            tree = analyze(parse(query)[0], query)
        except SqlError as error:
            # What the analyzer does not know yet can still be printed.
            assert error.sqlstate == errcode.FEATURE_NOT_SUPPORTED
            continue
        assert write_node_tree([tree]) == stored


def test_default_expressions(connection):
    define = find_function("pg_get_expr_ext").call
    for relid, tree, pretty, text in connection.execute(
        "select adrelid, adbin::text, pretty, pg_get_expr(adbin, adrelid, pretty)"
        " from pg_attrdef, (values (true), (false)) as v(pretty)"
    ).fetchall():
        assert define(tree, relid, pretty) == text
        assert write_node_tree(read_node_tree(tree)) == tree


def test_statements_on_user_tables(connection, server):
    oracle = Oracle(server)
    with oracle.connection:
        oracle.connection.execute("set search_path = dp, public")
        statements = (HERE / "analyze_user_statements.sql").read_text().splitlines()
        different = [statement for statement in statements if analyzed(statement) != oracle.analyzed(statement)]
    assert not different
