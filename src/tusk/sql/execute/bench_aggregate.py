"""Time scans and aggregates of Tusk against PostgreSQL: ``python -m tusk.sql.execute.bench_aggregate URL URL``.

The first URL is Tusk's, the second PostgreSQL's; both get a table ``bench_accounts`` of a million rows like pgbench's
(dropped again). Printed: the best of five runs each, and the ratio.
"""

import sys
import time
from typing import Any

import psycopg

ROWS = 1_000_000
QUERIES = (
    "select count(*), sum(abalance), max(filler) from bench_accounts",
    "select count(*) from bench_accounts where abalance > 0 and bid <> 3",
    "select bid, count(*), sum(abalance), avg(abalance) from bench_accounts group by bid",
    "select sum(price * (1 - discount)) from bench_accounts",
    "select count(*) from bench_accounts a join bench_accounts b on a.aid = b.aid + 1",
    "select aid from bench_accounts order by abalance, aid limit 10",
)


def prepare(connection: Any) -> None:
    """Make and fill the table."""
    connection.execute("drop table if exists bench_accounts")
    connection.execute(
        "create table bench_accounts(aid int, bid int, abalance int, filler char(84), price numeric(12,2), "
        "discount numeric(4,2))"
    )
    with connection.cursor().copy("copy bench_accounts from stdin") as copy:
        for start in range(0, ROWS, 10_000):
            copy.write("".join(
                f"{i}\t{i % 10}\t{i * 7919 % 10007 - 5000}\tfiller\t{i % 100000}.{i % 100:02d}\t0.{i % 10}0\n"
                for i in range(start, start + 10_000)
            ))  # fmt: skip


def best_ms(connection: Any, query: str) -> float:
    """Milliseconds of the fastest of five runs."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        connection.execute(query).fetchall()
        best = min(best, time.perf_counter() - started)
    return best * 1000


if __name__ == "__main__":
    connections = [psycopg.connect(url, autocommit=True) for url in sys.argv[1:3]]
    for each in connections:
        prepare(each)
    for text in QUERIES:
        tusk, postgres = (best_ms(each, text) for each in connections)
        print(f"{tusk:9.1f} ms {postgres:9.1f} ms {postgres / tusk:6.2f}x  {text}")
    for each in connections:
        each.execute("drop table bench_accounts")
