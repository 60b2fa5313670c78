"""What ``log_connections``, ``log_disconnections`` and ``log_hostname`` say of a connection."""

from __future__ import annotations

import socket
import time

from tusk.config import settings
from tusk.config.checks import connection_aspects
from tusk.config.registry import on_assign
from tusk.errors import Severity, report
from tusk.stats import session_info


class _Aspects:
    wanted: frozenset[str] = frozenset()


@on_assign("log_connections")
def _assign(value: str | None) -> None:
    _Aspects.wanted = connection_aspects(value or "")


def logs(aspect: str) -> bool:
    """Whether ``log_connections`` names this aspect."""
    return aspect in _Aspects.wanted


def host_name_of(host: str) -> str:
    """The client's name with ``log_hostname``, else its address; the address too where it has no name."""
    if not host or not settings.log_hostname:
        return host
    try:
        return socket.getnameinfo((host, 0), socket.NI_NUMERICSERV)[0]
    except OSError:
        return host


def log_received(host: str, port: str) -> None:
    """``receipt``: somebody has connected."""
    if logs("receipt"):
        shown = f"host={host} port={port}" if port else f"host={host or '[local]'}"
        report(Severity.LOG, f"connection received: {shown}")


def log_authorized(user: str, database: str, application_name: str) -> None:
    """``authorization``: the client may use the database."""
    if logs("authorization"):
        name = f" application_name={application_name}" if application_name else ""
        report(Severity.LOG, f"connection authorized: user={user} database={database}{name}")


def log_setup(timings: dict[str, float]) -> None:
    """``setup_durations``: how long it took from the accepted socket to the first ReadyForQuery."""
    if not logs("setup_durations"):
        return
    now = time.time()
    total = (now - timings["accepted"]) * 1000
    fork = (timings["forked"] - timings["accepted"]) * 1000
    authentication = (timings["authenticated"] - timings["authenticating"]) * 1000
    report(
        Severity.LOG,
        f"connection ready: setup total={total:.3f} ms, fork={fork:.3f} ms, authentication={authentication:.3f} ms",
    )


def log_disconnection(timings: dict[str, float]) -> None:
    """``log_disconnections``: who was here, and for how long."""
    info = session_info.current
    if not settings.log_disconnections or not info.user:
        return
    hours, rest = divmod(time.time() - timings["accepted"], 3600)
    minutes, seconds = divmod(rest, 60)
    port = f" port={info.remote_port}" if info.remote_port else ""
    report(
        Severity.LOG,
        f"disconnection: session time: {int(hours)}:{int(minutes):02d}:{seconds:06.3f} user={info.user} "
        f"database={info.database} host={info.remote_host}{port}",
    )
