"""Forming and taking apart tuples, against a plain-Python reader and hand-checked bytes."""

import random
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from tables import descriptor, text

from tusk.access import _deform, _tuple
from tusk.access._tupdesc import AttributeRow, TupleDesc

KINDS = {
    "bool": (16, 1, True, "c"), "int2": (21, 2, True, "s"), "int4": (23, 4, True, "i"), "int8": (20, 8, True, "d"),
    "name": (19, 64, False, "c"), "uuid": (2950, 16, False, "c"), "tid": (27, 6, False, "s"),
    "text": (25, -1, False, "i"), "plain": (25, -1, False, "i"), "polygon": (604, -1, False, "d"),
    "cstring": (2275, -2, False, "c"),
}
SIZES = {"bool": 1, "int2": 2, "int4": 4, "int8": 8}


def attribute(kind, i):
    oid, length, by_value, align = KINDS[kind]
    storage = "p" if kind == "plain" or length != -1 else "x"
    return AttributeRow(f"c{i}", oid, length, by_value, align, storage)


def value_of(kind):
    if kind in SIZES:
        bits = 8 * SIZES[kind]
        return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
    if kind == "cstring":
        return st.binary(max_size=20).map(lambda b: b.replace(b"\0", b"x") + b"\0")
    if KINDS[kind][1] > 0:
        return st.binary(min_size=KINDS[kind][1], max_size=KINDS[kind][1])
    return st.binary(max_size=200).map(text)


@st.composite
def rows(draw):
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=14))
    values = [draw(st.one_of(st.none(), value_of(kind))) for kind in kinds]
    return kinds, values


def read_plainly(kinds, tup):
    """The reference: offsets by the rules, one attribute after the other."""
    natts = struct.unpack_from("<H", tup, 18)[0] & 0x7FF
    mask, hoff = struct.unpack_from("<HB", tup, 20)
    off = hoff
    out = []
    for i, kind in enumerate(kinds[:natts]):
        if mask & 1 and not tup[23 + i // 8] >> i % 8 & 1:
            out.append(None)
            continue
        _, length, by_value, align = KINDS[kind]
        if length != -1 or tup[off] == 0:
            by = {"c": 1, "s": 2, "i": 4, "d": 8}[align]
            off = (off + by - 1) // by * by
        if by_value:
            out.append(int.from_bytes(tup[off:off + length], "little", signed=True))
            off += length
            continue
        if length == -1:
            size = tup[off] >> 1 if tup[off] & 1 else struct.unpack_from("<I", tup, off)[0] >> 2
        elif length == -2:
            size = tup.index(b"\0", off) + 1 - off
        else:
            size = length
        out.append(tup[off:off + size])
        off += size
    return out


def short(kinds, values):
    """What comes back: short values of packable columns have 1-byte headers."""
    return [bytes([(len(v) - 3) << 1 | 1]) + v[4:]
            if v is not None and kind in ("text", "polygon") and len(v) - 3 <= 127 else v
            for kind, v in zip(kinds, values, strict=True)]


@settings(max_examples=150, deadline=None)
@given(rows())
def test_round_trip(row):
    kinds, values = row
    desc = TupleDesc([attribute(kind, i) for i, kind in enumerate(kinds)])
    tup = _tuple.form_heap_tuple(desc, values)
    expected = short(kinds, values)
    assert read_plainly(kinds, tup) == expected
    assert _tuple.deform_heap_tuple(desc, tup) == expected
    assert [_tuple.get_heap_attribute(desc, tup, i + 1) for i in range(len(kinds))] == expected
    assert _tuple.deform_index_tuple(desc, _tuple.form_index_tuple(desc, values)) == expected


def test_columns_of_many_tuples():
    generator = random.Random(4711)
    kinds = ["int4", "int8", "bool", "text", "int2", "uuid", "text", "int8", "cstring"]
    desc = TupleDesc([attribute(kind, i) for i, kind in enumerate(kinds)])
    fewer = TupleDesc([attribute(kind, i) for i, kind in enumerate(kinds[:5])])
    desc.set_missing(8, 4242)
    tuples, wanted = [], []
    for i in range(1024):
        values = [i, i * 7, i % 2, text("x" * (i % 300)), i % 100, bytes([i % 256]) * 16, text("y" * (i % 9)), -i,
                  b"z" * (i % 5) + b"\0"]
        if i % 3 == 0:
            values[generator.randrange(9)] = None
        if i % 11 == 0:
            values = values[:5]
            tuples.append(_tuple.form_heap_tuple(fewer, values))
            wanted.append([*short(kinds[:5], values), None, None, 4242, None])
        else:
            tuples.append(_tuple.form_heap_tuple(desc, values))
            wanted.append(short(kinds, values))
    for attnums in ([1], [1, 3], [4], [2, 5, 9], list(range(1, 10)), [7, 8]):
        columns = _deform.deform_tuples(desc, tuples, attnums)
        assert columns == [[row[n - 1] for row in wanted] for n in attnums], attnums


def test_bytes_of_a_tuple():
    tup = _tuple.form_heap_tuple(descriptor(), [1, text("hi"), None])
    assert struct.unpack_from("<H", tup, 18)[0] == 3
    assert tup[20:24] == bytes([0x03, 0x00, 24, 0b011])     # has null, has varwidth; header of 24 bytes; bitmap
    assert tup[24:] == (1).to_bytes(4, "little") + b"\x07hi"
    index = _tuple.form_index_tuple(descriptor(), [1, text("hi"), 2], (65536, 3))
    assert index[:8] == struct.pack("<HHHH", 1, 0, 3, 0x4000 | 24)
