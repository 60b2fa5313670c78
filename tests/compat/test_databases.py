"""DROP DATABASE and crashes: a database whose files went but whose DROP did not commit says so."""

import psycopg
import pytest

from tusk.cli.server import Server


def test_a_half_dropped_database_can_only_be_dropped():
    with Server() as server, psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE DATABASE half")
        session.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
        with pytest.raises(psycopg.OperationalError, match='cannot connect to invalid database "half"'):
            psycopg.connect(server.url, dbname="half")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot use invalid database"):
            session.execute("CREATE DATABASE whole TEMPLATE half")
        session.execute("DROP DATABASE half")
        assert session.execute("SELECT count(*) FROM pg_database WHERE datname = 'half'").fetchone() == (0,)
