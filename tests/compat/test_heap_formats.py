"""Heap files, orders, hash values and compressed values of a real PostgreSQL 18 server."""

import itertools
import struct

import pytest
import real_server

from tusk.access import _compare, _hash, _tuple
from tusk.access._tupdesc import AttributeRow, TupleDesc
from tusk.access.toast import _compression, _detoast

VALUES = {
    "bool": ["t", "f"],
    "int2": ["-32768", "-1", "0", "7", "32767"],
    "int4": ["-2147483648", "-1", "0", "5", "2147483647"],
    "int8": ["-9223372036854775808", "-1", "0", "5", "4294967296", "9223372036854775807"],
    "oid": ["0", "5", "4294967295"],
    "xid8": ["0", "18446744073709551615"],
    "float4": ["-Infinity", "-1.5", "-0", "0", "1e-30", "3.25", "Infinity", "NaN"],
    "float8": ["-Infinity", "-1.5", "-0", "0", "1e-300", "3.25", "Infinity", "NaN"],
    "numeric": ["NaN", "Infinity", "-Infinity", "0", "0.000", "1", "-1", "10000", "9999", "9999.0001", "-0.0001",
                "123456789012345678901234567890.1234", "1e40", "-1e40", "1.10", "1.1", "100000000", "1e-200", "1e2000"],
    '"char"': ["", "a", "Z"],
    "name": ["", "a", "b", "ab", "x" * 63],
    "text": ["", "a", "b", "ab", "B", "é", "日本", "x" * 300],
    "varchar(400)": ["", "a ", "a", "x" * 200],
    "bpchar": ["", "a", "a  ", "b", "a b"],
    "bytea": ["\\\\x", "\\\\x00", "\\\\x0001", "\\\\xff"],
    "date": ["-infinity", "0001-01-01", "2000-01-01", "2026-11-22", "infinity"],
    "time": ["00:00", "12:34:56.789", "24:00"],
    "timetz": ["12:00+00", "13:00+01", "12:00+01", "00:00-12"],
    "timestamp": ["-infinity", "1999-12-31 23:59:59.999999", "2000-01-01", "infinity"],
    "timestamptz": ["-infinity", "1999-12-31 23:59:59.999999+00", "2026-01-01 00:00+05", "infinity"],
    "interval": ["0", "1 day", "24 hours", "30 days", "1 month", "-1 month", "1 mon -30 days", "100 years 1 us",
                 "infinity", "-infinity"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
             "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "oidvector": ["", "1", "1 2", "2", "1 3", "4294967295"],
    "tid": ["(0,1)", "(0,2)", "(1,1)", "(70000,1)"],
    "pg_lsn": ["0/0", "0/1", "1/0", "FFFFFFFF/FFFFFFFF"],
    "money": ["-1.00", "0", "12.34"],
    "bit varying": ["", "1", "0", "10", "101", "1010101010"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "10.0.0.0/8", "192.168.0.1", "::1", "fe80::/10", "10.1.0.0/16"],
    "macaddr": ["08:00:2b:01:02:03", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"],
}
LONG = " ".join(f"word{i % 17} {i * i}" for i in range(900))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = real_server.make(tmp_path_factory)
    yield running
    running.stop("immediate")


def descriptor(server, table):
    """The table's row type from pg_attribute."""
    names = ["attname", "atttypid", "attlen", "attbyval", "attalign", "attstorage", "atttypmod", "attcollation",
             "attcompression", "attnotnull", "attisdropped"]  # fmt: skip
    rows = server.sql(f"select {', '.join(names)} from pg_attribute where attrelid = '{table}'::regclass "
                      "and attnum > 0 order by attnum")
    numbers = {"atttypid", "attlen", "atttypmod", "attcollation"}
    flags = {"attbyval", "attnotnull", "attisdropped"}
    return TupleDesc([AttributeRow(**{
        name: int(value) if name in numbers else value == "t" if name in flags else value
        for name, value in zip(names, row, strict=True)}) for row in rows])


def tuples(content):
    """The heap tuples of a file: [((block, offset), bytes)]."""
    out = []
    for block in range(len(content) // 8192):
        page = content[block * 8192:(block + 1) * 8192]
        (lower,) = struct.unpack_from("<H", page, 12)
        for i, word in enumerate(struct.unpack_from(f"<{(lower - 24) // 4}I", page, 24)):
            if word >> 15 & 3 == 1:
                out.append(((block, i + 1), page[word & 0x7FFF:(word & 0x7FFF) + (word >> 17)]))
    return out


def long_header(datum):
    """A short varlena with a 4-byte header, as functions hand them over."""
    if datum is None or not isinstance(datum, bytes) or not datum[0] & 1 or datum[0] == 1:
        return datum
    return ((len(datum) + 3) << 2).to_bytes(4, "little") + datum[1:]


def test_tuples_are_read_and_formed_byte_for_byte(server):
    columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(VALUES))
    server.sql(f"create table wide ({columns})")
    rows = []
    for n in range(40):
        cells = [f"E'{values[n % len(values)]}'" if (n * 7 + i) % 5 else "null"
                 for i, values in enumerate(VALUES.values())]
        rows.append(f"({', '.join(cells)})")
    server.sql(f"insert into wide values {', '.join(rows)}")
    desc = descriptor(server, "wide")
    found = tuples(server.file("wide"))
    assert len(found) == 40
    for tid, tup in found:
        datums = _tuple.deform_heap_tuple(desc, tup)
        values = [long_header(d) if desc.attribute(i + 1)["attlen"] == -1 else d for i, d in enumerate(datums)]
        formed = _tuple.form_heap_tuple(desc, values)
        assert formed[22:] == tup[22:], tid
        assert formed[18:20] == tup[18:20], tid
        assert formed[20] & 7 == tup[20] & 7, tid


def test_order_and_hash_values(server):
    support = server.sql("""
        select c.opcintype::regtype, amprocnum, f.opfmethod, proc.prosrc
        from pg_opclass c join pg_opfamily f on f.oid = c.opcfamily
        join pg_amproc p on p.amprocfamily = f.oid and p.amproclefttype = c.opcintype
             and p.amprocrighttype = c.opcintype
        join pg_proc proc on proc.oid = p.amproc
        where c.opcdefault and f.opfmethod in (403, 405) and amprocnum in (1, 2)""")
    by_type = {(kind, method, number): prosrc for kind, number, method, prosrc in support}
    long_names = dict(server.sql("select typname, oid::regtype from pg_type where typname in ('bool', 'int2', 'int4', "
                                 "'int8', 'float4', 'float8', 'char', 'bpchar', 'timestamp', 'timestamptz', 'time', "
                                 "'timetz', 'varbit')"))
    checked = 0
    for kind, texts in VALUES.items():
        name = kind.split("(")[0]
        table_type = long_names.get(name, "text" if name == "varchar" else name)
        cells = ", ".join(f"({i}, E'{value}')" for i, value in enumerate(texts))
        server.sql(f"drop table if exists one; create table one (i int4, v {kind}); insert into one values {cells}")
        desc = descriptor(server, "one")
        datums = [_tuple.deform_heap_tuple(desc, tup)[1] for _, tup in tuples(server.file("one"))]
        compare = by_type[table_type, "403", "1"]
        ranks = [int(row[0]) for row in server.sql("select rank() over (order by v) from one order by i")]
        for (a, rank_a), (b, rank_b) in itertools.product(zip(datums, ranks, strict=True), repeat=2):
            sign = _compare.compare_datums(compare, a, b)
            assert (sign > 0) - (sign < 0) == (rank_a > rank_b) - (rank_a < rank_b), (kind, a, b)
        prosrc = by_type.get((table_type, "405", "1"))
        if prosrc is None:
            continue
        server_hash = server.sql(
            f"select {by_type_function(server, prosrc)}(v), {by_type_function(server, prosrc + '_x')}(v, 0), "
            f"{by_type_function(server, prosrc + '_x')}(v, 987654321012345) from one order by i")
        for datum, row in zip(datums, server_hash, strict=True):
            ours = (_hash.hash_datum(prosrc, datum), _hash.hash_datum(prosrc, datum, 0),
                    _hash.hash_datum(prosrc, datum, 987654321012345))
            theirs = tuple(int(cell) & (1 << bits) - 1 for cell, bits in zip(row, (32, 64, 64), strict=True))
            assert ours == theirs, (kind, prosrc, datum)
        checked += 1
    assert checked > 20


def by_type_function(server, prosrc):
    """The SQL name of a support function (with _x: its extended sibling)."""
    if prosrc.endswith("_x"):
        base = prosrc[:-2]
        sources = (f"{base}extended", f"{base}_extended")
    else:
        sources = (prosrc,)
    rows = server.sql("select proname from pg_proc where prosrc in ({})".format(
        ", ".join(f"'{s}'" for s in sources)))
    return rows[0][0]


def test_compressed_values(server):
    texts = [LONG[:n] for n in (2200, 3000, 4000, 9000)] + ["a" * 5000, "ab" * 3000, LONG[:40] * 100]
    cells = ", ".join(f"('{value}')" for value in texts)
    server.sql(f"drop table if exists packed; create table packed (v text); "
               f"alter table packed alter v set storage main; insert into packed values {cells}")
    desc = descriptor(server, "packed")
    found = [_tuple.deform_heap_tuple(desc, tup)[0] for _, tup in tuples(server.file("packed"))]
    assert len(found) == len(texts)
    for value, stored in zip(texts, found, strict=True):
        assert stored[0] & 3 == 2, "not compressed"
        assert _detoast.detoast(stored).decode() == value
        assert _compression.decompress_value(stored, 1000).decode() == value[:1000]
        # pglz leaves the compressor freedom: ours finds other matches.
        ours = _compression.compress_value(value.encode())
        assert len(ours) <= len(stored)
        for packed in (ours, _compression.compress_value(value.encode(), "lz4")):
            assert _detoast.detoast(packed).decode() == value
            assert _compression.decompress_value(packed, 777).decode() == value[:777]
