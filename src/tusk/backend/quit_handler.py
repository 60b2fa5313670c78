"""The messages a client gets when its backend must leave at once."""

from __future__ import annotations

from tusk.backend import protocol
from tusk.backend._quit import install_quit
from tusk.errors import Message, Severity, errcode

_UNEXPECTED = Message(
    Severity.WARNING,
    "terminating connection because of unexpected SIGQUIT signal",
    errcode.ADMIN_SHUTDOWN,
)
_CRASH = Message(
    Severity.WARNING,
    "terminating connection because of crash of another server process",
    errcode.CRASH_SHUTDOWN,
    detail="The postmaster has commanded this server process to roll back the current transaction and exit, because "
    "another server process exited abnormally and possibly corrupted shared memory.",
    hint="In a moment you should be able to reconnect to the database and repeat your command.",
)
_STOP = Message(
    Severity.WARNING,
    "terminating connection due to immediate shutdown command",
    errcode.ADMIN_SHUTDOWN,
)


def install(socket_fd: int) -> None:
    """From now on SIGQUIT says why to this socket and ends the process with status 2."""
    install_quit(socket_fd, [protocol.notice_response(notice) for notice in (_UNEXPECTED, _CRASH, _STOP)])
