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


def begin(info: SessionInfo) -> None:
    """Make ``info`` describe this process from now on."""
    global current
    current = info
