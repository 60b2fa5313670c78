"""Latencies of pgbench's TPC-B through checkpoints, on Tusk and on PostgreSQL 18.

    python -m benchmarks.checkpoint_latency [--scale 10] [--seconds 50] [--clients 4]

Both servers run with fsync on and ``checkpoint_timeout`` 30 s, one after the other. In each run one checkpoint is
spread over the time (as the timer starts it) and one is immediate (CHECKPOINT, in the last tenth). The server's log
says when each began and ended, and pgbench's log how long each transaction took; the table shows the percentiles of
those that ended within a checkpoint and of all others. The goal is a p99 within checkpoints of at most twice
PostgreSQL's.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.__main__ import Real, programs
from tusk.cli.server import Server

SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "checkpoint_timeout": "30s", "max_wal_size": "8GB", "autovacuum": "off",
    "log_checkpoints": "on", "log_line_prefix": "@%n ", "shared_buffers": "128MB",
}  # fmt: skip


def client(server: Server, program: str, *words: str) -> str:
    """Run a client program against the server; its output."""
    done = server.run([programs() / program, *words], check=True, timeout=3600)
    return str(done.stdout)


def checkpoints(server: Server) -> list[tuple[str, float, float]]:
    """(cause, begin, end) of each checkpoint in the server's log, in seconds since 1970."""
    found: list[tuple[str, float, float]] = []
    cause, begin = "", 0.0
    for stamp, text in re.findall(r"^@([\d.]+) LOG:  checkpoint (.*)", server.log_file.read_text(), re.MULTILINE):
        if text.startswith("starting: "):
            cause, begin = text.removeprefix("starting: "), float(stamp)
        elif cause:
            found.append((cause, begin, float(stamp)))
            cause = ""
    return found


def transactions(directory: Path) -> list[tuple[float, float]]:
    """(end in seconds since 1970, latency in ms) of each transaction of pgbench's logs."""
    found: list[tuple[float, float]] = []
    for path in directory.glob("latency.*"):
        for line in path.read_text().splitlines():
            fields = line.split()
            found.append((int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1000))
    return sorted(found)


def percentiles(latencies: Iterable[float]) -> str:
    """p50, p99, p99.9 and the longest, in ms."""
    ordered = sorted(latencies)
    if not ordered:
        return "      (none)"
    p50, p99, p999 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99, 0.999))
    return f"{len(ordered):>8} {p50:>9.2f} {p99:>9.2f} {p999:>9.2f} {ordered[-1]:>9.2f}"


def p99(latencies: Iterable[float]) -> float:
    """The 99th percentile, 0 of nothing."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


def measure(kind: type[Server], name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run the workload on one server and print its rows; p99 by kind of moment."""
    with kind(settings=SETTINGS, initdb_options=["--no-locale", "-E", "UTF8"], timeout_s=600) as server:
        client(server, "pgbench", "-i", "-q", "-s", str(arguments.scale))
        client(server, "psql", "-X", "-c", "CHECKPOINT")
        begin = time.time()
        immediate = threading.Timer(arguments.seconds * 0.9, client, (server, "psql", "-X", "-c", "CHECKPOINT"))
        immediate.start()
        try:
            output = client(
                server, "pgbench", "-n", "-M", "prepared", "-c", str(arguments.clients), "-j", "1",
                "-T", str(arguments.seconds), "-l", "--log-prefix", str(server.home / "latency"),
            )  # fmt: skip
        finally:
            immediate.cancel()
            immediate.join()
        done = transactions(server.home)
        periods = [period for period in checkpoints(server) if period[2] > begin]
    rate = re.search(r"tps = ([\d.]+)", output)
    print(f"{name}: {float(rate[1]) if rate else 0:.0f} transactions a second")
    spread = [(a, b) for cause, a, b in periods if "immediate" not in cause and "fast" not in cause]
    at_once = [(a, b) for cause, a, b in periods if "immediate" in cause or "fast" in cause]
    groups = {
        "spread checkpoint": [ms for end, ms in done if any(a <= end <= b for a, b in spread)],
        "immediate checkpoint": [ms for end, ms in done if any(a <= end <= b for a, b in at_once)],
        "no checkpoint": [ms for end, ms in done if not any(a <= end <= b for _, a, b in periods)],
        "whole run": [ms for _, ms in done],
    }
    for group, latencies in groups.items():
        print(f"  {group:<22}{percentiles(latencies)}")
    return {group: p99(latencies) for group, latencies in groups.items()}


def main() -> None:
    """Measure both and print the ratios of p99."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=50)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    print(f"{'':<24}{'n':>8} {'p50 ms':>9} {'p99 ms':>9} {'p99.9 ms':>9} {'max ms':>9}")
    try:
        theirs = measure(Real, "PostgreSQL", arguments)
        ours = measure(Server, "Tusk", arguments)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}\n{error.stderr}") from error
    for group, value in ours.items():
        if theirs[group]:
            print(f"p99 {group}: {value / theirs[group]:.2f} times PostgreSQL's")


if __name__ == "__main__":
    main()
