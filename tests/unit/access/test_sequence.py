"""Sequences: values, the WAL rule, what a crash leaves."""

import pytest
from _cluster import in_cluster
from tables import transaction

from tusk.access import _sequence

LIMIT = 2**63 - 1


def sequence(create):
    from tusk.access._relation import Relation
    from tusk.access._tupdesc import AttributeRow, TupleDesc
    from tusk.storage import _smgr

    desc = TupleDesc([AttributeRow("last_value", 20, 8, True, "d"), AttributeRow("log_cnt", 20, 8, True, "d"),
                      AttributeRow("is_called", 16, 1, True, "c")])
    rel = Relation(16400, (1663, 5, 16400), "s", desc, "S")
    if create:
        _smgr.create((1663, 5, 16400))
        with transaction():
            _sequence.create(rel)
    return rel


def test_values_and_log_count(tmp_path):
    def body():
        rel = sequence(True)
        with transaction():
            assert _sequence.read(rel) == (1, 0, False)
            assert _sequence.nextval(rel) == (1, 1)
            assert _sequence.read(rel) == (1, 32, True)
            assert _sequence.nextval(rel) == (2, 2)
            assert _sequence.read(rel) == (2, 31, True)
            assert _sequence.nextval(rel, cache=10) == (3, 12)
            assert _sequence.read(rel) == (12, 21, True)
            _sequence.setval(rel, 100, False)
            assert _sequence.nextval(rel, increment=5) == (100, 100)
            assert _sequence.nextval(rel, increment=5) == (105, 105)
            _sequence.setval(rel, LIMIT)
            with pytest.raises(Exception, match="reached maximum value of sequence") as caught:
                _sequence.nextval(rel)
            assert caught.value.sqlstate == "2200H"
            assert _sequence.nextval(rel, cycle=True) == (1, 1)
            _sequence.setval(rel, -5)
            assert _sequence.nextval(rel, -3, -9, -1) == (-8, -8)
            with pytest.raises(Exception, match=r"reached minimum value of sequence \"s\" \(-9\)"):
                _sequence.nextval(rel, -3, -9, -1)

    in_cluster(tmp_path / "data", body)


def test_a_crash_skips_the_promised_values(tmp_path):
    def draw():
        rel = sequence(True)
        with transaction():
            for _ in range(5):
                value = _sequence.nextval(rel)[0]
        return value

    def after():
        rel = sequence(False)
        with transaction():
            return _sequence.nextval(rel)[0]

    assert in_cluster(tmp_path / "data", draw, crash=True) == 5
    assert in_cluster(tmp_path / "data", after) == 34
