"""Who this process serves: what the log line prefix, the title and the statistics need to know of a session."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from tusk.stats.backend_types import BackendType


@dataclass(slots=True)
class SessionInfo:
    """One per process; a backend fills it in as it learns more."""

    pid: int = field(default_factory=os.getpid)
    start_seconds: float = field(default_factory=time.time)
    backend_type: BackendType = BackendType.INVALID
    label: str = ""             # instead of the backend type's: "postmaster", a background worker's type
    has_client: bool = False
    user: str = ""
    database: str = ""
    remote_host: str = ""
    remote_port: str = ""
    local_host: str = ""
    command_tag: str = ""
    query: str = ""
    query_id: int = 0


current = SessionInfo(label="postmaster")
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
