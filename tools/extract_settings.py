"""Write src/tusk/config/data/settings.tsv: the facts of every setting, read from a running PostgreSQL 18.

Usage: python tools/extract_settings.py CONNINFO

Columns: name, type, unit, minimum, maximum, enum values (comma separated), boot value, context, category, flags, short
description, long description. The five settings that pg_settings hides are listed below.
"""

import sys
from pathlib import Path

import psycopg

TARGET = Path(__file__).parents[1] / "src/tusk/config/data/settings.tsv"
HIDDEN = [
    ("is_superuser", "bool", "", "", "", "", "off", "internal", "Reporting and Logging / Process Title",
     "EXPLICIT_REPORT", "Shows whether the current user is a superuser.", ""),
    ("role", "string", "", "", "", "", "none", "user", "Ungrouped", "", "Sets the current role.", ""),
    ("session_authorization", "string", "", "", "", "", "", "user", "Ungrouped", "",
     "Sets the session user name.", ""),
    ("seed", "real", "", "-1", "1", "", "0", "user", "Ungrouped", "NO_RESET_ALL",
     "Sets the seed for random-number generation.", ""),
]
QUERY = """
    SELECT name, vartype, coalesce(unit, ''), coalesce(min_val, ''), coalesce(max_val, ''),
           coalesce(array_to_string(enumvals, ','), ''), coalesce(boot_val, '\\N'), context, category,
           array_to_string(pg_settings_get_flags(name), ','), short_desc, coalesce(extra_desc, '')
    FROM pg_settings ORDER BY lower(name), name"""


def main(conninfo: str) -> None:
    """Read pg_settings and write the table."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(QUERY).fetchall()
    rows = sorted([*rows, *HIDDEN], key=lambda row: row[0].lower())
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("".join("\t".join(row).replace("\n", " ") + "\n" for row in rows))


if __name__ == "__main__":
    main(sys.argv[1])
