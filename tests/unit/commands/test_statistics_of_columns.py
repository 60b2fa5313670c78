"""ANALYZE's arithmetic: what is kept of a column, and storage parameters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from tusk.commands import analyze
from tusk.commands.options import storage_parameters
from tusk.errors import SqlError, feature_not_supported
from tusk.sql.nodes import DefElem, Integer, String

INT4 = 23


def _column() -> SimpleNamespace:
    return SimpleNamespace(atttypid=INT4, attcollation=0, attstattarget=10, attnum=1, attoptions=None)


class _Sample:
    """Values of one column, of a type that has no native order."""

    def __init__(self, values: list[Any]) -> None:
        self.rows = len(values)
        self._values = values

    def sorted_column(self, *_arguments: object) -> NoReturn:
        raise feature_not_supported("sorting in a test")

    def values(self, _attnum: int) -> tuple[list[Any], int]:
        return self._values, 0


def test_unique_values_make_a_histogram() -> None:
    statistics = analyze.column_statistics(_column(), _Sample(list(range(1, 101))), 100.0)
    assert statistics is not None
    assert statistics.distinct == -1.0
    kinds = {slot.kind: slot for slot in statistics.slots}
    assert kinds[analyze.KIND_HISTOGRAM].values == [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert kinds[analyze.KIND_CORRELATION].numbers == pytest.approx((1.0,))


def test_few_values_are_all_common() -> None:
    statistics = analyze.column_statistics(_column(), _Sample([1, 2, 2, 1, 1, None]), 6.0)
    assert statistics is not None
    assert statistics.null_fraction == pytest.approx(1 / 6)
    common = statistics.slots[0]
    assert common.kind == analyze.KIND_MCV
    assert common.values == [1, 2]
    assert common.numbers == pytest.approx((0.5, 1 / 3))


def test_storage_parameters_are_checked() -> None:
    items = [DefElem(defname="fillfactor", arg=Integer(ival=70), location=-1)]
    assert storage_parameters(items, "t") == ("fillfactor=70",)
    with pytest.raises(SqlError, match='value 5 out of bounds for option "fillfactor"'):
        storage_parameters([DefElem(defname="fillfactor", arg=Integer(ival=5), location=-1)], "t")
    with pytest.raises(SqlError, match='unrecognized parameter "nonsense"'):
        storage_parameters([DefElem(defname="nonsense", arg=String(sval="1"), location=-1)], "t")
