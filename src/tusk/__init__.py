"""Tusk: a PostgreSQL 18 server in Python, with its hot paths in Cython.

``tusk.Server`` starts a server from Python; everything else is internal to the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tusk.cli.server import Server, ServerError

__all__ = ["Server", "ServerError"]


def __getattr__(name: str) -> object:
    # Differs from the style guide: importing the package does no work, so its two public names come when asked for.
    if name in __all__:
        from tusk.cli import server

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
