"""The built-in rows answer syscache lookups, and survive a trip through the tuple codec."""

import pytest

from tusk.catalog._codec import codec_of
from tusk.catalog.cache import AMOPOPID, OPERNAMENSP, PROCNAMEARGSNSP, RELNAMENSP, TYPEOID, lookup, lookup_list
from tusk.catalog.facts import builtin_rows
from tusk.catalog.rows import ROW_CLASSES


def test_lookups() -> None:
    assert lookup(TYPEOID, 23).typname == "int4"
    assert lookup(TYPEOID, 999999) is None
    assert lookup(OPERNAMENSP, "=", 23, 23, 11).oid == 96
    assert lookup(PROCNAMEARGSNSP, "abs", (23,), 11).prosrc == "int4abs"
    assert lookup(RELNAMENSP, "pg_class", 11).oid == 1259
    assert {row.amopfamily for row in lookup_list(AMOPOPID, 96)} >= {1976, 1977}


@pytest.mark.parametrize("catalog", sorted(ROW_CLASSES))
def test_codec_round_trip(catalog: str) -> None:
    codec = codec_of(catalog)
    for row in builtin_rows(catalog)[:200]:
        assert codec.parse(codec.form(row)).values() == row.values()
