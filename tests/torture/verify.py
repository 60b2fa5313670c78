"""What must hold after a crash: everything acknowledged is there, nothing that was refused, and the sums agree."""

import json

import psycopg

from tests.torture.load import body_of


class Damage(AssertionError):
    """Something was lost, or is there that must not be."""


def read_records(paths):
    """client -> {seq: (effects, fate)} with fate A, R or ?; and the unexpected errors."""
    records, errors = {}, []
    for number, path in paths.items():
        mine = records.setdefault(number, {})
        for line in path.read_text().splitlines() if path.exists() else []:
            letter, what = line[0], json.loads(line[2:])
            if letter == "C":
                mine[what["seq"]] = (what, "?")
            elif letter == "E":
                errors.append(f"client {number}: {what}")
            else:
                mine[what] = (mine[what][0], letter)
    return records, errors


def verify(url, records):
    """Raise Damage unless the database agrees with the records; returns the number of acknowledged transactions."""
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("SET enable_indexscan = off")
        session.execute("SET enable_indexonlyscan = off")
        session.execute("SET enable_bitmapscan = off")
        by_sequence = _state(session)
        for name in ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"):
            session.execute(f"SET {name} = on")
        session.execute("SET enable_seqscan = off")
        by_index = _state(session)
        for what, rows in by_sequence.items():
            if rows != by_index[what]:
                differing = sorted(set(rows) ^ set(by_index[what]))[:5]
                raise Damage(f"{what}: sequential and index scan differ, first: {differing}")
        acknowledged = _check_history(by_sequence["history"], records)
        _check_sums(session)
        _check_documents(session, by_sequence["docs"], by_sequence["history"], records)
        _check_tables(session)
    return acknowledged


def _state(session):
    """Rows of each table, by whatever path the settings leave; the conditions suit an index."""
    return {
        "history": session.execute(
            "SELECT client, seq, kind, delta, noise FROM history WHERE client > 0 ORDER BY client, seq").fetchall(),
        "noise": session.execute("SELECT noise, delta FROM history WHERE noise > '' ORDER BY noise, delta").fetchall(),
        "docs": session.execute(
            "SELECT client, slot, version, key, md5(body) FROM docs WHERE client > -1000000 ORDER BY client, slot"
        ).fetchall(),
        "lower": session.execute(
            "SELECT lower(key), slot FROM docs WHERE version % 2 = 0 AND lower(key) > '' ORDER BY 1, 2").fetchall(),
        "key": session.execute("SELECT key, slot FROM docs WHERE key > '' ORDER BY key").fetchall(),
        "uniq": session.execute("SELECT k, client, seq FROM uniq WHERE k >= 0 ORDER BY k").fetchall(),
        "accounts": session.execute("SELECT aid, balance FROM accounts WHERE aid > 0 ORDER BY aid").fetchall(),
        "tellers": session.execute("SELECT tid, balance FROM tellers WHERE tid > 0 ORDER BY tid").fetchall(),
        "tables": session.execute("SELECT name FROM tables WHERE name > '' ORDER BY name").fetchall(),
    }  # fmt: skip


def _check_history(rows, records):
    there = {(client, seq): (kind, delta) for client, seq, kind, delta, _ in rows}
    acknowledged = 0
    for client, mine in records.items():
        for seq, (effects, fate) in mine.items():
            row = there.pop((client, seq), None)
            if fate == "A":
                acknowledged += 1
                if row is None:
                    raise Damage(f"acknowledged transaction {seq} of client {client} is lost: {effects}")
            if fate == "R" and row is not None:
                raise Damage(f"refused transaction {seq} of client {client} is there: {effects}")
            if row is not None and row != (effects["kind"], effects.get("delta", 0)):
                raise Damage(f"transaction {seq} of client {client} left {row} instead of {effects}")
    if there:
        raise Damage(f"{len(there)} transactions that never committed are there, first: {next(iter(there.items()))}")
    return acknowledged


def _check_sums(session):
    sums = {table: int(session.execute(f"SELECT coalesce(sum({column}), 0) FROM {table}").fetchone()[0])
            for table, column in (("accounts", "balance"), ("tellers", "balance"), ("branches", "balance"),
                                  ("history", "delta"))}  # fmt: skip
    if len(set(sums.values())) != 1:
        raise Damage(f"sums differ: {sums}")


def _check_documents(session, docs, history, records):
    """Each slot holds what the last transaction of the client that is there wrote into it."""
    import hashlib

    there = {(client, seq) for client, seq, *_ in history}
    expected = {}
    for client, mine in records.items():
        for seq in sorted(mine):
            effects = mine[seq][0]
            if (client, seq) not in there or "slot" not in effects:
                continue
            if effects["kind"] == "document":
                expected[client, effects["slot"]] = seq
            else:
                expected.pop((client, effects["slot"]), None)
    found = {(client, slot): version for client, slot, version, _, _ in docs}
    if found != expected:
        differing = sorted(set(found.items()) ^ set(expected.items()))[:5]
        raise Damage(f"documents differ from what was written, first: {differing}")
    for client, slot, version, key, digest in docs:
        if key != f"Key {client}/{slot}/{version}":
            raise Damage(f"document {client}/{slot} has version {version} but key {key}")
        if digest != hashlib.md5(body_of(client, version).encode()).hexdigest():
            raise Damage(f"the text of document {client}/{slot} version {version} is not what was written")


def _check_tables(session):
    """The tables that were made and not dropped are there, whole, and no others."""
    listed = {name for (name,) in session.execute("SELECT name FROM tables")}
    made = {name for (name,) in session.execute("SELECT relname FROM pg_class WHERE relname ~ '^made_[0-9_]*$'")}
    if listed != made:
        raise Damage(f"tables differ from what was made: {sorted(listed ^ made)[:5]}")
    for name in sorted(made):
        for setting in ("on", "off"):
            session.execute(f"SET enable_seqscan = {setting}")
            row = session.execute(f"SELECT count(*), sum(a), sum(length(b)) FROM {name} WHERE a > 0").fetchone()
            if row != (100, 5050, 5050):
                raise Damage(f"table {name} holds {row}")
