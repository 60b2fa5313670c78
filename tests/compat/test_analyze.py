"""The analyzer against a real server: query trees of statements, of system views, and stored trees read and written.

A statement of analyze_statements.sql is prepared on the server with ``debug_print_parse``, which shows the analysed
tree with locations; ours must be the same text. Where the server refuses a statement, SQLSTATE, message, position,
detail and hint must agree.
"""

import re
from pathlib import Path

import psycopg
import pytest
import real_server

from tusk.errors import SqlError
from tusk.sql.analyze import analyze
from tusk.sql.nodes import read_node_tree, write_node_tree
from tusk.sql.parse import parse

STATEMENTS = (Path(__file__).parent / "analyze_statements.sql").read_text().splitlines()
FATAL_ERROR = 7


class Oracle:
    """One session that shows the parse tree of what it prepares."""

    def __init__(self, server):
        self.connection = psycopg.connect(f"host={server.home} user=postgres", autocommit=True)
        self.trees = []
        self.connection.add_notice_handler(self._notice)
        for setting in ("debug_print_parse=on", "debug_pretty_print=off", "client_min_messages=log"):
            self.connection.execute(f"set {setting}")

    def _notice(self, diagnostic):
        if (diagnostic.message_primary or "").startswith("parse tree"):
            self.trees.append(diagnostic.message_detail)

    def analyzed(self, statement):
        self.trees.clear()
        result = self.connection.pgconn.prepare(b"", statement.encode())
        if result.status == FATAL_ERROR:
            return tuple((result.error_field(ord(field)) or b"").decode() for field in "CMPDH")
        return re.sub(r"\s", "", self.trees[-1])


def analyzed(statement):
    """Our tree without white space, or the fields of our error."""
    try:
        return re.sub(r"\s", "", write_node_tree(analyze(parse(statement)[0], statement, [], True), True))
    except SqlError as error:
        return (error.sqlstate, error.message, str(error.position or ""), error.detail or "", error.hint or "")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = real_server.make(tmp_path_factory)
    yield running
    running.stop("immediate")


def test_statements(server):
    oracle = Oracle(server)
    with oracle.connection:
        different = [statement for statement in STATEMENTS if analyzed(statement) != oracle.analyzed(statement)]
    assert not different


def test_system_views(server):
    with psycopg.connect(f"host={server.home} user=postgres", autocommit=True) as connection:
        assert not different_views(connection)


def different_views(connection):
    """The system views whose definition we analyse to another tree than the server."""
    views = connection.execute(
        "select relname, oid, pg_get_viewdef(oid) from pg_class where relkind = 'v' and oid < 16384"
        " and relname not in ('pg_stats', 'pg_stats_ext_exprs')"
    ).fetchall()
    assert len(views) > 130
    different = []
    for name, oid, definition in views:
        definition = definition.strip().rstrip(";")
        connection.execute(f"create view v{oid} as {definition}")
        stored = connection.execute(
            "select ev_action::text from pg_rewrite where ev_class = %s::regclass", (f"v{oid}",)
        ).fetchone()[0]
        if write_node_tree([analyze(parse(definition)[0], definition)]) != stored:
            different.append(name)
    return different


@pytest.mark.parametrize(
    ("catalog", "column"),
    [("pg_rewrite", "ev_action"), ("pg_rewrite", "ev_qual"), ("pg_proc", "proargdefaults"),
     ("pg_proc", "prosqlbody"), ("pg_constraint", "conbin"), ("pg_attrdef", "adbin"), ("pg_index", "indpred")],
)  # fmt: skip
def test_stored_trees(server, catalog, column):
    texts = server.sql(f"select {column}::text from {catalog} where {column} is not null")
    assert all(write_node_tree(read_node_tree(text)) == text for (text,) in texts)
