"""Query text to raw parse trees, with PostgreSQL 18's own grammar (libpg_query)."""

from tusk.sql.nodes.parsetree import RawStmt
from tusk.sql.parse.convert import build
from tusk.sql.parse.library import parse_plpgsql_to_json, parse_to_json

__all__ = ["parse", "parse_plpgsql_to_json", "parse_to_json"]


def parse(text: str) -> list[RawStmt]:
    """The statements of a query string (raw_parser). Locations count bytes from 0. 42601 with position."""
    return [build("RawStmt", statement) for statement in parse_to_json(text)["stmts"]]
