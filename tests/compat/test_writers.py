"""Who writes pages, and what is handed to the kernel early, by what pg_stat_io says."""

import psycopg
import pytest

_FILL = "INSERT INTO written SELECT g, repeat('x', 500) FROM generate_series(1, 12000) g"


def writebacks(session):
    session.execute("SELECT pg_stat_force_next_flush()")
    query = "SELECT sum(writes), sum(writebacks) FROM pg_stat_io WHERE backend_type = 'client backend'"
    return session.execute(query).fetchone()


@pytest.mark.parametrize("flush_after", [0, 8])
def test_backend_flush_after(new_server, flush_after):
    """What backends write to make room is handed to the kernel, where ``backend_flush_after`` asks for it."""
    server = new_server(settings={
        "shared_buffers": "1MB", "bgwriter_lru_maxpages": 0, "backend_flush_after": flush_after, "autovacuum": "off",
    })  # fmt: skip
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TABLE written(a int, b text)")
        session.execute(_FILL)
        session.execute("UPDATE written SET a = a + 1")
        written, handed = writebacks(session)
    assert written > 100
    assert handed >= 8 if flush_after else handed == 0
