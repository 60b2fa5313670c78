"""Who this process serves: what the log line prefix, the title and the statistics need to know of a session."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from tusk.stats.backend_types import BackendType


@dataclass(slots=True)
class SessionInfo:
    """One per process; a backend fills it in as it learns more."""

    pid: int = field(default_factory=os.getpid)
    start_seconds: int = 0
    backend_type: BackendType = BackendType.INVALID
    user: str = ""
    database: str = ""
    remote_host: str = ""
    remote_port: str = ""
    local_host: str = ""
    application_name: str = ""
    command_tag: str = ""
    virtual_xid: str = ""
    query: str = ""
    line_number: int = 0


current = SessionInfo()
_postmaster_start = 0


def set_postmaster_start(microseconds: int) -> None:
    """The server starts now (µs since 2000-01-01); its children inherit this."""
    global _postmaster_start
    _postmaster_start = microseconds


def postmaster_start() -> int:
    """When the server started."""
    return _postmaster_start


def begin(info: SessionInfo) -> None:
    """Make ``info`` describe this process from now on."""
    global current
    current = info
