"""Taking literals out of query texts: what qualifies, and what is taken."""

import pytest

from tusk.backend._literals import normalize


@pytest.mark.parametrize(
    ("sql", "text", "literals"),
    [
        (b"SELECT a FROM t WHERE b = 5", b"SELECT a FROM t WHERE b = $1", [(23, b"5")]),
        (b"select a from t where b=-5;", b"select a from t where b=-$1;", [(23, b"5")]),
        (b"SELECT a FROM t WHERE b = 'it''s' LIMIT 3", b"SELECT a FROM t WHERE b = $1 LIMIT 3", [(0, b"it's")]),
        (b"SELECT t1.c2 FROM t1 WHERE c2 > 1.50", b"SELECT t1.c2 FROM t1 WHERE c2 > $1", [(1700, b"1.50")]),
        (b"INSERT INTO t (a, b) VALUES (1, 'x')", b"INSERT INTO t (a, b) VALUES ($1, $2)", [(23, b"1"), (0, b"x")]),
        (b"UPDATE t SET a = a + 3000000000 WHERE b = 1", b"UPDATE t SET a = a + $1 WHERE b = $2",
         [(20, b"3000000000"), (23, b"1")]),
        (b"SELECT a FROM t WHERE b = -2147483648", b"SELECT a FROM t WHERE b = -2147483648", []),
        (b"SELECT f(1, 2)", b"SELECT f(1, 2)", []),
    ],
)  # fmt: skip
def test_takes(sql: bytes, text: bytes, literals: list) -> None:
    assert normalize(sql) == (text, literals)


@pytest.mark.parametrize(
    "sql",
    [
        b"BEGIN", b"SELECT a /* b */ FROM t", b"SELECT a -- b", b"SELECT 1; SELECT 2", b'SELECT "a" FROM t',
        b"SELECT a FROM t WHERE b = $1", b"SELECT a FROM t WHERE b = $$x$$", b"SELECT a FROM t WHERE b = E'x'",
        b"SELECT a FROM t WHERE b = 'x'\n'y'", b"SELECT a FROM t WHERE b = 'x", b"SELECT a FROM t WHERE b = 1e5",
        b"SELECT a FROM t WHERE b = 0x1F", b"SELECT a FROM t WHERE b = 1_000", b"SELECT a FROM t WHERE b = 'a\\b'",
        b"SELECT a FROM t WHERE b = 99999999999999999999", b"SELECT * FROM (VALUES (1)) v", b"", b"  ",
        b"SELECT " + b"x" * 5000,
    ],
)  # fmt: skip
def test_leaves_alone(sql: bytes) -> None:
    assert normalize(sql) is None
