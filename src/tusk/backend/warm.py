"""What a backend has inherited from the session template: caches of one database, plans of frequent statements.

The template fills `state` before it forks; a process that was not forked by it finds it empty. What is here was right
when the template last read the invalidation queue, at `position`: a backend goes on reading there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tusk.catalog import inval

_DB_ROLE_SETTING = 2964


@dataclass(slots=True)
class WarmState:
    """Inherited caches: whose, and as of when."""

    database: int = 0           # 0: nothing inherited
    database_name: str = ""
    role: int = 0
    position: int = -1
    statements: dict[tuple[str, tuple[int, ...]], Any] = field(default_factory=dict)
    names_as_of: int = 0
    # (database, role) -> rows of pg_db_role_setting
    role_settings: dict[tuple[int, int], list[Any]] = field(default_factory=dict)

    def forget(self) -> None:
        """Nothing is inherited any more."""
        self.database = self.role = 0
        self.database_name = ""
        self.statements = {}
        self.role_settings = {}


state = WarmState()


def _settings_changed(catalog: int) -> None:
    if catalog in (0, _DB_ROLE_SETTING):
        state.role_settings.clear()


inval.snapshot_callbacks.append(_settings_changed)
