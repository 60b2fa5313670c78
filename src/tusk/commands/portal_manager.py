"""The portals of a session, and what becomes of them when a transaction ends (utils/portal.h)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tusk.commands.portals import Portal
from tusk.errors import SqlError, errcode


class PortalManager:
    """All portals by name; '' is the unnamed one of the extended protocol."""

    def __init__(self) -> None:
        self.by_name: dict[str, Portal] = {}
        self._unique = itertools.count(1)

    def __iter__(self) -> Iterator[Portal]:
        return iter(list(self.by_name.values()))

    def get(self, name: str) -> Portal:
        """The portal of that name; 34000 if there is none."""
        portal = self.by_name.get(name)
        if portal is None:
            raise SqlError(errcode.INVALID_CURSOR_NAME, f'{self._what} "{name}" does not exist')
        return portal

    _what = "cursor"

    def find(self, name: str) -> Portal | None:
        """The portal of that name, or None."""
        return self.by_name.get(name)

    def add(self, portal: Portal) -> None:
        """Keep a portal; a named one must be new (42P03), the unnamed one is replaced."""
        old = self.by_name.get(portal.name)
        if old is not None:
            if portal.name:
                raise SqlError(errcode.DUPLICATE_CURSOR, f'cursor "{portal.name}" already exists')
            self.drop("")
        self.by_name[portal.name] = portal

    def unique_name(self) -> str:
        """A name for a portal that nobody named."""
        return f"<unnamed portal {next(self._unique)}>"

    def drop(self, name: str) -> None:
        """Close and forget a portal, if it is there."""
        portal = self.by_name.pop(name, None)
        if portal is not None:
            portal.close()

    def drop_all(self) -> None:
        """CLOSE ALL and DISCARD ALL."""
        for name in list(self.by_name):
            if not self.by_name[name].running:
                self.drop(name)

    def before_commit(self) -> None:
        """Make WITH HOLD cursors of this transaction independent of it, and end the others (PreCommit_Portals)."""
        for portal in self:
            if portal.running:
                continue
            if portal.is_holdable and portal.created_in and not portal.failed:
                portal.persist()
            elif portal.created_in:
                self.drop(portal.name)

    def at_abort(self) -> None:
        """Portals of the failed transaction die; those that were kept earlier live on."""
        for portal in self:
            if portal.created_in:
                del self.by_name[portal.name]
                portal.close(is_abort=True)

    def at_subcommit(self, subxact: int, parent: int) -> None:
        """Portals of a committed subtransaction become its parent's."""
        for portal in self:
            if portal.created_in == subxact:
                portal.created_in = parent

    def at_subabort(self, subxact: int, _parent: int = 0) -> None:
        """Portals of an aborted subtransaction die."""
        for portal in self:
            if portal.created_in == subxact:
                del self.by_name[portal.name]
                portal.close(is_abort=True)
