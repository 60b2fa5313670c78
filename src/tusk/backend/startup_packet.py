"""The first bytes of a connection: encryption requests, cancel requests, the startup message.

Source: manual, "Protocol Flow: Start-up", and the fact that nothing before a valid packet deserves an answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tusk.backend import protocol
from tusk.backend.connection import ClientConnection
from tusk.errors import Fatal, Severity, errcode, report

_TRUE = ("true", "yes", "on", "1", "t", "y")
_FALSE = ("false", "no", "off", "0", "f", "n")


@dataclass(slots=True)
class StartupPacket:
    """What the client asks for."""

    protocol_version: int
    user: str
    database: str
    options: str = ""
    replication: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class CancelRequest:
    """A request to cancel what process ``pid`` runs, proved by its secret ``key``."""

    pid: int
    key: bytes


class BadStartup(Exception):
    """Bytes that are no startup packet: the connection is closed without a word."""


def read_startup_packet(connection: ClientConnection) -> StartupPacket | CancelRequest:
    """Answer encryption requests (no) and return what comes then.

    Errors: BadStartup for a length out of range; FATAL 08P01, 0A000, 28000 for the rest.
    """
    encryption_asked = set()
    while True:
        length = int.from_bytes(connection.read_exact(4), "big", signed=True)
        if not 8 <= length <= protocol.MAX_STARTUP_PACKET + 4:
            report(Severity.LOG, "invalid length of startup packet", sqlstate=errcode.PROTOCOL_VIOLATION)
            raise BadStartup
        body = connection.read_exact(length - 4)
        code = int.from_bytes(body[:4], "big")
        if code == protocol.CANCEL_REQUEST:
            if not 1 <= len(body) - 8 <= 256:
                report(
                    Severity.LOG, "invalid length of cancel request packet", sqlstate=errcode.PROTOCOL_VIOLATION
                )
                raise BadStartup
            return CancelRequest(struct.unpack_from("!i", body, 4)[0], body[8:])
        if code in (protocol.SSL_REQUEST, protocol.GSSENC_REQUEST) and code not in encryption_asked:
            encryption_asked.add(code)
            connection.send(b"N")
            connection.flush()
            if connection.has_input():
                raise Fatal(
                    errcode.PROTOCOL_VIOLATION,
                    "received unencrypted data after "
                    + ("SSL request" if code == protocol.SSL_REQUEST else "GSSAPI encryption request"),
                    detail="This could be either a client-software bug or evidence of an attempted "
                    "man-in-the-middle attack.",
                )
            continue
        return _parse_startup(connection, code, body)


def _parse_startup(connection: ClientConnection, version: int, body: bytes) -> StartupPacket:
    major, minor = version >> 16, version & 0xFFFF
    if major < 3 and version != 0:
        connection.send(
            protocol.old_style_error(
                f"FATAL:  unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2\n"
            )
        )
        connection.flush_if_possible()
        report(
            Severity.LOG,
            f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2",
            sqlstate=errcode.FEATURE_NOT_SUPPORTED,
        )
        raise BadStartup
    if major != 3:
        raise Fatal(
            errcode.FEATURE_NOT_SUPPORTED,
            f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2",
        )
    values, unknown = _pairs(body)
    if minor > (protocol.PROTOCOL_LATEST & 0xFFFF) or unknown:
        connection.send(protocol.negotiate_protocol_version(unknown))
    user = values.pop("user", "")
    if not user:
        raise Fatal(
            errcode.INVALID_AUTHORIZATION_SPECIFICATION, "no PostgreSQL user name specified in startup packet"
        )
    return StartupPacket(
        protocol_version=min(version, protocol.PROTOCOL_LATEST),
        user=user[:63],
        database=(values.pop("database", "") or user)[:63],
        options=values.pop("options", ""),
        replication=_replication(values.pop("replication", "")),
        settings=values,
    )


def _pairs(body: bytes) -> tuple[dict[str, str], list[str]]:
    """The name/value pairs of a startup message and the protocol options nobody knows."""
    values: dict[str, str] = {}
    unknown: list[str] = []
    position = 4
    while position < len(body) - 1 and body[position] != 0:
        end = body.find(b"\0", position)
        value_end = body.find(b"\0", end + 1) if end >= 0 else -1
        if value_end < 0:
            break
        name = body[position:end].decode("utf-8", "surrogateescape")
        value = body[end + 1 : value_end].decode("utf-8", "surrogateescape")
        if name.startswith("_pq_."):
            unknown.append(name)
        else:
            values[name] = value
        position = value_end + 1
    if position != len(body) - 1 or body[-1] != 0:
        raise Fatal(
            errcode.PROTOCOL_VIOLATION, "invalid startup packet layout: expected terminator as last byte"
        )
    return values, unknown


def _replication(value: str) -> str:
    """'' (none), 'physical' or 'database'."""
    word = value.lower()
    if not word or word in _FALSE:
        return ""
    if word == "database":
        return "database"
    if word in _TRUE:
        return "physical"
    raise Fatal(
        errcode.INVALID_PARAMETER_VALUE,
        f'invalid value for parameter "replication": "{value}"',
        hint='Valid values are: "false", 0, "true", 1, "database".',
    )
