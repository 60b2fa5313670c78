"""Print, as Markdown, the statements of tests/sql that are marked as missing or as differing from PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

SQL = Path(__file__).resolve().parent.parent / "tests" / "sql"
_MARK = re.compile(r"^-- (missing|differs): (.*)\n(.*)", re.M)


def main() -> None:
    """One line for each mark."""
    for path in sorted(SQL.rglob("*.sql")):
        for kind, text, statement in _MARK.findall(path.read_text()):
            print(f"* `{path.relative_to(SQL)}` {kind}: `{statement.rstrip(';')[:100]}` ({text})")


if __name__ == "__main__":
    main()
