"""Each script beside this file runs on Tusk and on PostgreSQL 18: same rows, tags, columns, SQLSTATEs and messages."""

import os
from pathlib import Path

import psycopg
import pytest
from side_by_side import compare, marked_again

HERE = Path(__file__).parent
SCRIPTS = sorted(str(path.relative_to(HERE).with_suffix("")) for path in HERE.rglob("*.sql"))


@pytest.fixture
def urls(tusk, oracle, request):
    """URLs that lead into an empty schema of the script's own, on both servers."""
    schema = request.node.name.split("[")[1].rstrip("]").replace("/", "_").replace("-", "_")
    options = f"options=-csearch_path%3D{schema}"
    for server in (tusk, oracle):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
    yield f"{tusk.url}?{options}", f"{oracle.url}?{options}"
    for server in (tusk, oracle):
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = 'warning'")
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.mark.parametrize("protocol", ["simple", "extended"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_script(urls, script, protocol):
    tusk_url, oracle_url = urls
    file = HERE / f"{script}.sql"
    found = compare(file.read_text(), tusk_url, oracle_url, extended=protocol == "extended")
    if os.environ.get("TUSK_MARK"):
        # The marks are what docs/status.md lists: whoever sets this reads the difference before committing it.
        file.write_text(marked_again(file.read_text(), found))
    unknown = [f"{one.statement}\n      {one.kind}: {one.text}" for one in found if not one.is_known]
    assert not unknown, "\n" + "\n\n".join(unknown)
