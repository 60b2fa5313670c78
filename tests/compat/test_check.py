"""``tusk check``: what Tusk and PostgreSQL wrote passes, and each check finds the fault it is there for."""

import contextlib
import os
import pickle
import struct
import subprocess
import sys

import psycopg
import pytest
from servers import oracle_programs

from tusk.cli.server import Server
from tusk.storage import _page

PAGE = 8192
FIRST_LINE = 24

SETUP = """
CREATE TABLE t (a int PRIMARY KEY, b text, c text);
ALTER TABLE t ALTER c SET STORAGE EXTERNAL;
INSERT INTO t SELECT i, 'row ' || i, CASE WHEN i % 50 = 0 THEN repeat('x', 5000) END FROM generate_series(1, 1000) i;
CREATE INDEX t_lower ON t (lower(b)) WHERE a % 2 = 0;
BEGIN;
INSERT INTO t VALUES (5000, 'aborted');
ROLLBACK;
CREATE TABLE hot (a int PRIMARY KEY, b int) WITH (autovacuum_enabled = off);
INSERT INTO hot VALUES (1, 1), (2, 1), (3, 1);
UPDATE hot SET b = 2 WHERE a = 1;
UPDATE hot SET b = 2 WHERE a = 2;
CREATE TABLE frozen (a int);
INSERT INTO frozen SELECT generate_series(1, 100);
VACUUM FREEZE frozen;
CREATE TABLE space (a int, b text);
INSERT INTO space SELECT i, repeat('y', 500) FROM generate_series(1, 300) i;
DELETE FROM space WHERE a % 3 = 0;
VACUUM space;
CREATE SEQUENCE s;
CREATE TABLE big (a int PRIMARY KEY);
INSERT INTO big SELECT generate_series(1, 30000);
"""
RELATIONS = ("t", "t_pkey", "t_lower", "hot", "hot_pkey", "frozen", "space", "s", "big", "big_pkey")


@pytest.fixture(scope="module")
def cluster():
    """A data directory that was shut down, and where its relations are."""
    with Server(settings={"autovacuum": "off"}) as server:
        with psycopg.connect(server.url, autocommit=True) as session:
            for statement in SETUP.split(";\n"):
                session.execute(statement)
            paths = {
                name: session.execute("SELECT pg_relation_filepath(%s::regclass)", [name]).fetchone()[0]
                for name in RELATIONS
            }
            paths["toast"] = session.execute(
                "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 't'"
            ).fetchone()[0]
        server.stop()
        # What each check is forked from: imported once.
        from tusk.commands.checking import cluster as checking  # noqa: F401

        yield server.data, paths


def checked(data, tables=()):
    """The findings' texts, from a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        from tusk.commands.checking.cluster import check_cluster

        result = "died"
        try:
            result = [finding.text() for finding in check_cluster(data, ["postgres"], tables=tables).findings]
        except BaseException as error:
            result = [repr(error)]
        finally:
            os.write(writer, pickle.dumps(result)[:60000])
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        result = pickle.load(stream)
    os.waitpid(pid, 0)
    return result


@contextlib.contextmanager
def damage(data, path, block, change, *, checksum=True):
    """Change a page in place; put back afterwards."""
    with open(data / path, "r+b", buffering=0) as stream:
        stream.seek(block * PAGE)
        before = stream.read(PAGE)
        page = bytearray(before)
        change(page)
        assert page != before
        if checksum:
            struct.pack_into("<H", page, 8, _page.checksum(bytes(page), block))
        stream.seek(block * PAGE)
        stream.write(page)
        try:
            yield
        finally:
            stream.seek(block * PAGE)
            stream.write(before)


def line(page, offset):
    """(lp_off, lp_flags, lp_len)"""
    word = struct.unpack_from("<I", page, FIRST_LINE + 4 * (offset - 1))[0]
    return word & 0x7FFF, word >> 15 & 3, word >> 17


def set_line(page, offset, at, flags, length):
    struct.pack_into("<I", page, FIRST_LINE + 4 * (offset - 1), at | flags << 15 | length << 17)


def put(form, field_at, value):
    """Set a field of the tuple at offset 1 (or the offset given as a pair)."""

    def change(page, offset=1):
        struct.pack_into(form, page, line(page, offset)[0] + field_at, value)

    return change


def last_line(page):
    return (struct.unpack_from("<H", page, 12)[0] - 24) // 4


def swap_lines(page, i, j):
    x, y = line(page, i), line(page, j)
    set_line(page, i, *y)
    set_line(page, j, *x)


def aborted_is_committed(page):
    """The hint of the last tuple of the table that an aborted transaction wrote."""
    at = line(page, last_line(page))[0]
    mask = struct.unpack_from("<H", page, at + 20)[0]
    struct.pack_into("<H", page, at + 20, mask & ~0x0200 | 0x0100)


def committed_is_aborted(page):
    at = line(page, 1)[0]
    mask = struct.unpack_from("<H", page, at + 20)[0]
    struct.pack_into("<H", page, at + 20, mask & ~0x0100 | 0x0200)


def orphan(page):
    """The second version of row 1 of `hot` without its first."""
    set_line(page, 1, 0, 0, 0)


def successor_is_not_heap_only(page):
    at = line(page, 4)[0]
    struct.pack_into("<H", page, at + 18, struct.unpack_from("<H", page, at + 18)[0] & ~0x8000)


def chains_meet(page):
    """Row 2's first version was updated by row 1's updater, into the same successor."""
    first, second = line(page, 1)[0], line(page, 2)[0]
    page[second + 4 : second + 8] = page[first + 4 : first + 8]
    page[second + 12 : second + 18] = page[first + 12 : first + 18]


def text_too_long(page):
    """The length of b, which follows the int: a one-byte header."""
    at = line(page, 1)[0]
    page[at + page[at + 22] + 4] = 0xFF


def with_nulls_flag(page):
    at = line(page, 1)[0]
    page[at + 22] = 32


def unlink_line(offset):
    """Take an entry out of an index page."""

    def change(page):
        lower = struct.unpack_from("<H", page, 12)[0]
        start = FIRST_LINE + 4 * (offset - 1)
        page[start : lower - 4] = page[start + 4 : lower]
        struct.pack_into("<H", page, 12, lower - 4)

    return change


def opaque(field_at, value):
    """Set a field of a b-tree page's special space: left link 0, right link 4, level 8, flags 12."""

    def change(page):
        struct.pack_into("<I", page, PAGE - 16 + field_at, value)

    return change


def high_key_is_low(page):
    at = line(page, 1)[0]
    struct.pack_into("<i", page, at + 8, 0)


def entry_tid(offset, block, position):
    def change(page):
        at = line(page, offset)[0]
        struct.pack_into("<HHH", page, at, block >> 16, block & 0xFFFF, position)

    return change


def entry_key(offset, value):
    def change(page):
        struct.pack_into("<i", page, line(page, offset)[0] + 8, value)

    return change


def swap_down_links(page):
    """The second and third down-link lead to each other's page."""
    a, b = line(page, 2)[0], line(page, 3)[0]
    page[a : a + 4], page[b : b + 4] = page[b : b + 4], page[a : a + 4]


def map_bits(bits):
    def change(page):
        page[24] = page[24] & ~3 | bits

    return change


def not_all_visible(page):
    flags = struct.unpack_from("<H", page, 10)[0]
    struct.pack_into("<H", page, 10, flags & ~4)


def all_visible(page):
    struct.pack_into("<H", page, 10, struct.unpack_from("<H", page, 10)[0] | 4)


def not_frozen(page):
    at = line(page, 1)[0]
    mask = struct.unpack_from("<H", page, at + 20)[0]
    struct.pack_into("<H", page, at + 20, mask & ~0x0200)


def free_space(page):
    page[28] = 255


# (what, file, block, change, tables to check, part of the message)
HEAP = [
    ("line beyond the page", "t", 0, lambda p: set_line(p, 1, 8184, 1, 40), "lies outside"),
    ("line not aligned", "t", 0, lambda p: set_line(p, 1, line(p, 1)[0] + 1, 1, 30), "is not maximally aligned"),
    ("tuples overlap", "t", 0, lambda p: set_line(p, 2, line(p, 2)[0], 1, line(p, 2)[2] + 8), "overlaps"),
    ("short tuple", "t", 0, lambda p: set_line(p, 1, line(p, 1)[0], 1, 8), "less than the minimum tuple header size"),
    ("redirect to nothing", "t", 0, lambda p: set_line(p, 1, 400, 2, 0), "redirection to item at offset 400"),
    ("redirect to a root", "t", 0, lambda p: set_line(p, 1, 2, 2, 0), "points to a non-heap-only tuple at offset 2"),
    ("unused with storage", "t", 0, lambda p: set_line(p, 1, line(p, 1)[0], 0, 8), "unused line pointer has storage"),
    ("data offset", "t", 0, with_nulls_flag, "tuple data should begin at byte"),
    ("too many columns", "t", 0, put("<H", 18, 9), "number of attributes 9 exceeds maximum 3"),
    ("xmin of the future", "t", 0, put("<I", 0, 1_000_000), "xmin 1000000 equals or exceeds next valid"),
    ("xmin too old", "frozen", 0, lambda p: (not_frozen(p), put("<I", 0, 3)(p)), "xmin 3 precedes relation freeze"),
    ("xmin invalid", "t", 0, put("<I", 0, 0), "xmin is invalid"),
    ("aborted is committed", "t", -1, aborted_is_committed, "is marked committed, but the commit log"),
    ("committed is aborted", "t", 0, committed_is_aborted, "is marked aborted, but the commit log"),
    ("multixact unknown", "hot", 0, lambda p: (put("<I", 4, 99)(p, 3), put("<H", 20, 0x1900 & ~0x800)(p, 3)),
     "multitransaction ID 99 equals or exceeds"),
    ("value too long", "t", 0, text_too_long, "beyond total tuple length"),
    ("orphan of a chain", "hot", 0, orphan, "tuple is heap-only and live, but not reached"),
    ("successor", "hot", 0, successor_is_not_heap_only, "its successor at offset 4 is not heap-only"),
    ("chains meet", "hot", 0, chains_meet, "also points there"),
    ("chunk number", "toast", 0, lambda p: struct.pack_into("<i", p, line(p, 1)[0] + 28, 7), "but expected chunk 0"),
    ("chunk missing", "toast", 0, lambda p: struct.pack_into("<I", p, line(p, 1)[0] + 4, 3) or
     struct.pack_into("<H", p, line(p, 1)[0] + 20, 0x0502), "but expected chunk 0"),
    ("page is not all-visible", "frozen", 0, not_all_visible, "but its own flag says that it is not"),
    ("frozen but not visible", "frozen_vm", 0, map_bits(2), "all-frozen in the visibility map, but not all-visible"),
    ("not frozen", "frozen", 0, not_frozen, "that is not frozen on an all-frozen page"),
    ("map beyond the end", "frozen_vm", 0, lambda p: p.__setitem__(3000, 3), "beyond the end"),
    ("sequence", "s", 0, lambda p: struct.pack_into("<I", p, PAGE - 8, 1), "bad magic number in sequence"),
    ("special space", "t", 0, lambda p: struct.pack_into("<H", p, 16, 8000), "not a heap page's"),
]
INDEX = [
    ("order", "t_pkey", 1, lambda p: swap_lines(p, 3, 4), "item order invariant violated"),
    ("entry missing", "t_pkey", 1, unlink_line(5), "lacks matching index tuple"),
    ("expression entry missing", "t_lower", 1, unlink_line(5), "lacks matching index tuple"),
    ("TID twice", "t_pkey", 1, entry_tid(3, 0, 5), "is there twice"),
    ("TID beyond the table", "t_pkey", 1, entry_tid(3, 4000, 5), "beyond the end of the table"),
    ("TID beyond the lines", "t_pkey", 1, entry_tid(3, 0, 290), "beyond the line pointers"),
    ("TID of a heap-only tuple", "hot_pkey", 1, entry_tid(1, 0, 4), "heap-only tuple"),
    ("wrong key", "hot_pkey", 1, entry_key(3, 7), "lacks matching index tuple"),
    ("left link", "big_pkey", 2, opaque(0, 7), "left link is 7"),
    ("right link", "big_pkey", 2, opaque(4, 100000), "link beyond the end"),
    ("level", "big_pkey", 2, opaque(8, 3), "down-link to block 2 of level 3"),
    ("deleted", "big_pkey", 2, opaque(12, 0x5), "down-link to deleted block 2"),
    ("high key", "big_pkey", 2, high_key_is_low, "high key of child 2 differs"),
    ("down-links", "big_pkey", 3, swap_down_links, "high key of child 4 differs"),
    ("key beyond the high key", "big_pkey", 2, entry_key(50, 1_000_000), "item order invariant violated"),
    ("last key beyond the high key", "big_pkey", 2, lambda p: entry_key(last_line(p), 1_000_000)(p),
     "high key invariant violated"),
    ("first key below the separator", "big_pkey", 4, entry_key(2, -5), "lower bound invariant violated"),
    ("line pointer", "big_pkey", 2, lambda p: set_line(p, 3, 8190, 1, 16), "line pointer points past"),
    ("magic", "t_pkey", 0, lambda p: struct.pack_into("<I", p, 24, 1), "not a b-tree metapage"),
]


def table_of(name):
    name = name.removesuffix("_vm").removesuffix("_pkey").removesuffix("_lower")
    return "t" if name == "toast" else name


def test_a_clean_cluster_passes(cluster):
    data, _ = cluster
    assert checked(data) == []
    done = subprocess.run([sys.executable, "-m", "tusk.cli", "check", "-D", data], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("0 problems in ")


@pytest.mark.parametrize(("what", "name", "block", "change", "message"), HEAP + INDEX, ids=lambda v: None)
def test_damage_is_found(cluster, what, name, block, change, message):
    data, paths = cluster
    path = paths[name.removesuffix("_vm")] + ("_vm" if name.endswith("_vm") else "")
    if block < 0:
        block = (data / path).stat().st_size // PAGE - 1
    with damage(data, path, block, change):
        found = checked(data, [table_of(name)])
        assert found, what
        assert any(message in text for text in found), (what, found)
        assert any(f'"public.{table_of(name)}' in text or "pg_toast" in text for text in found), (what, found)


def test_a_deleted_row_on_an_all_visible_page(cluster):
    data, paths = cluster
    with damage(data, paths["hot"], 0, all_visible):
        found = checked(data, ["hot"])
        assert any("deleted tuple on an all-visible page" in text and "offset 1" in text for text in found), found


def test_two_rows_with_one_key(cluster):
    data, paths = cluster
    with (
        damage(data, paths["hot_pkey"], 1, entry_key(3, 2)),
        damage(data, paths["hot"], 0, lambda page: struct.pack_into("<i", page, line(page, 3)[0] + 24, 2)),
    ):
        found = checked(data, ["hot"])
        assert any("two live rows with the same key" in text for text in found), found


def test_files(cluster):
    """Checksums, headers and the free space map are looked at file by file."""
    data, paths = cluster
    with (
        damage(data, paths["t"], 1, lambda page: page.__setitem__(5000, page[5000] ^ 1), checksum=False),
        damage(data, paths["space"] + "_fsm", 2, free_space),
        damage(data, paths["big"], 3, lambda page: struct.pack_into("<H", page, 12, 9000)),
    ):
        found = "\n".join(checked(data))
        assert f'file "{paths["t"]}", block 1: calculated checksum' in found
        assert f'file "{paths["space"]}_fsm", block 2: free space map node' in found
        assert f'file "{paths["big"]}", block 3: invalid page header' in found
    moved = data / (paths["frozen"] + ".away")
    (data / paths["frozen"]).rename(moved)
    try:
        assert any("file is missing" in text for text in checked(data, ["frozen"]))
    finally:
        moved.rename(data / paths["frozen"])


def test_what_cannot_be_checked(cluster, tmp_path):
    data, _ = cluster

    def run(*words):
        done = subprocess.run([sys.executable, "-m", "tusk.cli", "check", *words], capture_output=True, text=True,
                              check=False, env={key: value for key, value in os.environ.items() if key != "PGDATA"})
        return done.returncode, done.stderr

    assert run() == (1, "tusk check: error: no data directory specified\n")
    status, text = run("-D", tmp_path)
    assert status == 1 and 'pg_control": No such file or directory' in text
    assert run("-D", data, "-d", "nobody") == (1, 'tusk check: error: database "nobody" does not exist\n')


def test_what_postgresql_wrote_passes():
    with Server(settings={"autovacuum": "off"}) as server:
        server.stop()
        server.postgres_command = [str(oracle_programs() / "postgres")]
        server.start()
        with psycopg.connect(server.url, autocommit=True) as session:
            for statement in SETUP.split(";\n"):
                session.execute(statement)
            session.execute("CREATE TABLE part (a int, b int) PARTITION BY RANGE (a)")
            session.execute("CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100)")
            session.execute("INSERT INTO part (a) SELECT i % 100 FROM generate_series(1, 1000) i")
            session.execute("CREATE INDEX ON part (a)")
            session.execute("DELETE FROM big WHERE a BETWEEN 5000 AND 20000")
            session.execute("VACUUM big")
            session.execute("REINDEX TABLE t")
        assert server.stop() == 0
        assert checked(server.data) == []
