"""Kill any process of the server at any time under load, again and again, and see that nothing is lost.

    python -m tests.torture [--minutes 10] [--seed N] [--clients 6] [--keep]

In each round clients work while processes are killed with SIGKILL: backends, checkpointer, background writer, WAL
writer, whatever else there is, the postmaster, and the startup process while it replays. Then everything is checked by
SQL (verify.py), and every few rounds the server is stopped and ``tusk check`` reads its directory. At the end a real
PostgreSQL 18 starts on the directory and must see the same. Exit status 1, with the directory kept, when anything is
wrong.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))
from servers import oracle_programs

from tests.torture import load, verify
from tusk.cli.server import Server, ServerError

SETTINGS = {
    "fsync": "off",                 # no power is cut here, and the disk would be all that is measured
    "shared_buffers": "4MB",
    "max_wal_size": "80MB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "30s",
    "bgwriter_delay": "10ms",
    "wal_writer_delay": "10ms",
    "deadlock_timeout": "50ms",
    "max_connections": "30",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
}
SIGNS_OF_BUGS = re.compile(
    r"PANIC|Traceback \(most|signal (?:6|7|8|11)\b|TRAP:|XX000|XX001|XX002|invalid page|leak|could not (?:read|open)|"
    r"unexpected|corrupt"
)
HARMLESS = re.compile(
    "terminated by signal 9|unexpected EOF|because of unexpected SIGQUIT|unexpected postmaster exit|immediate shutdown"
)


class Torture:
    """One run."""

    def __init__(self, options):
        self.rng = random.Random(options.seed)
        self.options = options
        self.home = Path(tempfile.mkdtemp(prefix="tusk-torture-"))
        self.home.chmod(0o755)
        data = self.home / "data"
        data.mkdir()
        self.server = Server(data, settings=SETTINGS, timeout_s=120)
        if os.geteuid() == 0:
            shutil.chown(data, self.server._user.pw_name, self.server._user.pw_name)
        data.chmod(0o700)
        self.records = {}
        self.next_client = 1
        self.kills = {}
        self.log_seen = 0

    def say(self, text):
        """A line for who watches."""
        print(f"{time.monotonic() - self.started:7.1f} s  {text}", flush=True)

    def run(self):
        """Rounds until the time is over; returns the exit status."""
        self.started = time.monotonic()
        self.server.start()
        with psycopg.connect(self.server.url, autocommit=True) as session:
            for statement in load.SCHEMA.split(";\n"):
                session.execute(statement)
        number = 0
        while time.monotonic() - self.started < self.options.minutes * 60 or number == 0:
            number += 1
            self.round()
            acknowledged = self.verify()
            self.say(f"round {number}: {acknowledged} acknowledged transactions are there, kills: {self.kills}")
            if number % self.options.check_every == 0:
                self.offline_check()
                self.server.start()
        self.offline_check()
        self.real_server()
        self.say(f"done: {sum(self.kills.values())} kills in {number} rounds")
        return 0

    # A round

    def round(self):
        """Load and kills."""
        context = multiprocessing.get_context("fork")
        stop = context.Event()
        clients = []
        for i in range(self.options.clients + 1):
            number = self.next_client
            self.next_client += 1
            path = self.home / f"client.{number}"
            kind = load.Upkeep if i == self.options.clients else load.Client
            self.records[number] = path
            client = kind(number, self.server.url, path, self.rng.random())
            process = context.Process(target=client.run, args=(stop,), daemon=True)
            process.start()
            clients.append(process)
        end = time.monotonic() + self.options.round_seconds
        while time.monotonic() < end or sum(self.kills.values()) < self.options.kills:
            time.sleep(self.rng.choice((0.1, 0.5, 1.0, 2.5)) * self.rng.random())
            self.kill_one()
            self.wait_for_server()
        stop.set()
        for process in clients:
            process.join(60)
            if process.is_alive():
                raise verify.Damage(f"client {process.pid} hangs")

    def children(self):
        """title -> pids of the postmaster's children."""
        found = {}
        try:
            processes = psutil.Process(self.server.pid).children()
        except psutil.NoSuchProcess:
            return found
        for process in processes:
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:
                continue
            kind = re.sub(r"^postgres: ", "", title)
            kind = "backend" if kind.startswith("postgres postgres") else re.sub(r" \d.*| recovering.*", "", kind)
            found.setdefault(kind.strip(), []).append(process.pid)
        return found

    def kill_one(self):
        """Kill a process of a random kind, or the postmaster with all that follows from it."""
        children = self.children()
        kinds = sorted(set(children) & {"backend", "checkpointer", "background writer", "walwriter"}
                       | {kind for kind in children if kind.startswith("autovacuum")})  # fmt: skip
        kind = self.rng.choice([*kinds, "postmaster", "startup", "startup"])
        try:
            if kind == "postmaster":
                self.kill_postmaster()
            elif kind == "startup":
                self.kill_startup()
            elif children.get(kind):
                os.kill(self.rng.choice(children[kind]), signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[kind] = self.kills.get(kind, 0) + 1

    def kill_postmaster(self):
        """The postmaster dies; its children must leave by themselves."""
        pids = [pid for some in self.children().values() for pid in some]
        self.server.kill()
        deadline = time.monotonic() + 20
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
            if time.monotonic() > deadline:
                raise verify.Damage("children outlive the postmaster")
            time.sleep(0.01)

    def kill_startup(self):
        """A crash, and then the process that recovers from it is killed too: the postmaster gives up."""
        children = self.children()
        victims = children.get("walwriter") or children.get("checkpointer")
        if not victims:
            return
        os.kill(victims[0], signal.SIGKILL)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            pids = self.children().get("startup")
            if pids:
                time.sleep(self.rng.random() * 0.2)
                os.kill(pids[0], signal.SIGKILL)
                return
            time.sleep(0.002)

    def wait_for_server(self):
        """Until it accepts connections again; started anew where it has ended."""
        deadline = time.monotonic() + 60
        while True:
            try:
                if not self.server.is_running:
                    self.look_at_log()
                    self.server.kill()      # reaps it
                    self.server.start()
                    self.log_seen = 0
                psycopg.connect(self.server.url, connect_timeout=10).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    # Checks

    def look_at_log(self):
        """Raise if the log has something that no kill explains."""
        text = self.server.log_tail(100_000_000)
        new, self.log_seen = text[self.log_seen :], len(text)
        lines, bad = new.splitlines(), []
        for at, line in enumerate(lines):
            if SIGNS_OF_BUGS.search(line) and not HARMLESS.search(line):
                bad += lines[at : at + 30] if line.startswith("Traceback") else lines[at : at + 2]
        if bad:
            raise verify.Damage("in the log:\n" + "\n".join(bad[:60]))

    def verify(self):
        """By SQL."""
        self.look_at_log()
        records, errors = verify.read_records(self.records)
        if errors:
            raise verify.Damage("unexpected errors:\n" + "\n".join(errors[:20]))
        return verify.verify(self.server.url, records)

    def offline_check(self):
        """Stop, and read the files."""
        self.server.stop("fast")
        self.look_at_log()
        self.log_seen = 0
        done = self.server.run([sys.executable, "-m", "tusk.cli", "check", "-D", self.server.data], check=False)
        self.say(f"tusk check: {done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr}")
        if done.returncode:
            raise verify.Damage(f"tusk check found:\n{done.stdout[:6000]}{done.stderr}")

    def real_server(self):
        """PostgreSQL itself starts on the directory and agrees."""
        self.server.postgres_command = [str(oracle_programs() / "postgres")]
        self.server.start()
        try:
            records, _ = verify.read_records(self.records)
            verify.verify(self.server.url, records)
            with psycopg.connect(self.server.url, autocommit=True) as session:
                session.execute("VACUUM (DISABLE_PAGE_SKIPPING)")
                session.execute("REINDEX DATABASE")
            verify.verify(self.server.url, records)
            log = self.server.log_tail(1_000_000)
            bad = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|PANIC", line)]
            if bad:
                raise verify.Damage("PostgreSQL complains:\n" + "\n".join(bad[:20]))
        finally:
            self.server.stop("fast")
        self.say("PostgreSQL 18 agrees")


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--round-seconds", type=float, default=20)
    parser.add_argument("--kills", type=int, default=0, help="kill at least so many processes in the first round")
    parser.add_argument("--check-every", type=int, default=2, metavar="ROUNDS")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--keep", action="store_true", help="keep the directory in any case")
    options = parser.parse_args()
    torture = Torture(options)
    print(f"seed {options.seed}, directory {torture.home}", flush=True)
    status = 1
    try:
        status = torture.run()
    except (verify.Damage, psycopg.Error, ServerError) as damage:
        shutil.copy(torture.server.log_file, torture.home / "log")
        torture.server.stop("immediate")
        print(f"FAILED (seed {options.seed}, directory and log in {torture.home}):\n{damage}", flush=True)
    finally:
        if status == 0 and not options.keep:
            torture.server.close()
            shutil.rmtree(torture.home, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
