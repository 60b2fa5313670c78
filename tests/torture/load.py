"""The load: clients that write down what the server acknowledged.

Every transaction inserts one row of `history` with the client's number and a running number, so that its presence after
a crash tells whether the transaction counts. Before COMMIT is sent the client writes ``C`` and what the transaction did
to its file, after the answer ``A`` (acknowledged) or ``R`` (refused). What has neither may have happened or not.
"""

import hashlib
import json
import random
import time

import psycopg

BRANCHES, TELLERS, ACCOUNTS = 2, 20, 2000
SCHEMA = f"""
CREATE TABLE branches (bid int PRIMARY KEY, balance bigint NOT NULL, filler text);
CREATE TABLE tellers (tid int PRIMARY KEY, bid int REFERENCES branches, balance bigint NOT NULL, filler text);
CREATE TABLE accounts (aid int PRIMARY KEY, bid int REFERENCES branches, balance bigint NOT NULL, filler text);
CREATE TABLE history (client int, seq int, kind text, aid int REFERENCES accounts, delta int NOT NULL, noise text,
                      PRIMARY KEY (client, seq));
CREATE INDEX history_noise ON history (noise, delta);
CREATE TABLE docs (client int, slot int, version int NOT NULL, key text UNIQUE, body text, PRIMARY KEY (client, slot));
CREATE INDEX docs_lower ON docs (lower(key)) WHERE version % 2 = 0;
CREATE TABLE uniq (k int PRIMARY KEY, client int, seq int);
CREATE TABLE tables (name text PRIMARY KEY, client int, seq int);
INSERT INTO branches SELECT i, 0, repeat('b', 80) FROM generate_series(1, {BRANCHES}) i;
INSERT INTO tellers SELECT i, i % {BRANCHES} + 1, 0, repeat('t', 80) FROM generate_series(1, {TELLERS}) i;
INSERT INTO accounts SELECT i, i % {BRANCHES} + 1, 0, repeat('a', 80) FROM generate_series(1, {ACCOUNTS}) i
"""
# What a client may be told when others are killed, lock each other out or take its key.
EXPECTED = {
    "40P01", "40001", "23505", "57P01", "57P02", "57P03", "08006", "08001", "08003", "57014", "55P03",
    "58P01",   # a file of a table that was dropped meanwhile
    "42P01", "XX000 cache",
}  # fmt: skip


def body_of(client, seq):
    """The text of a document: long enough for TOAST, of little or much variety."""
    rng = random.Random(client * 1_000_003 + seq)
    word = hashlib.md5(str(seq).encode()).hexdigest()
    if rng.random() < 0.3:
        return word * rng.randrange(1, 4)
    if rng.random() < 0.5:
        return word * rng.randrange(100, 400)
    return "".join(hashlib.md5(f"{seq} {i}".encode()).hexdigest() for i in range(rng.randrange(50, 300)))


class Client:
    """One client, in a process of its own; `run` until the event is set."""

    def __init__(self, number, url, path, seed):
        self.number = number
        self.url = url
        self.path = path
        self.rng = random.Random(seed)
        self.seq = 0
        self.session = None
        self.tables = []

    def run(self, stop):
        """Do transactions until told to stop."""
        with open(self.path, "a", buffering=1) as self.file:
            while not stop.is_set():
                try:
                    if self.session is None:
                        self.session = psycopg.connect(self.url, autocommit=True, connect_timeout=5)
                    self.transaction()
                except psycopg.Error as error:
                    self.recover(error)
            if self.session is not None:
                self.session.close()

    def recover(self, error):
        """After an error: note the unexpected, leave the transaction or the session."""
        state = error.sqlstate
        if state is not None and state not in EXPECTED:
            self.note("E", {"sqlstate": state, "message": str(error), "doing": self.doing})
        if self.session is None or self.session.closed or self.session.broken:
            self.session = None
            time.sleep(0.02)
            return
        try:
            self.session.execute("ROLLBACK")
        except psycopg.Error:
            self.session = None

    def note(self, letter, what):
        self.file.write(f"{letter} {json.dumps(what)}\n")

    def transaction(self):
        """One transaction of a random kind."""
        kinds = {"tpcb": 45, "savepoints": 12, "document": 16, "share": 10, "unique": 12, "table": 3, "delete": 2}
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        self.seq += 1
        self.doing = kind
        effects = {"seq": self.seq, "kind": kind}
        self.session.execute("BEGIN")
        getattr(self, kind)(effects)
        if self.rng.random() < 0.05:
            self.session.execute("ROLLBACK")
            return
        self.note("C", effects)
        try:
            done = self.session.execute("COMMIT").statusmessage
        except psycopg.Error:
            if self.session.closed or self.session.broken:
                raise                   # nobody knows
            self.note("R", self.seq)
            raise
        self.note("A" if done == "COMMIT" else "R", self.seq)

    def history(self, kind, aid=None, delta=0):
        noise = hashlib.md5(str(self.rng.random()).encode()).hexdigest()
        self.session.execute(
            "INSERT INTO history VALUES (%s, %s, %s, %s, %s, %s)", [self.number, self.seq, kind, aid, delta, noise]
        )

    def tpcb(self, effects):
        """As pgbench's: four tables, one sum."""
        delta = self.rng.randrange(-5000, 5000)
        aid, tid = self.rng.randrange(ACCOUNTS) + 1, self.rng.randrange(TELLERS) + 1
        run = self.session.execute
        run("UPDATE accounts SET balance = balance + %s WHERE aid = %s", [delta, aid])
        run("SELECT balance FROM accounts WHERE aid = %s", [aid])
        run("UPDATE tellers SET balance = balance + %s WHERE tid = %s", [delta, tid])
        run("UPDATE branches SET balance = balance + %s WHERE bid = %s", [delta, tid % BRANCHES + 1])
        self.history("tpcb", aid, delta)
        effects["delta"] = delta

    def savepoints(self, effects):
        """Work that is rolled back to savepoints around work that counts, deep."""
        run = self.session.execute
        delta = 0
        for depth in range(self.rng.randrange(1, 8)):
            run(f"SAVEPOINT s{depth}")
            part = self.rng.randrange(-100, 100)
            for table, column, top in (("accounts", "aid", ACCOUNTS), ("tellers", "tid", TELLERS)):
                run(f"UPDATE {table} SET balance = balance + %s WHERE {column} = %s",
                    [part, self.rng.randrange(top) + 1])
            run("UPDATE branches SET balance = balance + %s WHERE bid = %s", [part, self.rng.randrange(BRANCHES) + 1])
            run("INSERT INTO docs VALUES (%s, %s, 0, NULL, %s)", [-self.number, self.seq * 10 + depth, "gone" * 2000])
            choice = self.rng.random()
            if choice < 0.5:
                run(f"ROLLBACK TO s{depth}")
            else:
                delta += part
                run("DELETE FROM docs WHERE client = %s", [-self.number])
                if choice < 0.8:
                    run(f"RELEASE s{depth}")
        self.history("savepoints", None, delta)
        effects["delta"] = delta

    def document(self, effects):
        """Write a document into one of the client's slots."""
        slot = self.rng.randrange(40)
        self.session.execute(
            "INSERT INTO docs VALUES (%s, %s, %s, %s, %s) ON CONFLICT (client, slot) "
            "DO UPDATE SET version = excluded.version, key = excluded.key, body = excluded.body",
            [self.number, slot, self.seq, f"Key {self.number}/{slot}/{self.seq}", body_of(self.number, self.seq)],
        )
        self.history("document")
        effects["slot"] = slot

    def delete(self, effects):
        """Delete documents."""
        slot = self.rng.randrange(40)
        self.session.execute("DELETE FROM docs WHERE client = %s AND slot = %s", [self.number, slot])
        self.history("delete")
        effects["slot"] = slot

    def share(self, effects):
        """Locks of several sessions on the same rows: multixacts, with and without an update on top."""
        run = self.session.execute
        tid = self.rng.randrange(3) + 1
        strength = self.rng.choice(["SHARE", "KEY SHARE", "KEY SHARE", "NO KEY UPDATE"])
        run(f"SELECT * FROM tellers WHERE tid = %s FOR {strength}", [tid])
        if self.rng.random() < 0.3:
            run("UPDATE tellers SET filler = %s WHERE tid = %s", [self.rng.choice("abc") * 80, tid])
        self.history("share", self.rng.randrange(50) + 1)

    def unique(self, effects):
        """Insert and delete keys that others want too."""
        run = self.session.execute
        if self.rng.random() < 0.3:
            run("DELETE FROM uniq WHERE k BETWEEN %s AND %s", [low := self.rng.randrange(3000), low + 20])
        k = self.rng.randrange(3000)
        if self.rng.random() < 0.5:
            run("INSERT INTO uniq VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [k, self.number, self.seq])
        else:
            run("INSERT INTO uniq VALUES (%s, %s, %s)", [k, self.number, self.seq])
        self.history("unique")

    def table(self, effects):
        """Make or drop a table."""
        run = self.session.execute
        if self.tables and self.rng.random() < 0.6:
            name = self.tables[0]
            run(f"DROP TABLE {name}")
            run("DELETE FROM tables WHERE name = %s", [name])
            self.tables.pop(0)
        else:
            name = f"made_{self.number}_{self.seq}"
            run(f"CREATE TABLE {name} (a int PRIMARY KEY, b text)")
            run(f"INSERT INTO {name} SELECT i, repeat('z', i) FROM generate_series(1, 100) i")
            run(f"CREATE INDEX ON {name} (b)")
            run("INSERT INTO tables VALUES (%s, %s, %s)", [name, self.number, self.seq])
            self.tables.append(name)
        self.history("table")


class Upkeep(Client):
    """VACUUM, ANALYZE, CHECKPOINT, indexes that come and go."""

    def transaction(self):
        """One command."""
        command = self.rng.choice([
            "VACUUM history", "VACUUM docs", "VACUUM accounts", "VACUUM tellers", "VACUUM FREEZE uniq", "VACUUM uniq",
            "VACUUM pg_class", "VACUUM pg_attribute", "ANALYZE docs", "CHECKPOINT",
            "CREATE INDEX extra ON docs (version, key)", "DROP INDEX IF EXISTS extra", "VACUUM FREEZE tellers",
        ])  # fmt: skip
        self.doing = command
        try:
            self.session.execute(command)
        except psycopg.errors.DuplicateTable:
            self.session.execute("DROP INDEX IF EXISTS extra")
        time.sleep(self.rng.random() * 0.3)
