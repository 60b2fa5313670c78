"""pg_hba_file_rules and pg_ident_file_mappings: the files as they are now, not necessarily what is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tusk.backend.hba import Token, parse_hba_file, parse_ident_file
from tusk.config import settings
from tusk.types.registry import function
from tusk.types.values import Array

_TEXT = 25


def _path(value: Any, default: str) -> Path:
    return Path(str(settings.data_directory)) / (str(value) if value else default)


def _words(tokens: list[Token]) -> Array:
    return Array.of(_TEXT, [token.text for token in tokens])


@function("pg_hba_file_rules", set_returning=True)
def pg_hba_file_rules() -> Iterator[tuple[Any, ...]]:
    """One row for each rule, or for each line that is wrong."""
    for rule in parse_hba_file(_path(settings.hba_file, "pg_hba.conf")):
        if rule.error is not None:
            yield None, rule.file, rule.line_number, *(None,) * 7, rule.error
            continue
        options = [f"{name}={value}" for name, value in rule.options.items()]
        yield (
            rule.rule_number, rule.file, rule.line_number, rule.connection_type, _words(rule.databases),
            _words(rule.users), rule.address, rule.netmask, rule.method,
            Array.of(_TEXT, options) if options else None, None,
        )  # fmt: skip


@function("pg_ident_file_mappings", set_returning=True)
def pg_ident_file_mappings() -> Iterator[tuple[Any, ...]]:
    """One row for each mapping, or for each line that is wrong."""
    path = _path(settings.ident_file, "pg_ident.conf")
    for line in parse_ident_file(path) if path.exists() else []:
        if line.error is not None:
            yield None, line.file, line.line_number, None, None, None, line.error
        else:
            yield (
                line.map_number, line.file, line.line_number, line.map_name, line.system_user.text,
                line.database_user.text, None,
            )  # fmt: skip
