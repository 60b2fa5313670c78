"""What a check found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """Something that is wrong: where, and what."""

    database: str           # "" for what belongs to none
    relation: str           # "schema.name", or "" when only the file is known
    file: str               # relative to the data directory
    block: int | None
    offset: int | None      # line pointer, from 1
    message: str

    def text(self) -> str:
        """One line for a reader."""
        where = []
        if self.relation:
            name = f'relation "{self.relation}"'
            where.append(f'{name} of database "{self.database}"' if self.database else name)
        if self.file:
            where.append(f'file "{self.file}"')
        if self.block is not None:
            where.append(f"block {self.block}")
        if self.offset:
            where.append(f"offset {self.offset}")
        return f"{', '.join(where)}: {self.message}" if where else self.message
