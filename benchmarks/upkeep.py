"""VACUUM and ANALYZE beside a real PostgreSQL 18: a table with 10% dead rows and two indexes.

    python -m benchmarks.upkeep [--rows 1000000] [--runs 3]

Both servers take turns; the medians and their ratio go to standard output. 600000 rows are a table of 57 MB.
"""

from __future__ import annotations

import argparse
import statistics
import time

import psycopg

from benchmarks.__main__ import SETTINGS, Real
from tusk.cli.server import Server

PREPARE = [
    "DROP TABLE IF EXISTS big",
    "CREATE TABLE big (id int, a int, b text)",
    "INSERT INTO big SELECT g, (g * 7919::bigint) % 1000003, repeat('x', 60) FROM generate_series(1, {rows}) g",
    "CREATE INDEX big_id ON big (id)",
    "CREATE INDEX big_a ON big (a)",
    "DELETE FROM big WHERE id % 10 = 0",
    "CHECKPOINT",
]
MEASURED = ["VACUUM big", "ANALYZE big", "VACUUM FULL big"]


def measure(server: Server, rows: int) -> dict[str, float]:
    """Seconds of each command."""
    with psycopg.connect(server.url, autocommit=True) as session:
        for statement in PREPARE:
            session.execute(statement.format(rows=rows).encode())
        took = {}
        for statement in MEASURED:
            begun = time.monotonic()
            session.execute(statement.encode())
            took[statement] = time.monotonic() - begun
        return took


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {"postgresql": [], "tusk": []}
    options = {"settings": SETTINGS, "initdb_options": ["--no-locale", "-E", "UTF8"]}
    with Real(**options) as real, Server(**options) as ours:  # type: ignore[arg-type]  # the values are of many types
        for _ in range(arguments.runs):
            results["postgresql"].append(measure(real, arguments.rows))
            results["tusk"].append(measure(ours, arguments.rows))
    for statement in MEASURED:
        theirs, mine = (
            statistics.median(run[statement] for run in results[name]) for name in ("postgresql", "tusk")
        )
        print(f"{statement:16} PostgreSQL {theirs * 1000:8.1f} ms   Tusk {mine * 1000:8.1f} ms   {theirs / mine:.2f}x")


if __name__ == "__main__":
    main()
