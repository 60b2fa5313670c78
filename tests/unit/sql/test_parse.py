"""Query text to raw trees."""

import pytest

from tusk.errors import SqlError, errcode
from tusk.sql.nodes import A_Const, Integer, SelectStmt
from tusk.sql.parse import parse


def test_statements_and_locations():
    first, second = parse("select 0, null; select 'x'")
    assert (first.stmt_location, first.stmt_len) == (0, 14)
    assert isinstance(second.stmt, SelectStmt)
    zero, null = (target.val for target in first.stmt.targetList)
    assert isinstance(zero, A_Const) and isinstance(zero.val, Integer) and zero.val.ival == 0 and zero.location == 7
    assert null.isnull and null.val is None


def test_plain_distinct_holds_a_null():
    assert parse("select distinct 1")[0].stmt.distinctClause == [None]


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("selec 1", 'syntax error at or near "selec"', 1),
        ("select from x where", "syntax error at end of input", 20),
        ("select é from 'x'", "syntax error at or near \"'x'\"", 15),
    ],
)
def test_syntax_errors(text, message, position):
    with pytest.raises(SqlError) as caught:
        parse(text)
    assert (caught.value.sqlstate, caught.value.message) == (errcode.SYNTAX_ERROR, message)
    assert caught.value.position == position
