"""Lists the built-in functions that have no definition: ``python -m tusk.types.coverage [--all] [DSN]``.

The names come from the catalogs' bootstrap facts; with a connection string, from the pg_proc of that server. Without
--all, functions that are not for SQL to call (planner support, index methods, handlers) are left out.
"""

import importlib
import re
import sys
from collections.abc import Iterable

from tusk.catalog.facts import builtin_rows
from tusk.types.registry import registered_functions

_INTERNAL = re.compile(
    r"(_support|sel|handler|sortsupport|skipsupport|typanalyze|_validator|validate)$"
    r"|^(gin|gist|gtr|spg|brin|inet_gist|inet_spg|ts_|ts[vq]|gtsv|RI_FKey|binary_upgrade|prsd_|dsnowball|dsimple|dispell)"
)


def names_of_server(dsn: str) -> Iterable[str]:
    """prosrc of every internal function of a running server."""
    psycopg = importlib.import_module("psycopg")
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT DISTINCT prosrc FROM pg_proc WHERE prolang = 12 AND oid < 12000")
        return [row[0] for row in rows]


def names_of_catalog() -> Iterable[str]:
    """prosrc of every internal function of the bootstrap facts."""
    return {row.prosrc for row in builtin_rows("pg_proc") if row.prolang == 12}


def main(arguments: list[str]) -> int:
    """Print what is missing, one name a line, and a summary."""
    everything = "--all" in arguments
    servers = [argument for argument in arguments if not argument.startswith("-")]
    names = set(names_of_server(servers[0]) if servers else names_of_catalog())
    for package in ("tusk.sql", "tusk.commands", "tusk.backend", "tusk.stats"):
        importlib.import_module(package)
    missing = sorted(names - set(registered_functions()))
    if not everything:
        missing = [name for name in missing if not _INTERNAL.search(name)]
    print("\n".join(missing))
    print(f"{len(missing)} of {len(names)} functions have no definition", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
